//! Sens'it v2: battery and temperature in split bits, light as a code.

use serde_json::Value;

use super::{
    Builtin, Code, FIELDS, Layout, MODES, VIBRATION, battery, code_of_period, code_of_row, lux,
    period_of_code, read_config, row_of_code, temperature, write_config,
};
use crate::decode::builtin::wrong_length;
use crate::decode::{Decoded, number};

/// Sens'it v2; Soracom calls it `@sensit`.
pub(crate) const V2: Builtin = Builtin {
    name: "sensit-v2",
    device: "Sens'it v2",
    fields: &FIELDS,
    layout: Layout::Function(decode),
    encode: Some(|fields| write_config(CONFIG, &CODES, fields)),
};

/// Field level of each sensitivity of the door mode, by code; the most sensitive first.
const DOOR: [[u64; 1]; 3] = [[16], [32], [50]];

const CONFIG: &str = "period_high:0:uint:1:7 config_temperature_low:0:uint:7:6:-20 \
    period_low:1:uint:1:7 config_temperature_high:1:uint:7:6:-20 \
    light_low:2:uint:8 light_high:3:uint:8 \
    vibration_threshold:4:uint:8 vibration_count:5:uint:8 vibration_setting:6:uint:8 \
    config_limited:7:bool:7 door_level:7:uint:7:6";

/// The only setting of the accelerometer that is in use.
const VIBRATION_SETTING: u64 = 0x73;

const CODES: [Code; 5] = [
    Code {
        key: "config_period",
        raw: &["period_high", "period_low"],
        meaning: |codes| match codes {
            [high, low] => period_of_code(high * 2 + low),
            _ => None,
        },
        codes: |period| code_of_period(period).map(|code| vec![code / 2, code % 2]),
        expected: "600, 3600, 21600 or 86400 seconds",
    },
    Code {
        key: "config_illuminance_low",
        raw: &["light_low"],
        meaning: |codes| light_of_codes(codes),
        codes: code_of_light,
        expected: LIGHTS,
    },
    Code {
        key: "config_illuminance_high",
        raw: &["light_high"],
        meaning: |codes| light_of_codes(codes),
        codes: code_of_light,
        expected: LIGHTS,
    },
    Code {
        key: "config_vibration",
        raw: &["vibration_threshold", "vibration_count", "vibration_setting"],
        meaning: |codes| code_of_row(&VIBRATION, codes.get(..2)?),
        codes: |code| {
            let mut codes = row_of_code(&VIBRATION, code)?;
            codes.push(VIBRATION_SETTING);
            Some(codes)
        },
        expected: "0, the most sensitive, to 4",
    },
    Code {
        key: "config_door",
        raw: &["door_level"],
        meaning: |codes| code_of_row(&DOOR, codes),
        codes: |code| row_of_code(&DOOR, code),
        expected: "0, the most sensitive, to 2",
    },
];

const LIGHTS: &str = "0 to 672 lx";

/// Kinds of frames.
const BUTTON: u8 = 1;
const ALERT: u8 = 2;

fn decode(payload: &[u8]) -> Decoded {
    let Some((&[first, second, third, fourth], config)) = payload.split_first_chunk::<4>() else {
        return wrong_length(payload, "4 bytes, or 12 with the configuration");
    };
    let (mode, frame) = (first & 0b111, first >> 5 & 0b11);
    let Some(name) = MODES.get(usize::from(mode)) else {
        return Decoded::nothing("this is no payload of a Sens'it v2 (expected 0 to 5 in the lowest bits)");
    };
    let mut decoded = Decoded::of([
        ("mode", (*name).into()),
        ("button", (frame == BUTTON).into()),
        ("battery_voltage", battery(first >> 7 << 4 | second & 0x0F)),
    ]);
    let mut put = |key: &str, value: Value| decoded.fields.insert(key.to_owned(), value);
    let temperature = temperature(u16::from(second >> 4) << 6 | u16::from(third & 0x3F));
    let version = format!("{}.{}", fourth >> 4, fourth & 0x0F);
    match mode {
        _ if frame == BUTTON => {
            put("temperature", temperature);
            put("firmware_version", version.into());
        }
        0 => {
            put("firmware_version", version.into());
        }
        1 => {
            put("temperature", temperature);
            put("humidity", number::float(f64::from(fourth) / 2.0).unwrap_or_default());
        }
        2 => {
            put("illuminance", lux(light_steps(third)));
        }
        3 => {
            put("door", if frame == ALERT { "movement" } else { "none" }.into());
            put("event_count", fourth.into());
        }
        4 => {
            put("vibration", (frame == ALERT).into());
            put("event_count", fourth.into());
        }
        _ => {
            put("magnet", (third & 0x40 != 0).into());
            put("event_count", fourth.into());
        }
    }
    if !config.is_empty() {
        read_config(CONFIG, &CODES, config, &mut decoded.fields, &mut decoded.errors);
    }
    decoded
}

/// Light in 96ths of a lux: six bits, times 1, 8, 64 or 1024 by the top two.
fn light_steps(code: u8) -> u32 {
    let factor = match code >> 6 {
        0 => 1,
        1 => 8,
        2 => 64,
        _ => 1024,
    };
    u32::from(code & 0x3F) * factor
}

fn light_of_codes(codes: &[u64]) -> Option<Value> {
    Some(lux(light_steps(u8::try_from(*codes.first()?).ok()?)))
}

/// The code that is nearest to a number of lux.
fn code_of_light(light: &Value) -> Option<Vec<u64>> {
    let steps = light.as_f64()? * 96.0;
    if !(0.0..=f64::from(light_steps(u8::MAX))).contains(&steps) {
        return None;
    }
    let distance = |code: &u8| (f64::from(light_steps(*code)) - steps).abs();
    (0..=u8::MAX).min_by(|one, other| distance(one).total_cmp(&distance(other))).map(|code| vec![code.into()])
}

//! Sens'it v3: one measurement a mode, and thresholds.

use serde_json::Value;

use super::{
    Builtin, Code, FIELDS, Layout, MODES, V3_MARK, VIBRATION, battery, code_of_period, code_of_row, lux,
    period_of_code, read_config, row_of_code, temperature, write_config,
};
use crate::decode::builtin::wrong_length;
use crate::decode::{Decoded, number};

/// Sens'it v3.
pub(crate) const V3: Builtin = Builtin {
    name: "sensit-v3",
    device: "Sens'it v3",
    fields: &FIELDS,
    layout: Layout::Function(decode),
    encode: Some(|fields| write_config(CONFIG, &CODES, fields)),
};

const DOORS: [&str; 4] = ["not_calibrated", "movement", "closed", "open"];

/// Close and open threshold of each sensitivity of the door mode, by code; the most sensitive first.
const DOOR: [[u64; 2]; 3] = [[4, 2], [4, 7], [4, 12]];

const CONFIG: &str = "period_code:0:uint:2 \
    config_periodic_magnet:0:bool:5 config_periodic_vibration:0:bool:4 config_periodic_door:0:bool:3 \
    config_periodic_light:0:bool:2 config_periodic_temperature:0:bool:1 config_periodic_standby:0:bool:0 \
    config_temperature_low:1:uint:6:5:-9 config_temperature_high:2:uint:6:5:-9 \
    config_humidity_low:3:uint:4:7:*4:+30 config_humidity_high:3:uint:4:3:*4:+30 \
    config_limited:4:bool:7 config_illuminance:4:uint:7:6:*5:+1 \
    vibration_threshold:5:uint:8 config_vibration_delay:6:uint:2:5 vibration_count:6:uint:4:3 \
    door_open:7:uint:4:6 door_close:7:uint:3:2";

const CODES: [Code; 3] = [
    Code {
        key: "config_period",
        raw: &["period_code"],
        meaning: |codes| period_of_code(*codes.first()?),
        codes: |period| Some(vec![code_of_period(period)?]),
        expected: "600, 3600, 21600 or 86400 seconds",
    },
    Code {
        key: "config_vibration",
        raw: &["vibration_threshold", "vibration_count"],
        meaning: |codes| code_of_row(&VIBRATION, codes),
        codes: |code| row_of_code(&VIBRATION, code),
        expected: "0, the most sensitive, to 4",
    },
    Code {
        key: "config_door",
        raw: &["door_close", "door_open"],
        meaning: |codes| code_of_row(&DOOR, codes),
        codes: |code| row_of_code(&DOOR, code),
        expected: "0, the most sensitive, to 2",
    },
];

fn decode(payload: &[u8]) -> Decoded {
    let Some((&[status, second, third, fourth], config)) = payload.split_first_chunk::<4>() else {
        return wrong_length(payload, "4 bytes, or 12 with the configuration");
    };
    if status & 0b111 != V3_MARK {
        return Decoded::nothing("this is no payload of a Sens'it v3 (expected 6 or e as its second digit)");
    }
    let (mode, special) = (second >> 3, second & 0b11);
    let Some(name) = MODES.get(usize::from(mode)) else {
        return Decoded::nothing(format!("mode {mode} is not known (expected 0 to 5)"));
    };
    let mut decoded = Decoded::of([
        ("mode", (*name).into()),
        ("button", (second & 0b100 != 0).into()),
        ("battery_voltage", battery(status >> 3)),
    ]);
    let count = u16::from_be_bytes([third, fourth]);
    let mut put = |key: &str, value: Value| decoded.fields.insert(key.to_owned(), value);
    match mode {
        0 => {
            let minor = third << 4 | fourth >> 6;
            put("firmware_version", format!("{}.{minor}.{}", third >> 4, fourth & 0x3F).into());
        }
        1 => {
            put("temperature", temperature(u16::from(special) << 8 | u16::from(third)));
            put("humidity", number::float(f64::from(fourth) / 2.0).unwrap_or_default());
        }
        2 => {
            put("illuminance", lux(count.into()));
        }
        3 => {
            put("door", DOORS.get(usize::from(special)).copied().into());
            put("event_count", count.into());
        }
        4 => {
            put("vibration", (special == 1).into());
            put("event_count", count.into());
        }
        _ => {
            put("magnet", (special == 1).into());
            put("event_count", count.into());
        }
    }
    if !config.is_empty() {
        read_config(CONFIG, &CODES, config, &mut decoded.fields, &mut decoded.errors);
    }
    decoded
}

//! Adeunis RF sensors of the Sigfox range, by their user guides.

use serde_json::Value;

use super::{Builtin, Known, Layout, wrong_length};
use crate::decode::{Decoded, number};

/// TEMP (user guide V1.2.0, data frame 0x43): one or two thermometers.
pub(super) const TEMP: Builtin = Builtin {
    name: "adeunis-temp",
    device: "Adeunis TEMP",
    fields: &[
        Known::number("temperature", "°C", "temperature"),
        Known::number("external_temperature", "°C", "temperature"),
    ],
    layout: Layout::Function(temp),
    encode: None,
};

/// Field test device (user guide V1.1.4) and the demonstrator before it (user guide V1.1).
pub(super) const FTD: Builtin = Builtin {
    name: "adeunis-ftd",
    device: "Adeunis field test device",
    fields: &[
        Known::bool("moved").class("moving"),
        Known::bool("button"),
        Known::number("temperature", "°C", "temperature"),
        Known::degrees("latitude"),
        Known::degrees("longitude"),
        Known::counter("uplink_count").diagnostic(),
        Known::counter("downlink_count").diagnostic(),
    ],
    layout: Layout::Function(ftd),
    encode: None,
};

/// The code of a frame of measurements.
const DATA: u8 = 0x43;
/// What is sent for a sensor that fails.
const FAULT: i16 = i16::MIN;

fn temp(payload: &[u8]) -> Decoded {
    let (code, sensors) = match payload {
        [code, _status, sensors @ ..] => (*code, sensors),
        _ => return wrong_length(payload, "5 or 8 bytes"),
    };
    if code != DATA {
        return Decoded::nothing(format!(
            "frame 0x{code:02x} carries no temperature (expected 0x{DATA:02x})"
        ));
    }
    let mut decoded = Decoded::default();
    for (sensor, name) in sensors.chunks(3).zip(["temperature", "external_temperature"]) {
        let &[kind, high, low] = sensor else {
            decoded.errors.push(format!("`{name}` is missing: its sensor has {} of 3 bytes", sensor.len()));
            continue;
        };
        // The low nibble is the sensor's type; 0 says that there is none.
        if kind & 0x0F == 0 {
            continue;
        }
        let tenths = i16::from_be_bytes([high, low]);
        let value = if tenths == FAULT {
            decoded.errors.push(format!("`{name}` has no value: its sensor fails"));
            Value::Null
        } else {
            number::float(f64::from(tenths) / 10.0).unwrap_or_default()
        };
        decoded.fields.insert(name.to_owned(), value);
    }
    if decoded == Decoded::default() {
        decoded.errors.push("the frame names no sensor (expected one or two)".to_owned());
    }
    decoded
}

/// The status says which of the other fields follow, in this order: temperature, position, counters.
fn ftd(payload: &[u8]) -> Decoded {
    let Some((&status, mut rest)) = payload.split_first() else {
        return wrong_length(payload, "1 to 12 bytes");
    };
    let mut decoded =
        Decoded::of([("moved", (status & 0x40 != 0).into()), ("button", (status & 0x20 != 0).into())]);
    let mut put = |name: &str, value: Option<Value>| match value {
        Some(value) => {
            decoded.fields.insert(name.to_owned(), value);
        }
        None => decoded.errors.push(format!("`{name}` is missing or no number of degrees and minutes")),
    };
    if status & 0x80 != 0 {
        put("temperature", take::<1>(&mut rest).map(|&[byte]| Value::from(i8::from_be_bytes([byte]))));
    }
    if status & 0x10 != 0 {
        put("latitude", take::<4>(&mut rest).and_then(|bytes| coordinate(bytes, 2)));
        put("longitude", take::<4>(&mut rest).and_then(|bytes| coordinate(bytes, 3)));
    }
    for (bit, name) in [(0x08, "uplink_count"), (0x04, "downlink_count")] {
        if status & bit != 0 {
            put(name, take::<1>(&mut rest).map(|&[count]| Value::from(count)));
        }
    }
    decoded
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(taken)
}

/// Seven decimal digits, `of_degrees` of them degrees and the others minutes with two before the point; the last
/// bit says south or west.
fn coordinate(bytes: &[u8; 4], of_degrees: usize) -> Option<Value> {
    let digits: Vec<u32> =
        bytes.iter().flat_map(|byte| [u32::from(byte >> 4), u32::from(byte & 0x0F)]).take(7).collect();
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let number = |digits: &[u32]| digits.iter().fold(0, |number, digit| number * 10 + digit);
    let (degrees, minutes) = digits.split_at_checked(of_degrees)?;
    let decimals = 10_f64.powi(i32::try_from(minutes.len()).ok()? - 2);
    let value = f64::from(number(degrees)) + f64::from(number(minutes)) / decimals / 60.0;
    let south_or_west = bytes.last()? & 1 == 1;
    // A thousandth of a minute is 2 m; seven decimals of a degree are 1 cm.
    let value = (value * 1e7).round() / 1e7;
    number::float(if south_or_west { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_sensor_has_no_value() {
        let decoded = temp(&[0x43, 0xA2, 0xD1, 0x80, 0x00]);
        assert_eq!(decoded.fields.get("temperature"), Some(&Value::Null));
        assert_eq!(decoded.errors, ["`temperature` has no value: its sensor fails"]);
    }

    #[test]
    fn a_coordinate_of_other_than_decimal_digits_is_none() {
        let decoded = ftd(&[0x10, 0xFF, 0xFF, 0xFF, 0xF0, 0x00, 0x55, 0x34, 0x40]);
        assert_eq!(decoded.fields.get("latitude"), None);
        assert_eq!(decoded.errors.len(), 1);
    }
}

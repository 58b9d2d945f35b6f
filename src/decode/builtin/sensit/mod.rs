//! Sens'it v2 and v3 (`sigfox/sensit-payload`): four bytes of data, then perhaps eight of configuration, which are
//! also the downlink that sets it.

mod v2;
mod v3;

use serde_json::Value;

pub(super) use self::v2::V2;
pub(super) use self::v3::V3;
use super::{Builtin, Known, Layout};
use crate::decode::grammar::{Dialect, Grammar};
use crate::decode::number;
use crate::model::Fields;

/// The low bits of the first byte: v2 keeps its mode there, which is never above 5.
const V3_MARK: u8 = 0b110;

const MODES: [&str; 6] = ["standby", "temperature", "light", "door", "vibration", "magnet"];

/// Seconds between two periodic messages, by code.
const PERIODS: [u64; 4] = [600, 3600, 21_600, 86_400];

/// Threshold and debounce count of each sensitivity of the vibration mode, by code; the most sensitive first.
const VIBRATION: [[u64; 2]; 5] = [[0x01, 1], [0x03, 1], [0x04, 2], [0x08, 2], [0x10, 3]];

/// What both versions measure.
const FIELDS: [Known; 11] = [
    Known::text("mode").diagnostic(),
    Known::bool("button"),
    Known::battery(),
    Known::number("temperature", "°C", "temperature"),
    Known::number("humidity", "%", "humidity"),
    Known::number("illuminance", "lx", "illuminance"),
    Known::text("door"),
    Known::bool("vibration").class("vibration"),
    Known::bool("magnet"),
    Known::count("event_count"),
    Known::text("firmware_version").diagnostic(),
];

/// Battery in volts: 5 bits of 50 mV above 2.7 V.
fn battery(raw: u8) -> Value {
    number::float(f64::from(u16::from(raw) * 5 + 270) / 100.0).unwrap_or_default()
}

/// Temperature in °C: 10 bits of an eighth above -25.
fn temperature(raw: u16) -> Value {
    number::float((f64::from(raw) - 200.0) / 8.0).unwrap_or_default()
}

/// Light in lux to two places: a step is a 96th.
fn lux(steps: u32) -> Value {
    number::float((f64::from(steps) / 96.0 * 100.0).round() / 100.0).unwrap_or_default()
}

/// Reads a configuration by its grammar; codes become what they stand for.
fn read_config(grammar: &str, codes: &[Code], bytes: &[u8], fields: &mut Fields, errors: &mut Vec<String>) {
    let Ok(grammar) = Grammar::parse(grammar, Dialect::Sigfox) else { return };
    let (mut raw, missing) = grammar.read(bytes);
    errors.extend(missing);
    for code in codes {
        let read: Option<Vec<u64>> = code.raw.iter().map(|key| raw.shift_remove(*key)?.as_u64()).collect();
        // A code that the table lacks is null; `missing` has said already what is not there.
        let value = read.and_then(|read| (code.meaning)(&read));
        raw.insert(code.key.to_owned(), value.unwrap_or_default());
    }
    fields.extend(raw);
}

/// Makes a configuration; all problems at once.
fn write_config(grammar: &str, codes: &[Code], fields: &Fields) -> Result<[u8; 8], String> {
    let grammar = Grammar::parse(grammar, Dialect::Sigfox).map_err(|error| error.to_string())?;
    let mut raw = fields.clone();
    let mut problems = Vec::new();
    for code in codes {
        match raw.shift_remove(code.key) {
            None => problems.push(format!("`{}` is missing", code.key)),
            Some(value) => match (code.codes)(&value) {
                Some(codes) => {
                    raw.extend(
                        code.raw.iter().map(|key| (*key).to_owned()).zip(codes.into_iter().map(Value::from)),
                    );
                }
                None => {
                    problems.push(format!("`{}` cannot be {value} (expected {})", code.key, code.expected))
                }
            },
        }
    }
    if problems.is_empty() { grammar.write(&raw) } else { Err(problems.join("; ")) }
}

/// A field that stands in the bytes as one or more codes.
struct Code {
    key: &'static str,
    /// The fields of the grammar that hold the codes.
    raw: &'static [&'static str],
    meaning: fn(&[u64]) -> Option<Value>,
    codes: fn(&Value) -> Option<Vec<u64>>,
    expected: &'static str,
}

fn period_of_code(code: u64) -> Option<Value> {
    PERIODS.get(usize::try_from(code).ok()?).copied().map(Value::from)
}

fn code_of_period(period: &Value) -> Option<u64> {
    let seconds = period.as_f64()?;
    PERIODS.iter().zip(0..).find(|(known, _)| **known as f64 == seconds).map(|(_, code)| code)
}

/// The code of a row of a table.
fn code_of_row<const N: usize>(table: &[[u64; N]], row: &[u64]) -> Option<Value> {
    table.iter().zip(0_u64..).find(|(known, _)| known.as_slice() == row).map(|(_, code)| Value::from(code))
}

/// The row of a table by its code.
fn row_of_code<const N: usize>(table: &[[u64; N]], code: &Value) -> Option<Vec<u64>> {
    table.get(usize::try_from(code.as_u64()?).ok()?).map(|row| row.to_vec())
}

//! UnaBiz structured messages (`UnaBiz/sigfox-gcloud`, decodeStructuredMessage): the payload names its own fields.
//!
//! Each field is a word of three 5-bit characters and a word of the value, both little-endian.

use serde_json::Value;

use super::{Builtin, Known, Layout, wrong_length};
use crate::decode::{Decoded, number};

/// Fields whose value is packed characters, not a number.
const TEXTS: [&str; 3] = ["d1", "d2", "d3"];

/// UnaShield and what else speaks the structured format; Soracom calls it `@unashield`.
pub(super) const UNABIZ: Builtin = Builtin {
    name: "unabiz",
    device: "UnaBiz UnaShield and other senders of structured messages",
    fields: &[
        Known::counter("ctr").diagnostic(),
        Known::count("lig"),
        Known::number("tmp", "°C", "temperature"),
        Known::number("hmd", "%", "humidity"),
        Known::number("vlt", "V", "voltage").diagnostic(),
        Known::text("d1"),
        Known::text("d2"),
        Known::text("d3"),
    ],
    layout: Layout::Function(decode),
    encode: None,
};

fn decode(payload: &[u8]) -> Decoded {
    if ![4, 8, 12].contains(&payload.len()) {
        return wrong_length(payload, "4, 8 or 12 bytes");
    }
    let mut decoded = Decoded::default();
    for pair in payload.chunks_exact(4) {
        let &[a, b, c, d] = pair else { continue };
        let (name, value) = (letters(u16::from_le_bytes([a, b])), u16::from_le_bytes([c, d]));
        if name.is_empty() {
            decoded.errors.push(format!("bytes {a:02x}{b:02x} name no field"));
        } else if TEXTS.contains(&name.as_str()) {
            decoded.fields.insert(name, Value::from(letters(value)));
        } else {
            let value = number::float(f64::from(value) / 10.0).unwrap_or_default();
            decoded.fields.insert(name, value);
        }
    }
    decoded
}

/// Up to three characters of 5 bits, the first in the highest: 1 to 26 are a to z, 27 to 31 are 0 to 4, 0 is none.
fn letters(word: u16) -> String {
    let letter = |from: u32| match word >> from & 0x1F {
        0 => None,
        code @ 1..=26 => char::from_digit(u32::from(code) + 9, 36),
        code => char::from_digit(u32::from(code) - 27, 10),
    };
    [10, 5, 0].into_iter().filter_map(letter).collect()
}

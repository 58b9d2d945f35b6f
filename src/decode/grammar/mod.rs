//! Grammars of payloads: named fields of bits, compiled once to absolute positions.
//!
//! Two dialects, one parser: Sigfox's custom grammar (REST API v1 document) and Soracom's binary parser
//! (custom format). What both leave open is decided in `docs/decoders.md`.

mod bits;
mod encode;
mod parse;
mod scale;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use self::scale::Scale;
use super::number;
pub use crate::config::Dialect;
use crate::model::Fields;

/// A compiled grammar.
#[derive(Debug, Clone, PartialEq)]
pub struct Grammar {
    fields: Vec<Field>,
    /// Every field as null, in the order of `fields`: to copy it costs half of making it anew.
    empty: Fields,
}

/// One field of a grammar.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    name: String,
    /// Position of its first bit; 0 is bit 7 of byte 0.
    start: usize,
    shape: Shape,
}

/// How the bits of a field are to be read.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Bool,
    Integer {
        width: u32,
        signed: bool,
        little_endian: bool,
        scale: Option<Scale>,
    },
    Float {
        width: u32,
        little_endian: bool,
        scale: Option<Scale>,
    },
    Text {
        bytes: usize,
    },
    /// Hexadecimal digits of four bits each; `decimal`: none of them above 9.
    Digits {
        count: usize,
        decimal: bool,
    },
}

/// Why a text is not a grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct GrammarError {
    /// Where the fault is: characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Why a field has no value.
#[derive(Debug, PartialEq)]
enum Unread {
    /// The payload ends before it.
    TooShort,
    /// The field is there and means nothing, for this reason.
    NoValue(&'static str),
}

impl Grammar {
    /// Compiles a grammar. Two fields of one name are an error: one of them would never be seen.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, GrammarError> {
        parse::fields(text, dialect, parse::Names::Unique).map(Self::of)
    }

    /// Compiles a grammar that a Sigfox cloud uses already; of two fields of one name the last wins.
    pub fn parse_from_cloud(text: &str) -> Result<Self, GrammarError> {
        parse::fields(text, Dialect::Sigfox, parse::Names::LastWins).map(Self::of)
    }

    fn of(fields: Vec<Field>) -> Self {
        let empty = fields.iter().map(|field| (field.name.clone(), Value::Null)).collect();
        Self { fields, empty }
    }

    /// Its fields in the order of the text.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Reads a payload: what fits, and in words what does not.
    #[must_use]
    pub fn read(&self, payload: &[u8]) -> (Fields, Vec<String>) {
        let mut values = self.empty.clone();
        let mut errors = Vec::new();
        let mut missing = false;
        for (field, slot) in self.fields.iter().zip(values.values_mut()) {
            match field.value(payload) {
                Ok(value) => *slot = value,
                Err(Unread::NoValue(reason)) => errors.push(format!("`{}` {reason}", field.name)),
                Err(Unread::TooShort) => {
                    missing = true;
                    errors.push(format!(
                        "`{}` is missing: it reads {field}, and the payload has {}",
                        field.name,
                        Bytes(payload.len())
                    ));
                }
            }
        }
        if missing {
            let mut fits = self.fields.iter().map(|field| field.fits(payload));
            values.retain(|_, _| fits.next().unwrap_or(false));
        }
        (values, errors)
    }
}

impl Field {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether all of its values are integers.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        matches!(self.shape, Shape::Integer { scale: None, .. })
    }

    /// Its type as a grammar writes it, such as `uint:16`.
    #[must_use]
    pub fn type_name(&self) -> String {
        match &self.shape {
            Shape::Bool => "bool".to_owned(),
            Shape::Integer { width, signed, little_endian, .. } => {
                let order = if *little_endian { ":little-endian" } else { "" };
                format!("{}:{width}{order}", if *signed { "int" } else { "uint" })
            }
            Shape::Float { width, little_endian, .. } => {
                format!("float:{width}{}", if *little_endian { ":little-endian" } else { "" })
            }
            Shape::Text { bytes } => format!("char:{bytes}"),
            Shape::Digits { count, decimal } => {
                format!("{}:{}", if *decimal { "bcd" } else { "hex" }, count * 4)
            }
        }
    }

    /// The value that the other of int and uint would give, where it differs: taking one for the other is the
    /// most common mistake in a grammar.
    #[must_use]
    pub fn other_sign(&self, payload: &[u8]) -> Option<Value> {
        let Shape::Integer { width, signed, little_endian, scale } = self.shape.clone() else { return None };
        if width < 2 {
            return None;
        }
        let shape = Shape::Integer { width, signed: !signed, little_endian, scale };
        let other = Self { name: String::new(), start: self.start, shape }.value(payload).ok()?;
        (self.value(payload).ok()? != other).then_some(other)
    }

    /// What kind of value it has.
    pub(super) fn kind(&self) -> super::FieldKind {
        match self.shape {
            Shape::Bool => super::FieldKind::Bool,
            Shape::Integer { .. } | Shape::Float { .. } => super::FieldKind::Number,
            Shape::Text { .. } | Shape::Digits { .. } => super::FieldKind::Text,
        }
    }

    /// How many bits it has.
    fn width(&self) -> usize {
        match self.shape {
            Shape::Bool => 1,
            Shape::Integer { width, .. } | Shape::Float { width, .. } => usize::try_from(width).unwrap_or(0),
            Shape::Text { bytes } => bytes * 8,
            Shape::Digits { count, .. } => count * 4,
        }
    }

    /// The last byte that it touches.
    fn last_byte(&self) -> usize {
        (self.start + self.width().max(1) - 1) / 8
    }

    fn fits(&self, payload: &[u8]) -> bool {
        self.last_byte() < payload.len()
    }

    fn value(&self, payload: &[u8]) -> Result<Value, Unread> {
        let number = |width: u32, little_endian: bool| {
            let raw = bits::read(payload, self.start, width).ok_or(Unread::TooShort)?;
            Ok(if little_endian { bits::reverse_bytes(raw, width) } else { raw })
        };
        match &self.shape {
            Shape::Bool => Ok(Value::Bool(number(1, false)? == 1)),
            Shape::Integer { width, signed, little_endian, scale } => {
                let raw = number(*width, *little_endian)?;
                let value = match (signed, scale) {
                    (false, None) => return Ok(Value::from(raw)),
                    (true, None) => return Ok(Value::from(bits::signed(raw, *width))),
                    (false, Some(scale)) => scale.integer(i128::from(raw)),
                    (true, Some(scale)) => scale.integer(i128::from(bits::signed(raw, *width))),
                };
                value.ok_or(Unread::NoValue("is out of range"))
            }
            Shape::Float { width, little_endian, scale } => {
                let raw = number(*width, *little_endian)?;
                let value = match u32::try_from(raw) {
                    Ok(raw) if *width == 32 => f64::from(f32::from_bits(raw)),
                    _ => f64::from_bits(raw),
                };
                let scaled = match scale {
                    Some(scale) => scale.float(value),
                    None => number::float(value),
                };
                scaled.ok_or(Unread::NoValue(if value.is_nan() {
                    "is not a number (NaN)"
                } else {
                    "is infinite"
                }))
            }
            Shape::Text { bytes } => {
                let text: Vec<u8> = self.each(payload, *bytes, 8)?;
                // Senders fill up with NULs; those inside the text are the sender's own.
                Ok(Value::from(String::from_utf8_lossy(&text).trim_end_matches('\0')))
            }
            Shape::Digits { count, decimal } => {
                let digits = self.each(payload, *count, 4)?;
                if *decimal && digits.iter().any(|digit| *digit > 9) {
                    return Err(Unread::NoValue("holds a digit above 9"));
                }
                let digit =
                    |digit: &u8| char::from_digit(u32::from(*digit), 16).unwrap_or('?').to_ascii_uppercase();
                Ok(Value::from(digits.iter().map(digit).collect::<String>()))
            }
        }
    }

    /// `count` pieces of `width` (at most 8) bits each.
    fn each(&self, payload: &[u8], count: usize, width: u8) -> Result<Vec<u8>, Unread> {
        let piece = |nth: usize| {
            let raw = bits::read(payload, self.start + nth * usize::from(width), u32::from(width))?;
            u8::try_from(raw).ok()
        };
        (0..count).map(|nth| piece(nth).ok_or(Unread::TooShort)).collect()
    }
}

/// Where it lies: `byte 0`, `bytes 1 to 2`, `byte 0 bits 7 to 2`, `byte 1 bit 3 to byte 2 bit 0`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.start + self.width().max(1) - 1;
        let (first, last) = (self.start / 8, end / 8);
        let (from, to) = (7 - self.start % 8, 7 - end % 8);
        match (first == last, from == 7 && to == 0) {
            (true, true) => write!(f, "byte {first}"),
            (true, false) if from == to => write!(f, "byte {first} bit {from}"),
            (true, false) => write!(f, "byte {first} bits {from} to {to}"),
            (false, true) => write!(f, "bytes {first} to {last}"),
            (false, false) => write!(f, "byte {first} bit {from} to byte {last} bit {to}"),
        }
    }
}

/// A number of bytes in words.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no bytes"),
            1 => f.write_str("1 byte"),
            many => write!(f, "{many} bytes"),
        }
    }
}

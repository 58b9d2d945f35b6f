//! Typed values of metrics: which type a decoded field has, and what stands on the wire for it. Pure.
//!
//! The type of a metric is what its birth said. A number is a double as long as doubles hold it exactly; integers
//! that they do not hold, and fields that are integers by their grammar, are 64-bit integers.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::payload;
use crate::model::Timestamp;

/// The longest text of a value in bytes; what is longer is cut.
const LONGEST_TEXT: usize = 4096;

/// The type of a metric (Sparkplug 3.0, section 6.4.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// A signed integer of 64 bits.
    Int64,
    /// An unsigned integer of 64 bits.
    UInt64,
    /// A number of 32 bits.
    Float,
    /// A number of 64 bits.
    Double,
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// Milliseconds since 1970.
    DateTime,
}

impl DataType {
    /// Its code on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Int64 => 4,
            Self::UInt64 => 8,
            Self::Float => 9,
            Self::Double => 10,
            Self::Boolean => 11,
            Self::String => 12,
            Self::DateTime => 13,
        }
    }
}

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// [`DataType::Int64`].
    Int64(i64),
    /// [`DataType::UInt64`].
    UInt64(u64),
    /// [`DataType::Float`].
    Float(f32),
    /// [`DataType::Double`].
    Double(f64),
    /// [`DataType::Boolean`].
    Boolean(bool),
    /// [`DataType::String`].
    String(String),
    /// [`DataType::DateTime`].
    DateTime(Timestamp),
}

impl Value {
    /// What stands on the wire for it.
    pub(super) fn on_the_wire(&self) -> payload::Value {
        match self {
            Self::Int64(number) => payload::Value::Long(u64::from_ne_bytes(number.to_ne_bytes())),
            Self::UInt64(number) => payload::Value::Long(*number),
            Self::Float(number) => payload::Value::Float(*number),
            Self::Double(number) => payload::Value::Double(*number),
            Self::Boolean(value) => payload::Value::Boolean(*value),
            Self::String(text) => payload::Value::String(short(text).to_owned()),
            Self::DateTime(time) => payload::Value::Long(wire_time(*time)),
        }
    }
}

/// A metric with its value at a time; none is null.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    /// Its name, with `/` between folders.
    pub(super) name: Cow<'static, str>,
    /// Its type.
    pub(super) datatype: DataType,
    /// Its value.
    pub(super) value: Option<Value>,
    /// When it was so.
    pub(super) time: Timestamp,
    /// Its unit.
    pub(super) unit: Option<Cow<'static, str>>,
}

impl Metric {
    /// A metric of this type without a unit.
    pub(super) fn new(
        name: impl Into<Cow<'static, str>>,
        datatype: DataType,
        value: Option<Value>,
        time: Timestamp,
    ) -> Self {
        Self { name: name.into(), datatype, value, time, unit: None }
    }

    /// With this unit.
    pub(super) fn in_unit(self, unit: Option<impl Into<Cow<'static, str>>>) -> Self {
        Self { unit: unit.map(Into::into), ..self }
    }
}

/// A time as it travels.
pub(super) fn wire_time(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or_default()
}

/// The type and the value of a decoded field, as near to the type that it is known by as it can be without a loss.
pub(super) fn typed(field: &Json, known: Option<DataType>) -> (DataType, Option<Value>) {
    let text = |text: String| (DataType::String, Some(Value::String(text)));
    match field {
        Json::Null => (known.unwrap_or(DataType::Double), None),
        Json::String(value) => text(value.clone()),
        _ if known == Some(DataType::String) => text(field.to_string()),
        Json::Bool(value) => (DataType::Boolean, Some(Value::Boolean(*value))),
        Json::Number(number) => number_typed(number, known),
        Json::Array(_) | Json::Object(_) => text(field.to_string()),
    }
}

fn number_typed(number: &serde_json::Number, known: Option<DataType>) -> (DataType, Option<Value>) {
    let double = exact_double(number);
    let (signed, unsigned) = (number.as_i64(), number.as_u64());
    match (known, double, signed, unsigned) {
        (Some(DataType::Int64), _, Some(signed), _) => (DataType::Int64, Some(Value::Int64(signed))),
        (Some(DataType::UInt64), _, _, Some(unsigned)) => (DataType::UInt64, Some(Value::UInt64(unsigned))),
        (Some(DataType::Int64), _, None, Some(unsigned)) => (DataType::UInt64, Some(Value::UInt64(unsigned))),
        (_, Some(double), _, _) => (DataType::Double, Some(Value::Double(double))),
        (_, None, Some(signed), _) => (DataType::Int64, Some(Value::Int64(signed))),
        (_, None, None, Some(unsigned)) => (DataType::UInt64, Some(Value::UInt64(unsigned))),
        (_, None, None, None) => (DataType::Double, None),
    }
}

/// The number as a double, where that loses nothing: beyond 2^53 doubles hold only some integers.
fn exact_double(number: &serde_json::Number) -> Option<f64> {
    let magnitude = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
    number.as_f64().filter(|_| magnitude.is_none_or(|magnitude| magnitude <= 1 << 53))
}

/// The field as the type that its birth said, even where that loses something: a value of long ago, when the field
/// was of another type. Null where nothing stands for it.
pub(super) fn forced(field: &Json, declared: DataType) -> Option<Value> {
    match (declared, field) {
        (_, Json::Null) => None,
        (DataType::String, Json::String(text)) => Some(Value::String(text.clone())),
        (DataType::String, other) => Some(Value::String(other.to_string())),
        (DataType::Boolean, field) => field.as_bool().map(Value::Boolean),
        (DataType::Int64, field) => field.as_i64().map(Value::Int64),
        (DataType::UInt64, field) => field.as_u64().map(Value::UInt64),
        (DataType::Double, field) => field.as_f64().map(Value::Double),
        (DataType::Float | DataType::DateTime, _) => None,
    }
}

/// The text, cut between two characters if it is too long.
fn short(text: &str) -> &str {
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_the_type_that_holds_them_exactly() {
        use DataType::{Boolean, Double, Int64, String, UInt64};
        let big = 9_007_199_254_740_993_i64;
        for (field, known, datatype, value) in [
            (json!(17), None, Double, Some(Value::Double(17.0))),
            (json!(17), Some(Int64), Int64, Some(Value::Int64(17))),
            (json!(17.5), Some(Int64), Double, Some(Value::Double(17.5))),
            (json!(big), Some(Double), Int64, Some(Value::Int64(big))),
            (json!(-big), None, Int64, Some(Value::Int64(-big))),
            (json!(u64::MAX), Some(Int64), UInt64, Some(Value::UInt64(u64::MAX))),
            (json!(u64::MAX), None, UInt64, Some(Value::UInt64(u64::MAX))),
            (json!(3), Some(UInt64), UInt64, Some(Value::UInt64(3))),
            (json!(true), Some(Double), Boolean, Some(Value::Boolean(true))),
            (json!(true), Some(String), String, Some(Value::String("true".to_owned()))),
            (json!("a"), Some(Double), String, Some(Value::String("a".to_owned()))),
            (json!({"a": 1}), None, String, Some(Value::String(r#"{"a":1}"#.to_owned()))),
            (json!(null), Some(Boolean), Boolean, None),
            (json!(null), None, Double, None),
        ] {
            assert_eq!(typed(&field, known), (datatype, value), "{field} known as {known:?}");
        }
    }

    #[test]
    fn signed_numbers_travel_as_their_twos_complement() {
        assert_eq!(Value::Int64(-1).on_the_wire(), payload::Value::Long(u64::MAX));
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        let text = "é".repeat(LONGEST_TEXT);
        let payload::Value::String(cut) = Value::String(text).on_the_wire() else { panic!("no text") };
        assert_eq!(cut.len(), LONGEST_TEXT);
        assert!(cut.chars().all(|character| character == 'é'));
    }

    proptest! {
        #[test]
        fn no_integer_loses_a_digit(number in any::<i64>(), known in prop_oneof![
            Just(None), Just(Some(DataType::Double)), Just(Some(DataType::Int64)), Just(Some(DataType::UInt64)),
        ]) {
            let (datatype, value) = typed(&json!(number), known);
            let back = match value {
                Some(Value::Double(double)) => format!("{double:.0}"),
                Some(Value::Int64(number)) => number.to_string(),
                Some(Value::UInt64(number)) => number.to_string(),
                other => format!("{other:?}"),
            };
            prop_assert_eq!(&back, &number.to_string());
            prop_assert_eq!(typed(&json!(number), Some(datatype)).0, datatype, "a type once taken stays");
        }
    }
}

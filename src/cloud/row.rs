//! Reads JSON objects as the clouds really print them: numbers and booleans as strings, the string "null",
//! one thing where the documents say a list, times in seconds or milliseconds. Absent and unreadable are one.

use serde_json::Number;
use serde_json_borrow::ObjectAsVec;

use crate::model::Timestamp;

/// What an answer holds; texts and keys are those of the answer itself.
pub(super) type Json<'a> = serde_json_borrow::Value<'a>;

/// One JSON object of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a>(&'a ObjectAsVec<'a>);

impl<'a> Row<'a> {
    /// The row, if the value is an object.
    pub(super) fn of(value: &'a Json<'a>) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// The value under a key; none where it is absent, null or the word "null".
    pub(super) fn value(self, key: &str) -> Option<&'a Json<'a>> {
        self.0.get(key).filter(|value| !value.is_null() && value.as_str() != Some("null"))
    }

    /// Text; a bare number is its digits.
    pub(super) fn text(self, key: &str) -> Option<String> {
        match self.value(key)? {
            Json::Str(text) => Some(text.clone().into_owned()),
            Json::Number(number) => Some(Number::from(*number).to_string()),
            _ => None,
        }
    }

    /// Text that is not empty.
    pub(super) fn name(self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A number, or a text that holds one.
    pub(super) fn number(self, key: &str) -> Option<f64> {
        number(self.value(key)?)
    }

    /// A whole number, or a text that holds one.
    pub(super) fn integer(self, key: &str) -> Option<i64> {
        integer(self.value(key)?)
    }

    /// True or false as a boolean, a word or a number.
    pub(super) fn flag(self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Json::Bool(flag) => Some(*flag),
            Json::Str(word) => match word.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            number => integer(number).map(|number| number != 0),
        }
    }

    /// A time as a bare number or a text that holds one, in seconds or milliseconds, or in RFC 3339.
    pub(super) fn time(self, key: &str) -> Option<Timestamp> {
        let value = self.value(key)?;
        match integer(value) {
            Some(number) => Timestamp::from_cloud(number),
            None => value.as_str()?.parse().ok(),
        }
    }

    /// An object.
    pub(super) fn object(self, key: &str) -> Option<Row<'a>> {
        Row::of(self.value(key)?)
    }

    /// The objects of a list, or the one object that stands in its place.
    pub(super) fn objects(self, key: &str) -> Vec<Row<'a>> {
        match self.value(key) {
            Some(Json::Array(items)) => items.iter().filter_map(Row::of).collect(),
            Some(one) => Row::of(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The identifier under a key that holds either the identifier or an object with one.
    pub(super) fn reference(self, key: &str) -> Option<String> {
        self.object(key).map_or_else(|| self.name(key), |object| object.name("id"))
    }
}

fn number(value: &Json<'_>) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::Str(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

fn integer(value: &Json<'_>) -> Option<i64> {
    let whole = |text: &str| match text.split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    };
    match value {
        Json::Number(number) => number.as_i64().or_else(|| whole(&Number::from(*number).to_string())),
        Json::Str(text) => whole(text.trim()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_come_as_numbers_and_as_text() {
        for (value, expected) in [
            (json!("-133.00"), Some(-133.0)),
            (json!(-126), Some(-126.0)),
            (json!("null"), None),
            (json!(null), None),
            (json!("NaN"), None),
            (json!([1]), None),
        ] {
            let object = json!({ "rssi": value });
            assert_eq!(Row::of(&Json::from(&object)).unwrap().number("rssi"), expected, "{object}");
        }
    }

    #[test]
    fn what_looks_like_hex_is_no_whole_number() {
        for (value, expected) in [
            (json!(1492), Some(1492)),
            (json!("1492"), Some(1492)),
            (json!(1492.0), Some(1492)),
            (json!("007c"), None),
            (json!(1.5), None),
            (json!("{seqNumber}"), None),
        ] {
            let object = json!({ "seqNumber": value });
            assert_eq!(Row::of(&Json::from(&object)).unwrap().integer("seqNumber"), expected, "{object}");
        }
    }

    #[test]
    fn times_are_seconds_milliseconds_or_dates() {
        let expected = Timestamp::from_millis(1_772_420_645_000);
        for value in [
            json!(1_772_420_645),
            json!(1_772_420_645_000_i64),
            json!("1772420645"),
            json!("2026-03-02T03:04:05Z"),
        ] {
            let object = json!({ "time": value });
            assert_eq!(Row::of(&Json::from(&object)).unwrap().time("time"), expected, "{object}");
        }
        let absurd = json!({ "time": -9_007_199_254_740_991_i64 });
        assert_eq!(Row::of(&Json::from(&absurd)).unwrap().time("time"), None);
    }

    #[test]
    fn one_object_stands_for_a_list_of_one() {
        for (value, count) in [(json!([{}, {}]), 2), (json!({}), 1), (json!([]), 0), (json!(null), 0)] {
            let object = json!({ "cbStatus": value });
            assert_eq!(Row::of(&Json::from(&object)).unwrap().objects("cbStatus").len(), count, "{object}");
        }
    }

    #[test]
    fn a_reference_is_an_id_or_an_object_with_one() {
        for value in [json!("002C"), json!({ "id": "002C", "name": "x" })] {
            let object = json!({ "device": value });
            assert_eq!(Row::of(&Json::from(&object)).unwrap().reference("device").as_deref(), Some("002C"));
        }
    }
}

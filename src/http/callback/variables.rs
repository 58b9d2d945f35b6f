//! The variables of a callback, whichever way its template wrote them: JSON, a form, a query, a line of a batch;
//! as numbers or as text; absent, null, the text "null", or never substituted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Malformed;

/// How many variables are read; templates have some twenty.
const MOST: usize = 200;

/// The variables by lower-cased name: senders do not agree on capitals (Sigfox callbacks, ACKNOWLEDGE).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Variables(BTreeMap<String, Value>);

impl Variables {
    pub(super) fn from_json(text: &[u8]) -> Result<Self, Malformed> {
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => Self::from_object(object),
            Ok(_) => Err(Malformed::new("the body is not a JSON object")),
            Err(error) => {
                let place = format!("line {} column {}", error.line(), error.column());
                Err(Malformed::new(format!("the body is not JSON ({place})")))
            }
        }
    }

    /// Reads a form or a query. What is no form gives no variable that anyone asks for.
    pub(super) fn from_form(text: &[u8]) -> Result<Self, Malformed> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(text)
            .map_err(|error| Malformed::new(format!("the form cannot be read: {error}")))?;
        Self::from_pairs(pairs.into_iter())
    }

    pub(super) fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Result<Self, Malformed> {
        Self::from_object(pairs.map(|(name, value)| (name, Value::String(value))).collect())
    }

    fn from_object(object: Map<String, Value>) -> Result<Self, Malformed> {
        if object.len() > MOST {
            return Err(Malformed::new(format!("more than {MOST} variables")));
        }
        Ok(Self(object.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
    }

    /// These, and of the others those that are not among these.
    pub(super) fn or(mut self, others: Self) -> Self {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// What was written, text or number, where it was written: `""` is a text, `null` is none.
    pub(super) fn written(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let is_absent = text.eq_ignore_ascii_case("null") || (text.starts_with('{') && text.ends_with('}'));
        (!is_absent).then_some(text)
    }

    /// What was written, unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.written(name).filter(|text| !text.is_empty())
    }

    /// A decimal integer. `007c` is none.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, fraction)| {
            if fraction.bytes().all(|digit| digit == b'0') { whole } else { "" }
        });
        whole.parse().ok()
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The same in single precision, as radio metrics are kept.
    pub(super) fn metric(&self, name: &str) -> Option<f32> {
        self.text(name)?.parse().ok().filter(|number: &f32| number.is_finite())
    }

    /// True or false, as such, as text, or as 1 and 0.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// The objects of a list, or the one that stands where a list should; also where the template put them into quotes.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        let value = match self.0.get(name) {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
            Some(value) => value.clone(),
            None => Value::Null,
        };
        let objects = match value {
            Value::Array(values) => values,
            other => vec![other],
        };
        let object =
            |value| if let Value::Object(object) = value { Self::from_object(object).ok() } else { None };
        objects.into_iter().filter_map(object).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_and_quoted_values_are_the_same() {
        let typed =
            Variables::from_json(br#"{"time":1477925692,"rssi":-123.5,"ack":true,"seqNumber":100}"#).unwrap();
        let quoted =
            Variables::from_json(br#"{"time":"1477925692","rssi":"-123.50","ack":"true","seqNumber":"100"}"#)
                .unwrap();
        let form = Variables::from_form(b"time=1477925692&rssi=-123.50&ack=1&seqNumber=100").unwrap();
        for variables in [typed, quoted, form] {
            assert_eq!(variables.integer("time"), Some(1_477_925_692));
            assert_eq!(variables.metric("rssi"), Some(-123.5));
            assert_eq!(variables.boolean("ack"), Some(true));
            assert_eq!(variables.integer("seqnumber"), Some(100));
        }
    }

    #[test]
    fn what_says_nothing_is_absent() {
        let text = br#"{"a":null,"b":"null","c":"{customData#Type}","d":"","e":[],"f":"NaN","g":"007c","h":"1e999"}"#;
        let variables = Variables::from_json(text).unwrap();
        for name in ["a", "b", "c", "d", "e", "missing"] {
            assert_eq!(variables.text(name), None, "{name}");
        }
        for name in ["f", "h"] {
            assert_eq!((variables.number(name), variables.metric(name)), (None, None), "{name}");
        }
        assert_eq!(variables.integer("g"), None);
        assert_eq!(variables.written("d").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for text in ["", "[]", "1", "{", "{\"a\":1}}", "\u{0}"] {
            assert!(Variables::from_json(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_may_be_one_object_or_quoted() {
        for text in [r#"{"x":[{"snr":1}]}"#, r#"{"x":{"snr":1}}"#, r#"{"x":"[{\"snr\":1}]"}"#] {
            let variables = Variables::from_json(text.as_bytes()).unwrap();
            assert_eq!(variables.objects("x").first().and_then(|x| x.number("snr")), Some(1.0), "{text}");
        }
        assert!(Variables::from_json(br#"{"x":null}"#).unwrap().objects("x").is_empty());
    }
}

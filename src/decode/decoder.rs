//! One decoder, compiled once: a reader of payloads, and what a configuration adds to it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::builtin::{self, Builtin};
use super::grammar::Grammar;
use super::{Decoded, FieldInfo};
use crate::config::{DecoderSettings, FieldSettings};
use crate::model::{DeviceId, DownlinkPayload, Fields, Payload, Timestamp};

/// One decoder, compiled once.
#[derive(Debug)]
pub struct Decoder {
    reader: Reader,
    encoder: Option<Grammar>,
    catalogue: Vec<FieldInfo>,
}

/// What reads the payload.
#[derive(Debug)]
enum Reader {
    Grammar(Grammar),
    Builtin(&'static Builtin),
    /// A decoder that only makes downlinks.
    Nothing,
}

/// Why a decoder cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key below the decoder: `format`, `fields.level`; empty: the decoder as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Decoder {
    /// The decoder of these settings; all problems at once.
    pub fn compile(settings: &DecoderSettings) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| problems.push(Problem { key: key.to_owned(), message });

        let readers = [settings.format.is_some(), settings.builtin.is_some()];
        let reader = match readers.iter().filter(|given| **given).count() {
            0 if settings.encode.is_some() => Reader::Nothing,
            1 => reader(settings, &mut refuse),
            _ => {
                refuse("", "expected exactly one of `format`, `builtin`".to_owned());
                Reader::Nothing
            }
        };
        let encoder = settings.encode.as_ref().and_then(|text| {
            let grammar = Grammar::parse(text, settings.dialect).map_err(|error| error.to_string());
            match grammar.and_then(|grammar| grammar.check_downlink().map(|()| grammar)) {
                Ok(grammar) => Some(grammar),
                Err(message) => {
                    refuse("encode", message);
                    None
                }
            }
        });
        let mut catalogue = catalogue(&reader);
        if let Err(unknown) = refine(&mut catalogue, &settings.fields) {
            let known: Vec<&str> = catalogue.iter().map(|info| info.key.as_str()).collect();
            for key in unknown {
                let message = format!("there is no field `{key}` (expected {})", known.join(", "));
                refuse(&format!("fields.{key}"), message);
            }
        }
        if problems.is_empty() { Ok(Self { reader, encoder, catalogue }) } else { Err(problems) }
    }

    /// The decoder of a grammar alone.
    #[must_use]
    pub fn of_grammar(grammar: Grammar) -> Self {
        let reader = Reader::Grammar(grammar);
        Self { catalogue: catalogue(&reader), reader, encoder: None }
    }

    /// The built-in decoder of this name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let reader = Reader::Builtin(builtin::named(name)?);
        Some(Self { catalogue: catalogue(&reader), reader, encoder: None })
    }

    /// Reads a payload. Never fails: what cannot be read is said in `errors`.
    #[must_use]
    pub fn decode(&self, _device: DeviceId, _time: Timestamp, payload: &Payload) -> Decoded {
        let bytes = payload.as_bytes();
        let mut decoded = match &self.reader {
            Reader::Grammar(grammar) => {
                let (fields, errors) = grammar.read(bytes);
                Decoded { fields, errors, ..Decoded::default() }
            }
            Reader::Builtin(builtin) => (builtin.decode)(bytes),
            Reader::Nothing => Decoded::default(),
        };
        decoded.position = position(&decoded.fields);
        decoded
    }

    /// The fields that it can give, in order.
    #[must_use]
    pub fn catalogue(&self) -> &[FieldInfo] {
        &self.catalogue
    }

    /// Its grammar, where one reads the payload.
    #[must_use]
    pub fn grammar(&self) -> Option<&Grammar> {
        match &self.reader {
            Reader::Grammar(grammar) => Some(grammar),
            _ => None,
        }
    }

    /// Whether it can make downlinks.
    #[must_use]
    pub fn can_encode(&self) -> bool {
        let builtin = matches!(self.reader, Reader::Builtin(Builtin { encode: Some(_), .. }));
        self.encoder.is_some() || builtin
    }

    /// Makes the eight bytes of a downlink from fields, or says in words why it cannot.
    pub fn encode(&self, fields: &Fields) -> Result<DownlinkPayload, String> {
        let bytes = match (&self.encoder, &self.reader) {
            (Some(grammar), _) => grammar.write(fields),
            (None, Reader::Builtin(Builtin { encode: Some(encode), .. })) => encode(fields),
            _ => Err("this decoder has no encoder (expected `data`, 16 hex digits)".to_owned()),
        };
        bytes.map(DownlinkPayload::new)
    }
}

fn reader(settings: &DecoderSettings, refuse: &mut impl FnMut(&str, String)) -> Reader {
    if let Some(text) = &settings.format {
        match Grammar::parse(text, settings.dialect) {
            Ok(grammar) => return Reader::Grammar(grammar),
            Err(error) => refuse("format", error.to_string()),
        }
    }
    if let Some(name) = &settings.builtin {
        match builtin::named(name) {
            Some(builtin) => return Reader::Builtin(builtin),
            None => refuse("builtin", unknown_builtin(name)),
        }
    }
    Reader::Nothing
}

/// Says that there is no such built-in decoder, and which there are.
fn unknown_builtin(name: &str) -> String {
    let known: Vec<&str> = builtin::all().map(|builtin| builtin.name).collect();
    let name: String = name.chars().take(40).collect();
    format!("there is no built-in decoder `{name}` (expected one of {})", known.join(", "))
}

/// What a reader gives, as far as it can be told beforehand.
fn catalogue(reader: &Reader) -> Vec<FieldInfo> {
    let mut catalogue: Vec<FieldInfo> = Vec::new();
    match reader {
        Reader::Grammar(grammar) => {
            for field in grammar.fields() {
                let info = FieldInfo {
                    key: field.name().to_owned(),
                    kind: field.kind(),
                    settings: FieldSettings::default(),
                };
                match catalogue.iter_mut().find(|earlier| earlier.key == info.key) {
                    Some(earlier) => *earlier = info,
                    None => catalogue.push(info),
                }
            }
        }
        Reader::Builtin(builtin) => catalogue.extend(builtin.fields.iter().map(|known| FieldInfo {
            key: known.key().to_owned(),
            kind: known.kind(),
            settings: known.settings(),
        })),
        Reader::Nothing => {}
    }
    catalogue
}

/// Lays a configuration's settings over what is known; the keys that no field has, if there are any.
fn refine(
    catalogue: &mut [FieldInfo],
    settings: &BTreeMap<String, FieldSettings>,
) -> Result<(), Vec<String>> {
    let mut unknown = Vec::new();
    for (key, own) in settings {
        match catalogue.iter_mut().find(|info| info.key == *key) {
            Some(info) => info.settings = own.clone().or(&info.settings),
            None => unknown.push(key.clone()),
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(unknown) }
}

impl FieldSettings {
    /// These settings, and where they say nothing, those.
    fn or(self, other: &Self) -> Self {
        Self {
            name: self.name.or_else(|| other.name.clone()),
            unit: self.unit.or_else(|| other.unit.clone()),
            device_class: self.device_class.or_else(|| other.device_class.clone()),
            state_class: self.state_class.or_else(|| other.state_class.clone()),
            precision: self.precision.or(other.precision),
            icon: self.icon.or_else(|| other.icon.clone()),
            entity_category: self.entity_category.or_else(|| other.entity_category.clone()),
        }
    }
}

/// The position that fields hold under one of the usual pairs of names; none where it is not on the Earth, or is
/// 0, 0, which trackers send for want of a fix.
fn position(fields: &Fields) -> Option<(f64, f64, Option<f64>)> {
    let number = |key: &str| fields.get(key).and_then(Value::as_f64);
    let pairs = [("latitude", "longitude"), ("lat", "lng"), ("lat", "lon")];
    let (latitude, longitude) =
        pairs.iter().find_map(|(latitude, longitude)| Some((number(latitude)?, number(longitude)?)))?;
    let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    let fixed = latitude != 0.0 || longitude != 0.0;
    (on_earth && fixed).then(|| (latitude, longitude, number("gps_accuracy").or_else(|| number("accuracy"))))
}

#[cfg(test)]
mod tests;

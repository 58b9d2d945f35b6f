//! One decoder, compiled once: a reader of payloads, and what a configuration adds to it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::builtin::{self, Builtin, Encode, Layout};
use super::computed::{Expression, Outcome};
use super::grammar::{Dialect, Field, Grammar};
#[cfg(feature = "javascript")]
use super::script::Script;
use super::{Decoded, FieldInfo, FieldKind};
use crate::config::{DecoderSettings, FieldSettings};
use crate::model::{DeviceId, DownlinkPayload, Fields, Payload, Timestamp};

/// The most computed fields of a decoder.
const MOST_COMPUTED: usize = 64;

/// One decoder, compiled once.
#[derive(Debug)]
pub struct Decoder {
    reader: Reader,
    computed: Vec<(String, Expression)>,
    acknowledged_by: Option<Expression>,
    encoder: Encoder,
    catalogue: Vec<FieldInfo>,
    /// Whether a position may be among its fields; to look for one in vain costs as much as to read two fields.
    may_locate: bool,
}

/// What reads the payload.
#[derive(Debug)]
enum Reader {
    Grammar(Grammar),
    Function(fn(&[u8]) -> Decoded),
    #[cfg(feature = "javascript")]
    Script(Script),
    /// A decoder that only makes downlinks.
    Nothing,
}

/// What makes downlinks.
#[derive(Debug)]
enum Encoder {
    Grammar(Grammar),
    Function(Encode),
    /// The script that reads the payload, if it can.
    Reader,
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
    /// The decoder of these settings and, where they name a script, its text; all problems at once.
    pub fn compile(settings: &DecoderSettings, script: Option<&str>) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems(Vec::new());
        let (reader, mut catalogue, own_encoder) = reader(settings, script, &mut problems);
        let encoder = match &settings.encode {
            Some(text) => encoder(text, settings.dialect, &mut problems).unwrap_or(own_encoder),
            None => own_encoder,
        };
        // What a script gives is known only when it runs.
        let open = settings.script.is_some();
        if settings.computed.len() > MOST_COMPUTED {
            problems.add("computed", format!("too many computed fields (expected at most {MOST_COMPUTED})"));
        }
        let mut computed = Vec::new();
        for (name, text) in &settings.computed {
            let key = format!("computed.{name}");
            let Some(expression) = problems.expression(&key, text, &catalogue, open) else { continue };
            let info =
                FieldInfo { key: name.clone(), kind: expression.kind(), settings: FieldSettings::default() };
            put(&mut catalogue, info);
            computed.push((name.clone(), expression));
        }
        let acknowledged_by = settings
            .acknowledged_by
            .as_ref()
            .and_then(|text| problems.expression("acknowledged_by", text, &catalogue, open));
        refine(&mut catalogue, &settings.fields, open, &mut problems);
        if problems.0.is_empty() {
            let may_locate = may_locate(&reader, &catalogue);
            Ok(Self { reader, computed, acknowledged_by, encoder, catalogue, may_locate })
        } else {
            Err(problems.0)
        }
    }

    /// The decoder of a grammar alone.
    #[must_use]
    pub fn of_grammar(grammar: Grammar) -> Self {
        let catalogue = catalogue_of(&grammar);
        Self::of(Reader::Grammar(grammar), catalogue, Encoder::Reader)
    }

    /// The built-in decoder of this name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let (reader, catalogue, encoder) = of_builtin(builtin::named(name)?).ok()?;
        Some(Self::of(reader, catalogue, encoder))
    }

    fn of(reader: Reader, catalogue: Vec<FieldInfo>, encoder: Encoder) -> Self {
        let may_locate = may_locate(&reader, &catalogue);
        Self { reader, computed: Vec::new(), acknowledged_by: None, encoder, catalogue, may_locate }
    }

    /// Reads a payload. Never fails: what cannot be read is said in `errors`.
    #[must_use]
    pub fn decode(&self, device: DeviceId, time: Timestamp, payload: &Payload) -> Decoded {
        let mut decoded = self.read(device, time, payload);
        for (name, expression) in &self.computed {
            match expression.evaluate(&decoded.fields) {
                Outcome::Value(value) => {
                    decoded.fields.insert(name.clone(), value);
                }
                // Devices send different fields at different times: what is not there computes nothing.
                Outcome::Missing(_) => {}
                Outcome::Failed(reason) => {
                    decoded.errors.push(format!("`{name}` cannot be computed: {reason}"));
                    decoded.fields.insert(name.clone(), Value::Null);
                }
            }
        }
        if let Some(rule) = &self.acknowledged_by {
            decoded.acknowledges |= rule.evaluate(&decoded.fields) == Outcome::Value(Value::Bool(true));
        }
        decoded.position = if self.may_locate { position(&decoded.fields) } else { None };
        decoded
    }

    #[cfg_attr(not(feature = "javascript"), expect(unused_variables, reason = "only scripts are told"))]
    fn read(&self, device: DeviceId, time: Timestamp, payload: &Payload) -> Decoded {
        match &self.reader {
            Reader::Grammar(grammar) => {
                let (fields, errors) = grammar.read(payload.as_bytes());
                Decoded { fields, errors, ..Decoded::default() }
            }
            Reader::Function(function) => function(payload.as_bytes()),
            #[cfg(feature = "javascript")]
            Reader::Script(script) => script.decode(device, time, payload),
            Reader::Nothing => Decoded::default(),
        }
    }

    /// The fields that it can give, in order; of a script, those that the configuration describes.
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
        match (&self.encoder, &self.reader) {
            (Encoder::Grammar(_) | Encoder::Function(_), _) => true,
            #[cfg(feature = "javascript")]
            (Encoder::Reader, Reader::Script(script)) => script.can_encode(),
            (Encoder::Reader, _) => false,
        }
    }

    /// The fields that a downlink takes, all of them, where a grammar says so.
    #[must_use]
    pub fn downlink_fields(&self) -> Option<&[Field]> {
        match &self.encoder {
            Encoder::Grammar(grammar) => Some(grammar.fields()),
            Encoder::Function(_) | Encoder::Reader => None,
        }
    }

    /// Makes the eight bytes of a downlink from fields, or says in words why it cannot.
    pub fn encode(&self, fields: &Fields) -> Result<DownlinkPayload, String> {
        let bytes = match (&self.encoder, &self.reader) {
            (Encoder::Grammar(grammar), _) => grammar.write(fields),
            (Encoder::Function(encode), _) => encode(fields),
            #[cfg(feature = "javascript")]
            (Encoder::Reader, Reader::Script(script)) if script.can_encode() => script.encode(fields),
            (Encoder::Reader, _) => {
                Err("this decoder has no encoder (expected `data`, 16 hex digits)".to_owned())
            }
        };
        bytes.map(DownlinkPayload::new)
    }
}

/// The problems that were found so far.
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(Problem { key: key.to_owned(), message: message.into() });
    }

    /// An expression over known fields; `open`: there may be others.
    fn expression(&mut self, key: &str, text: &str, known: &[FieldInfo], open: bool) -> Option<Expression> {
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(message) => {
                self.add(key, message);
                return None;
            }
        };
        for name in expression.names() {
            if !open && !known.iter().any(|info| info.key == *name) {
                self.add(key, unknown_field(name, known));
            }
        }
        Some(expression)
    }
}

type Read = (Reader, Vec<FieldInfo>, Encoder);

fn reader(settings: &DecoderSettings, script: Option<&str>, problems: &mut Problems) -> Read {
    let nothing = (Reader::Nothing, Vec::new(), Encoder::Reader);
    match (&settings.format, &settings.builtin, &settings.script) {
        (Some(text), None, None) => match Grammar::parse(text, settings.dialect) {
            Ok(grammar) => {
                let catalogue = catalogue_of(&grammar);
                return (Reader::Grammar(grammar), catalogue, Encoder::Reader);
            }
            Err(error) => problems.add("format", error.to_string()),
        },
        (None, Some(name), None) => match builtin::named(name).map(of_builtin) {
            Some(Ok(read)) => return read,
            Some(Err(message)) => problems.add("builtin", message),
            None => {
                let known: Vec<&str> = builtin::all().map(|builtin| builtin.name).collect();
                let message =
                    format!("there is no built-in decoder `{name}` (expected one of {})", known.join(", "));
                problems.add("builtin", message);
            }
        },
        (None, None, Some(_)) => match of_script(script.unwrap_or_default()) {
            Ok(reader) => return (reader, Vec::new(), Encoder::Reader),
            Err(message) => problems.add("script", message),
        },
        (None, None, None) if settings.encode.is_some() => {}
        _ => problems.add("", "expected exactly one of `format`, `builtin`, `script`"),
    }
    nothing
}

#[cfg(feature = "javascript")]
fn of_script(source: &str) -> Result<Reader, String> {
    Script::compile(source).map(Reader::Script)
}

#[cfg(not(feature = "javascript"))]
fn of_script(_source: &str) -> Result<Reader, String> {
    Err("this build runs no JavaScript (expected one with the feature `javascript`)".to_owned())
}

fn of_builtin(builtin: &'static Builtin) -> Result<Read, String> {
    let reader = match builtin.layout {
        Layout::Grammar(text) => {
            Reader::Grammar(Grammar::parse(text, Dialect::Sigfox).map_err(|error| error.to_string())?)
        }
        Layout::Function(function) => Reader::Function(function),
    };
    let of = |known: &builtin::Known| FieldInfo {
        key: known.key().to_owned(),
        kind: known.kind(),
        settings: known.settings(),
    };
    let catalogue = builtin.fields.iter().map(of).collect();
    Ok((reader, catalogue, builtin.encode.map_or(Encoder::Reader, Encoder::Function)))
}

fn encoder(text: &str, dialect: Dialect, problems: &mut Problems) -> Option<Encoder> {
    let grammar = Grammar::parse(text, dialect).map_err(|error| error.to_string());
    match grammar.and_then(|grammar| grammar.check_downlink().map(|()| grammar)) {
        Ok(grammar) => Some(Encoder::Grammar(grammar)),
        Err(message) => {
            problems.add("encode", message);
            None
        }
    }
}

fn catalogue_of(grammar: &Grammar) -> Vec<FieldInfo> {
    let mut catalogue = Vec::new();
    for field in grammar.fields() {
        let (key, kind) = (field.name().to_owned(), field.kind());
        put(&mut catalogue, FieldInfo { key, kind, settings: FieldSettings::default() });
    }
    catalogue
}

/// Adds a field, or replaces the one of its name.
fn put(catalogue: &mut Vec<FieldInfo>, info: FieldInfo) {
    match catalogue.iter_mut().find(|earlier| earlier.key == info.key) {
        Some(earlier) => *earlier = info,
        None => catalogue.push(info),
    }
}

/// Lays a configuration's settings over what is known; `open`: they may describe fields that are not known yet.
fn refine(
    catalogue: &mut Vec<FieldInfo>,
    settings: &BTreeMap<String, FieldSettings>,
    open: bool,
    problems: &mut Problems,
) {
    for (key, own) in settings {
        match catalogue.iter_mut().find(|info| info.key == *key) {
            Some(info) => info.settings = own.clone().or(&info.settings),
            None if open => {
                let measured = own.unit.is_some() || own.state_class.is_some() || own.precision.is_some();
                let kind = if measured { FieldKind::Number } else { FieldKind::Text };
                catalogue.push(FieldInfo { key: key.clone(), kind, settings: own.clone() });
            }
            None => problems.add(&format!("fields.{key}"), unknown_field(key, catalogue)),
        }
    }
}

fn unknown_field(name: &str, known: &[FieldInfo]) -> String {
    let known: Vec<&str> = known.iter().map(|info| info.key.as_str()).collect();
    format!("there is no field `{name}` (expected {})", known.join(", "))
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

fn may_locate(reader: &Reader, catalogue: &[FieldInfo]) -> bool {
    // Only of a grammar all fields are known before it reads.
    !matches!(reader, Reader::Grammar(_))
        || catalogue.iter().any(|field| matches!(field.key.as_str(), "latitude" | "lat"))
}

/// The position that fields hold under one of the usual pairs of names; none where it is not on the Earth, is
/// 0, 0, which trackers send for want of a fix, or is an old one, as `fix_failed` says.
fn position(fields: &Fields) -> Option<(f64, f64, Option<f64>)> {
    let number = |key: &str| fields.get(key).and_then(Value::as_f64);
    let pairs = [("latitude", "longitude"), ("lat", "lng"), ("lat", "lon")];
    let (latitude, longitude) =
        pairs.iter().find_map(|(latitude, longitude)| Some((number(latitude)?, number(longitude)?)))?;
    let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    let failed = fields.get("fix_failed") == Some(&Value::Bool(true));
    let fixed = !failed && (latitude != 0.0 || longitude != 0.0);
    (on_earth && fixed).then(|| (latitude, longitude, number("gps_accuracy").or_else(|| number("accuracy"))))
}

#[cfg(test)]
mod tests;

//! Files of vectors: payloads beside what they must be read as, and downlinks beside their bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Decoder;
use crate::config::{DecoderSettings, Dialect};
use crate::model::{DeviceId, DownlinkPayload, Fields, Payload, Timestamp};

/// A file of vectors, in TOML or JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorFile {
    #[serde(default)]
    uplink: Vec<Uplink>,
    #[serde(default)]
    downlink: Vec<Downlink>,
}

/// A payload and what it must be read as: all its fields, and all its errors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Uplink {
    name: Option<String>,
    /// Where the vector comes from; for people.
    #[serde(rename = "source")]
    _source: Option<String>,
    decoder: Option<String>,
    format: Option<String>,
    dialect: Option<String>,
    data: Payload,
    #[serde(default)]
    fields: Fields,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    acknowledges: bool,
}

/// Fields and the bytes that they must make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Downlink {
    name: Option<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
    decoder: Option<String>,
    encode: Option<String>,
    dialect: Option<String>,
    fields: Fields,
    data: DownlinkPayload,
}

/// How one vector went.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Its name, or its payload.
    pub name: String,
    /// What came instead of what was expected; none: all is well.
    pub failure: Option<String>,
}

impl VectorFile {
    /// Reads a file of vectors: JSON if it begins with `{`, else TOML.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())
        } else {
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
        }
    }

    /// Decodes and encodes every vector; `named` finds the decoders that the file names, or says why not.
    pub fn run(&self, mut named: impl FnMut(&str) -> Result<Arc<Decoder>, String>) -> Vec<Outcome> {
        let mut find = |name: &Option<String>, settings: DecoderSettings, dialect: &Option<String>| match name
        {
            Some(name) => named(name),
            None => compile(settings, dialect.as_deref()),
        };
        let mut outcomes = Vec::new();
        for vector in &self.uplink {
            let settings = DecoderSettings { format: vector.format.clone(), ..DecoderSettings::default() };
            let decoder = find(&vector.decoder, settings, &vector.dialect);
            let failure = decoder.and_then(|decoder| vector.check(&decoder)).err();
            outcomes.push(Outcome {
                name: vector.name.clone().unwrap_or_else(|| vector.data.to_string()),
                failure,
            });
        }
        for vector in &self.downlink {
            let settings = DecoderSettings { encode: vector.encode.clone(), ..DecoderSettings::default() };
            let decoder = find(&vector.decoder, settings, &vector.dialect);
            let failure = decoder.and_then(|decoder| vector.check(&decoder)).err();
            outcomes.push(Outcome {
                name: vector.name.clone().unwrap_or_else(|| vector.data.to_string()),
                failure,
            });
        }
        outcomes
    }
}

impl Uplink {
    fn check(&self, decoder: &Decoder) -> Result<(), String> {
        let decoded = decoder.decode(DeviceId::new(0, 1), Timestamp::default(), &self.data);
        let mut differences = Vec::new();
        for (key, expected) in &self.fields {
            match decoded.fields.get(key) {
                Some(found) if same(found, expected) => {}
                Some(found) => differences.push(format!("`{key}` is {found} (expected {expected})")),
                None => differences.push(format!("`{key}` is missing (expected {expected})")),
            }
        }
        for (key, found) in decoded.fields.iter().filter(|(key, _)| !self.fields.contains_key(*key)) {
            differences.push(format!("`{key}` is {found} (expected no such field)"));
        }
        if decoded.errors != self.errors {
            differences.push(format!("errors are {:?} (expected {:?})", decoded.errors, self.errors));
        }
        if decoded.acknowledges != self.acknowledges {
            let (found, expected) = (decoded.acknowledges, self.acknowledges);
            differences.push(format!("`acknowledges` is {found} (expected {expected})"));
        }
        if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
    }
}

impl Downlink {
    fn check(&self, decoder: &Decoder) -> Result<(), String> {
        let found = decoder.encode(&self.fields)?;
        if found == self.data { Ok(()) } else { Err(format!("{found} (expected {})", self.data)) }
    }
}

fn compile(settings: DecoderSettings, dialect: Option<&str>) -> Result<Arc<Decoder>, String> {
    let dialect = match dialect {
        None | Some("sigfox") => Dialect::Sigfox,
        Some("soracom") => Dialect::Soracom,
        Some(other) => return Err(format!("`{other}` is no dialect (expected sigfox or soracom)")),
    };
    let decoder = Decoder::compile(&DecoderSettings { dialect, ..settings }, None).map_err(|problems| {
        let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        messages.join("; ")
    })?;
    Ok(Arc::new(decoder))
}

/// Whether two values are the same; 17 and 17.0 are.
fn same(found: &Value, expected: &Value) -> bool {
    let whole = found.is_i64() || found.is_u64();
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(wanted)) if !whole || expected.is_f64() => {
            (found - wanted).abs() <= f64::EPSILON * wanted.abs()
        }
        _ => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every vector of a file in `tests/vectors`.
    fn all_hold(text: &str) {
        let outcomes = VectorFile::parse(text)
            .unwrap()
            .run(|name| Decoder::builtin(name).map(Arc::new).ok_or_else(|| "no such".to_owned()));
        assert!(!outcomes.is_empty());
        let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn the_sigfox_grammar_reads_every_published_vector() {
        all_hold(include_str!("../../tests/vectors/sigfox-grammar.toml"));
    }

    #[test]
    fn the_soracom_parser_reads_every_published_vector() {
        all_hold(include_str!("../../tests/vectors/soracom-parser.toml"));
    }

    #[test]
    fn grammars_write_what_they_read() {
        all_hold(include_str!("../../tests/vectors/downlinks.toml"));
    }

    #[test]
    fn built_in_decoders_read_every_published_vector() {
        all_hold(include_str!("../../tests/vectors/builtin.toml"));
    }

    #[test]
    fn a_vector_that_does_not_hold_says_what_came_instead() {
        let text = r#"{ "uplink": [
            { "name": "wrong", "format": "a::uint:8 b::uint:8", "data": "01", "fields": { "a": 2, "c": 1 } },
            { "decoder": "nobody", "data": "01" },
            { "format": "a::uint:65", "data": "02" }
        ] }"#;
        let outcomes =
            VectorFile::parse(text).unwrap().run(|_| Err("there is no decoder `nobody`".to_owned()));
        let failures: Vec<_> = outcomes.into_iter().filter_map(|outcome| outcome.failure).collect();
        assert_eq!(
            failures,
            [
                "`a` is 1 (expected 2); `c` is missing (expected 1); errors are [\"`b` is missing: it reads \
                 byte 1, and the payload has 1 byte\"] (expected [])",
                "there is no decoder `nobody`",
                "column 9: `65` is no size of `uint` (expected a number of bits from 1 to 64)",
            ]
        );
        assert!(VectorFile::parse("[[uplink]]\ndata = \"0\"").is_err());
    }
}

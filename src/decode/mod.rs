//! 4 From payloads to named fields, and back for downlinks.
//!
//! A payload is read by a grammar, a built-in decoder or a vendor's script; expressions may add fields to it.
//! Nothing in here does I/O (but the registry, which reads the scripts once), knows the time or can await.

mod builtin;
mod computed;
mod decoder;
pub mod grammar;
mod number;
mod registry;
#[cfg(feature = "javascript")]
mod script;
pub mod vector;

use serde_json::Value;

pub use self::decoder::{Decoder, Problem};
pub use self::registry::{Registry, Resolved};
use crate::config::FieldSettings;
use crate::model::Fields;

/// What a decoder made of a payload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// What could be read.
    pub fields: Fields,
    /// What could not, in words.
    pub errors: Vec<String>,
    /// A position in the payload: degrees north, degrees east, metres of accuracy.
    pub position: Option<(f64, f64, Option<f64>)>,
    /// Whether this uplink proves that a downlink arrived.
    pub acknowledges: bool,
}

/// A field that a decoder can give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its key in `fields`.
    pub key: String,
    /// What kind of value it has.
    pub kind: FieldKind,
    /// Name, unit and what else a consumer may want.
    pub settings: FieldSettings,
}

/// What kind of value a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// Text, or anything else.
    Text,
}

/// The names of the built-in decoders, each with what sends such payloads.
pub fn builtin_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    builtin::all().map(|builtin| (builtin.name, builtin.device))
}

impl Decoded {
    /// These fields and no error.
    fn of<const N: usize>(fields: [(&str, Value); N]) -> Self {
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { fields, ..Self::default() }
    }

    /// No fields, for this reason.
    fn nothing(reason: impl Into<String>) -> Self {
        Self { errors: vec![reason.into()], ..Self::default() }
    }
}

/// How many cases a property is tried with: so many as the environment says (`tests/long/decode` asks for a million), of
/// which one costs as much as `weight` cheap ones; else two thousand cheap ones.
#[cfg(test)]
fn cases(weight: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse::<u32>().ok());
    proptest::test_runner::Config::with_cases((asked.unwrap_or(2000) / weight).max(1))
}

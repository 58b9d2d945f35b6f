//! From payloads to fields (stub of the interface).

use std::sync::Arc;

use crate::config::{Config, FieldSettings};
use crate::model::{DeviceId, DownlinkPayload, Fields, Payload, PayloadKind, Timestamp};

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

/// Which decoder is a device's.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its name for documents (`decoder`); none: no decoder. The cloud's own grammar is called `cloud`.
    pub name: Option<String>,
    /// The decoder; none: payloads are published raw.
    pub decoder: Option<Arc<Decoder>>,
    /// Why the decoder that was meant cannot be used.
    pub problem: Option<String>,
}

/// One decoder, compiled once.
#[derive(Debug)]
pub struct Decoder {}

/// All decoders of a configuration, and those of the clouds as they turn up.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    /// Compiles the decoders of a configuration; all problems at once, each with the key it is about.
    pub fn new(_config: &Config) -> Result<Self, Vec<(String, String)>> {
        Ok(Self {})
    }

    /// The decoder of a device, first found: its own, its type's (by id or name), the cloud's grammar.
    #[must_use]
    pub fn resolve(
        &self,
        _device: DeviceId,
        _device_type: Option<(&str, Option<&str>)>,
        _cloud: Option<&PayloadKind>,
    ) -> Resolved {
        Resolved { name: None, decoder: None, problem: None }
    }
}

impl Decoder {
    /// Reads a payload. Never fails: what cannot be read is said in `errors`.
    #[must_use]
    pub fn decode(&self, _device: DeviceId, _time: Timestamp, _payload: &Payload) -> Decoded {
        Decoded::default()
    }

    /// The fields that it can give, in order.
    #[must_use]
    pub fn catalogue(&self) -> &[FieldInfo] {
        &[]
    }

    /// Makes the eight bytes of a downlink from fields, or says in words why it cannot.
    pub fn encode(&self, _fields: &Fields) -> Result<DownlinkPayload, String> {
        Err("this decoder has no encoder".to_owned())
    }
}

//! The arguments of a request: each read as what it must be, or refused in words.

use serde_json::{Map, Value};

use super::body;
use super::envelope::Fault;
use crate::model::{DeviceId, Timestamp};

/// The body of a request. A missing argument and null are the same.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Reads a body; an empty one has no arguments.
    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        let text = body.trim_ascii();
        match serde_json::from_slice(text) {
            Ok(Value::Object(arguments)) => Ok(Self(arguments)),
            _ if text.is_empty() => Ok(Self(Map::new())),
            Ok(_) => Err(Fault::new("malformed", "expected a JSON object")),
            Err(error) => Err(Fault::new("malformed", body::no_json(&error).0)),
        }
    }

    fn given(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// What its sender calls the request.
    pub(super) fn transaction(&self) -> Value {
        self.given("transaction").cloned().unwrap_or_default()
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, Fault> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed(key, "is no text")),
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<&str, Fault> {
        self.text(key)?.ok_or_else(|| malformed(key, "is missing"))
    }

    pub(super) fn device(&self) -> Result<Option<DeviceId>, Fault> {
        let text = self.text("device")?;
        text.map(|text| text.parse().map_err(|error| Fault::new("malformed", format!("`device`: {error}"))))
            .transpose()
    }

    pub(super) fn required_device(&self) -> Result<DeviceId, Fault> {
        self.device()?.ok_or_else(|| malformed("device", "is missing"))
    }

    pub(super) fn time(&self, key: &str) -> Result<Option<Timestamp>, Fault> {
        self.given(key).map(|value| body::time(value).map_err(|fault| malformed(key, &fault))).transpose()
    }

    /// `{"number": 3}`, or `{"all": true}` as none: which parked events are meant.
    pub(super) fn number_or_all(&self) -> Result<Option<u64>, Fault> {
        match (self.given("number").map(Value::as_u64), self.given("all")) {
            (Some(Some(number)), None) => Ok(Some(number)),
            (None, Some(Value::Bool(true))) => Ok(None),
            _ => Err(Fault::new("malformed", "expected `number` of a parked event, or `all` as true")),
        }
    }

    /// A number of things, at least one, at most `most`: more are asked for by the cursor of the answer.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Fault> {
        match self.given("limit") {
            None => Ok(default),
            Some(value) => match value.as_u64().and_then(|limit| usize::try_from(limit).ok()) {
                Some(limit) if limit > 0 => Ok(limit.min(most)),
                _ => Err(malformed("limit", "is no number from 1 on")),
            },
        }
    }
}

fn malformed(key: &str, fault: &str) -> Fault {
    Fault::new("malformed", format!("`{key}` {fault}"))
}

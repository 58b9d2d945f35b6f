//! What the gateway says about itself (`bridge/…`).

use serde::Serialize;
use serde_json::{Map, Value};

use super::VERSION;
use super::device::own_fields;
use crate::ingest::SourceStatus;
use crate::model::{DeviceId, SourceName, Timestamp};
use crate::publish::Presence;

/// Whether the gateway is there (`bridge/state`).
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BridgeState {
    v: u8,
    state: Presence,
}

impl BridgeState {
    /// The gateway is there.
    pub const ONLINE: Self = Self { v: VERSION, state: Presence::Online };
    /// The gateway is not there; also its testament.
    pub const OFFLINE: Self = Self { v: VERSION, state: Presence::Offline };
}

/// What the gateway is (`bridge/info`).
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BridgeInfo<'a> {
    /// Version of the document.
    pub v: u8,
    /// Version of the program.
    pub version: &'static str,
    /// Version of the contract.
    pub contract: u8,
    /// Its name.
    pub gateway: &'a str,
    /// What this build can do beside the rest.
    pub features: Vec<&'static str>,
    /// Its sources.
    pub sources: Vec<SourceRow<'a>>,
    /// Its mirrors.
    pub mirrors: Vec<MirrorRow<'a>>,
    /// Whether the configuration file says something that only a restart brings into effect.
    pub restart_required: bool,
    /// The keys that say it.
    pub restart_keys: &'a [String],
    /// Settings that others may need to know; never a secret.
    pub settings: Map<String, Value>,
}

/// A source in `bridge/info`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceRow<'a> {
    /// Its name.
    pub name: &'a SourceName,
    /// `sigfox` or `soracom`.
    pub kind: &'static str,
    /// How its downlinks are made.
    pub downlink: &'static str,
}

/// A mirror in `bridge/info`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MirrorRow<'a> {
    /// Its name.
    pub name: &'a SourceName,
    /// `altair`.
    pub kind: &'static str,
}

/// How a source does (`bridge/sources/<source>`).
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceDocument<'a> {
    v: u8,
    #[serde(flatten)]
    status: &'a SourceStatus,
}

impl<'a> SourceDocument<'a> {
    /// The document of a status.
    #[must_use]
    pub fn new(status: &'a SourceStatus) -> Self {
        Self { v: VERSION, status }
    }
}

/// All devices (`bridge/devices`).
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceIndex {
    /// Version of the document.
    pub v: u8,
    /// A row for each device, by id.
    pub devices: Vec<DeviceIndexRow>,
}

/// A device in the index.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceIndexRow {
    /// Its identifier.
    pub id: DeviceId,
    /// What it is called.
    pub name: String,
    /// The name of its type, else the type's identifier.
    #[serde(rename = "type")]
    pub device_type: Option<String>,
    /// The source that knows it.
    pub source: SourceName,
}

/// Something that happened to the gateway (`bridge/event`).
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BridgeEvent<'a> {
    v: u8,
    /// What happened.
    event: &'a str,
    /// When.
    time: Timestamp,
    #[serde(flatten)]
    detail: Map<String, Value>,
}

impl<'a> BridgeEvent<'a> {
    /// The document of an event; `detail` is a JSON object.
    #[must_use]
    pub fn new(kind: &'a str, time: Timestamp, detail: &str) -> Self {
        Self { v: VERSION, event: kind, time, detail: own_fields(detail, &["v", "event", "time"]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::SourceState;
    use crate::publish::document::print;

    #[test]
    fn the_documents_are_the_ones_of_the_contract() {
        assert_eq!(print(&BridgeState::ONLINE), r#"{"v":1,"state":"online"}"#);
        assert_eq!(print(&BridgeState::OFFLINE), r#"{"v":1,"state":"offline"}"#);
        let status = SourceStatus { state: SourceState::RateLimited, requests: 7, ..SourceStatus::default() };
        assert_eq!(
            print(&SourceDocument::new(&status)),
            concat!(
                r#"{"v":1,"state":"rate_limited","last_success":null,"lag_s":null,"next_poll":null,"#,
                r#""requests":7,"error":null}"#
            )
        );
        let event = BridgeEvent::new("device_added", Timestamp::default(), r#"{"device":"2C","source":"s"}"#);
        assert_eq!(
            print(&event),
            r#"{"v":1,"event":"device_added","time":"1970-01-01T00:00:00.000Z","device":"2C","source":"s"}"#
        );
    }
}

//! What a device is (`info`), and what the network reports about it (`event/service`).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::VERSION;
use crate::decode::{FieldInfo, FieldKind};
use crate::model::{CloudState, DeviceId, SourceName, Timestamp};

/// What a device is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceInfo<'a> {
    /// Version of the document.
    pub v: u8,
    /// Its identifier.
    pub id: DeviceId,
    /// What it is called: by the configuration, else by its cloud, else by its identifier.
    pub name: &'a str,
    /// The source that knows it.
    pub source: &'a SourceName,
    /// Its type in that cloud.
    #[serde(rename = "type")]
    pub device_type: Option<TypeRow<'a>>,
    /// Its tags in that cloud.
    pub tags: &'a BTreeMap<String, String>,
    /// What the cloud says about it.
    pub state: Option<CloudState>,
    /// Whether its cloud has stopped listing it.
    pub gone: bool,
    /// Its decoder.
    pub decoder: Option<&'a str>,
    /// Why the decoder that was meant cannot be used.
    pub decoder_error: Option<&'a str>,
    /// Every field that the decoder can give.
    pub fields: Vec<FieldRow<'a>>,
    /// How it can be sent a downlink.
    pub downlink: DownlinkCapability<'a>,
}

/// A device type.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TypeRow<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
}

/// A field of the catalogue.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldRow<'a> {
    /// Its key in `fields`.
    pub key: &'a str,
    /// What people call it.
    pub name: Option<&'a str>,
    /// `number`, `boolean` or `text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Unit of measurement.
    pub unit: Option<&'a str>,
    /// Home Assistant's device class.
    pub device_class: Option<&'a str>,
    /// Home Assistant's state class.
    pub state_class: Option<&'a str>,
}

/// How a device can be sent a downlink.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DownlinkCapability<'a> {
    /// `callback`, `direct`, `soracom` or `none`.
    pub mode: &'static str,
    /// How many a UTC day.
    pub daily_limit: u32,
    /// Why none will be sent as things are in its cloud.
    pub obstacle: Option<&'a str>,
}

impl<'a> From<&'a FieldInfo> for FieldRow<'a> {
    fn from(field: &'a FieldInfo) -> Self {
        let settings = &field.settings;
        Self {
            key: &field.key,
            name: settings.name.as_deref(),
            kind: match field.kind {
                FieldKind::Number => "number",
                FieldKind::Bool => "boolean",
                FieldKind::Text => "text",
            },
            unit: settings.unit.as_deref(),
            device_class: settings.device_class.as_deref(),
            state_class: settings.state_class.as_deref(),
        }
    }
}

/// What the network reported about a device.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceEvent<'a> {
    v: u8,
    /// About whom.
    device: DeviceId,
    /// When.
    time: Timestamp,
    /// What kind of report: `status`, `error`, ….
    kind: &'a str,
    #[serde(flatten)]
    detail: Map<String, Value>,
}

impl<'a> ServiceEvent<'a> {
    /// The document of a report; `detail` is a JSON object.
    #[must_use]
    pub fn new(device: DeviceId, time: Timestamp, kind: &'a str, detail: &str) -> Self {
        let detail = own_fields(detail, &["v", "device", "time", "kind"]);
        Self { v: VERSION, device, time, kind, detail }
    }
}

/// The fields of a JSON object but those that the document itself has.
pub(super) fn own_fields(detail: &str, taken: &[&str]) -> Map<String, Value> {
    let mut fields: Map<String, Value> = serde_json::from_str(detail).unwrap_or_default();
    fields.retain(|key, _| !taken.contains(&key.as_str()));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::document::print;

    #[test]
    fn a_report_cannot_overwrite_what_the_document_says() {
        let event = ServiceEvent::new(
            "2C".parse().unwrap(),
            Timestamp::default(),
            "status",
            r#"{"battery":3.2,"device":"other","v":7}"#,
        );
        assert_eq!(
            print(&event),
            r#"{"v":1,"device":"2C","time":"1970-01-01T00:00:00.000Z","kind":"status","battery":3.2}"#
        );
    }
}

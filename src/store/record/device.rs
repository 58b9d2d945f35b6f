//! Devices, device types and what the uplinks of a device have told so far, on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{LocationRecord, Record, TailRecord, code, named};
use crate::model::{
    CloudState, Device, DeviceId, DeviceType, DownlinkMode, PayloadKind, SourceName, Timestamp, UplinkId,
};
use crate::store::DeviceState;

const CLOUD_STATES: [CloudState; 9] = [
    CloudState::Ok,
    CloudState::Dead,
    CloudState::OffContract,
    CloudState::Disabled,
    CloudState::Warn,
    CloudState::Deleted,
    CloudState::Suspended,
    CloudState::NotActivable,
    CloudState::Unknown,
];

const DOWNLINK_MODES: [DownlinkMode; 4] =
    [DownlinkMode::Direct, DownlinkMode::Callback, DownlinkMode::None, DownlinkMode::Managed];

/// A name is cut after so many characters, as are a tag's key and value: they come from a cloud, and a value of
/// the store has a bound.
const LONGEST_TEXT: usize = 250;
/// So many bytes of tags are kept.
const LARGEST_TAGS: usize = 8 * 1024;
/// A longer grammar is not kept; its devices are raw.
const LONGEST_GRAMMAR: usize = 8 * 1024;

/// A device; its number is the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct DeviceRecord {
    /// How many digits its printed form has.
    width: u8,
    /// Whether an inventory lists it, or listed it last; before that, a message named it.
    pub(in crate::store) listed: bool,
    source: u16,
    name: Option<String>,
    device_type: Option<String>,
    tags: BTreeMap<String, String>,
    state: Option<u8>,
    /// In milliseconds; as far as it is newer than the newest uplink of the history.
    last_seen: Option<i64>,
    gone: bool,
    /// Where its cloud last said it to be.
    pub(in crate::store) place: Option<LocationRecord>,
}

impl Record for DeviceRecord {
    const WHAT: &'static str = "device";
}

impl DeviceRecord {
    /// The record of a device whose source has this number.
    pub(in crate::store) fn new(
        device: &Device,
        source: u16,
        listed: bool,
        place: Option<LocationRecord>,
    ) -> Self {
        Self {
            width: device.id.width(),
            listed,
            source,
            name: device.name.as_deref().map(cut),
            device_type: device.device_type.as_deref().map(cut),
            tags: bounded_tags(&device.tags),
            state: device.state.map(|state| code(&CLOUD_STATES, &state)),
            last_seen: device.last_seen.map(Timestamp::as_millis),
            gone: device.gone,
            place,
        }
    }

    /// The number of its source.
    pub(in crate::store) fn source(&self) -> u16 {
        self.source
    }

    /// The device again.
    pub(in crate::store) fn device(&self, number: u32, source: SourceName) -> Device {
        Device {
            id: DeviceId::new(number, self.width),
            source,
            name: self.name.clone(),
            device_type: self.device_type.clone(),
            tags: self.tags.clone(),
            state: self.state.and_then(|number| named(&CLOUD_STATES, number)),
            last_seen: self.last_seen.and_then(Timestamp::from_millis),
            gone: self.gone,
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

fn bounded_tags(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut bytes = 0;
    tags.iter()
        .map(|(key, value)| (cut(key), cut(value)))
        .take_while(|(key, value)| {
            bytes += key.len() + value.len() + 4;
            bytes <= LARGEST_TAGS
        })
        .collect()
}

/// A device type; its source and its id are the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct DeviceTypeRecord {
    name: Option<String>,
    payload: PayloadKindRecord,
    keep_alive_s: Option<u64>,
    downlink: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum PayloadKindRecord {
    Raw,
    Grammar(String),
    Geolocation,
    Text,
    SensitV2,
}

impl Record for DeviceTypeRecord {
    const WHAT: &'static str = "device type";
}

impl From<&DeviceType> for DeviceTypeRecord {
    fn from(device_type: &DeviceType) -> Self {
        Self {
            name: device_type.name.as_deref().map(cut),
            payload: match &device_type.payload {
                PayloadKind::Grammar(grammar) if grammar.len() > LONGEST_GRAMMAR => {
                    tracing::warn!(device_type = %cut(&device_type.id), bytes = grammar.len(), "payload grammar too long, read as raw");
                    PayloadKindRecord::Raw
                }
                PayloadKind::Grammar(grammar) => PayloadKindRecord::Grammar(grammar.clone()),
                PayloadKind::Raw => PayloadKindRecord::Raw,
                PayloadKind::Geolocation => PayloadKindRecord::Geolocation,
                PayloadKind::Text => PayloadKindRecord::Text,
                PayloadKind::SensitV2 => PayloadKindRecord::SensitV2,
            },
            keep_alive_s: device_type.keep_alive_s,
            downlink: device_type.downlink.map(|mode| code(&DOWNLINK_MODES, &mode)),
        }
    }
}

impl DeviceTypeRecord {
    /// The device type again.
    pub(in crate::store) fn device_type(self, id: String) -> DeviceType {
        DeviceType {
            id,
            name: self.name,
            payload: match self.payload {
                PayloadKindRecord::Raw => PayloadKind::Raw,
                PayloadKindRecord::Grammar(grammar) => PayloadKind::Grammar(grammar),
                PayloadKindRecord::Geolocation => PayloadKind::Geolocation,
                PayloadKindRecord::Text => PayloadKind::Text,
                PayloadKindRecord::SensitV2 => PayloadKind::SensitV2,
            },
            keep_alive_s: self.keep_alive_s,
            downlink: self.downlink.and_then(|number| named(&DOWNLINK_MODES, number)),
        }
    }
}

/// What a device's uplinks have told so far; its number is the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct StateRecord {
    seconds: i64,
    tail: TailRecord,
    /// In milliseconds.
    time: i64,
    /// A JSON object.
    fields: String,
    location: Option<LocationRecord>,
}

impl Record for StateRecord {
    const WHAT: &'static str = "state";
}

impl From<&DeviceState> for StateRecord {
    fn from(state: &DeviceState) -> Self {
        Self {
            seconds: state.newest.seconds,
            tail: state.newest.tail.into(),
            time: state.time.as_millis(),
            fields: serde_json::to_string(&*state.fields).unwrap_or_else(|_| "{}".to_owned()),
            location: state.location.as_ref().map(|location| LocationRecord::new(location, state.time)),
        }
    }
}

impl StateRecord {
    /// The state again.
    pub(in crate::store) fn state(&self, device: DeviceId) -> Option<DeviceState> {
        let time = Timestamp::from_millis(self.time)?;
        Some(DeviceState {
            newest: UplinkId { device, seconds: self.seconds, tail: self.tail.into() },
            time,
            fields: Arc::new(serde_json::from_str(&self.fields).ok()?),
            location: self.location.as_ref().and_then(|location| location.location(time)),
        })
    }
}

//! What is known about a device and its type beside its messages.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DeviceId, Location, Timestamp};

/// The name of a source, as the configuration spells it: 1 to 32 of `a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceName(String);

/// Why a text cannot name a source.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a name of a source (expected 1 to 32 of a-z 0-9 _ -)")]
pub struct ParseSourceNameError {
    text: String,
}

impl SourceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceName {
    type Err = ParseSourceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseSourceNameError { text: text.chars().take(40).collect() })
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device as the gateway knows it, from all its sources together.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its identifier, printed as the cloud that named it first prints it.
    pub id: DeviceId,
    /// The source that its inventory comes from, or the first that brought a message of it.
    pub source: SourceName,
    /// What its cloud calls it.
    pub name: Option<String>,
    /// The device type in that cloud.
    pub device_type: Option<String>,
    /// Tags (Soracom).
    pub tags: BTreeMap<String, String>,
    /// What the cloud says about it, where it does.
    pub state: Option<CloudState>,
    /// When it last sent, as far as any source told.
    pub last_seen: Option<Timestamp>,
    /// Whether its cloud has stopped listing it.
    pub gone: bool,
}

/// A device as one page of a cloud's inventory lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryDevice {
    /// Its identifier, printed as the cloud prints it.
    pub id: DeviceId,
    /// What the cloud calls it.
    pub name: Option<String>,
    /// The identifier of its type.
    pub device_type: Option<String>,
    /// Tags (Soracom).
    pub tags: BTreeMap<String, String>,
    /// What the cloud says about it.
    pub state: Option<CloudState>,
    /// When it last sent.
    pub last_seen: Option<Timestamp>,
    /// Where the cloud believes it to be.
    pub location: Option<Location>,
}

/// The state of a device in its cloud (Sigfox API v2 `state`; v1 and Soracom mapped onto it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum CloudState {
    /// Works.
    Ok,
    /// Has been silent for longer than its keep-alive.
    Dead,
    /// Has no contract.
    OffContract,
    /// Was switched off.
    Disabled,
    /// Works with a warning.
    Warn,
    /// Is deleted or terminated.
    Deleted,
    /// Is suspended.
    Suspended,
    /// Cannot be activated.
    NotActivable,
    /// A value that is not known.
    Unknown,
}

/// A device type of a Sigfox cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceType {
    /// Its identifier, 24 hex digits.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// How its payloads are to be read.
    pub payload: PayloadKind,
    /// The longest time between two messages before the cloud complains, in seconds; none if it never does.
    pub keep_alive_s: Option<u64>,
    /// How its downlinks are made; none where the cloud does not say.
    pub downlink: Option<DownlinkMode>,
}

/// How a cloud says that payloads are to be read (Sigfox API v2 `payloadType`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// Raw bytes (2), or a kind that we read no further.
    Raw,
    /// By this grammar (3, `payloadConfig`).
    Grammar(String),
    /// A position (4).
    Geolocation,
    /// Text (5).
    Text,
    /// A Sens'it v2 (9).
    SensitV2,
}

/// How downlinks of a device type are made (Sigfox API v2 `downlinkMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownlinkMode {
    /// A fixed answer that is kept in the device type (0).
    Direct,
    /// The cloud asks a callback (1).
    Callback,
    /// None (2).
    None,
    /// The network's own (3).
    Managed,
}

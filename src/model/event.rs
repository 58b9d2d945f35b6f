//! What the outbox carries: things that happened once and must reach the broker.

use super::{Device, DeviceId, Downlink, Location, Timestamp, Uplink, UplinkId};

/// Something that happened and is to be published at least once.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A device sent a message.
    Uplink(Box<Uplink>),
    /// A downlink changed its state; the item as it was right after.
    Downlink(Box<Downlink>),
    /// A device was located, at once or long after its message.
    Location {
        /// Who.
        device: DeviceId,
        /// Where and when.
        location: Location,
        /// The message that it belongs to, where that is known.
        uplink: Option<UplinkId>,
    },
    /// The network reported something about a device that is no message of it.
    Service {
        /// Who.
        device: DeviceId,
        /// When.
        time: Timestamp,
        /// `status`, `error`, `warning`, `keep_alive` or `break`.
        kind: String,
        /// The report's own fields as a JSON object.
        detail: String,
    },
    /// The gateway has something to tell (`bridge/event`).
    Bridge {
        /// When.
        time: Timestamp,
        /// `device_added`, `gap_possible`, `command_rejected`, …
        kind: String,
        /// The event's own fields as a JSON object.
        detail: String,
    },
}

impl Event {
    /// The time that the outbox orders it by.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Uplink(uplink) => uplink.time,
            Self::Downlink(item) => item.updated,
            Self::Location { location, .. } => location.time,
            Self::Service { time, .. } | Self::Bridge { time, .. } => *time,
        }
    }

    /// The device that it is about.
    #[must_use]
    pub fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Uplink(uplink) => Some(uplink.device),
            Self::Downlink(item) => Some(item.device),
            Self::Location { device, .. } | Self::Service { device, .. } => Some(*device),
            Self::Bridge { .. } => None,
        }
    }

    /// That a device was seen for the first time.
    #[must_use]
    pub fn device_added(device: &Device, time: Timestamp) -> Self {
        let detail = serde_json::json!({ "device": device.id, "source": device.source });
        Self::Bridge { time, kind: "device_added".to_owned(), detail: detail.to_string() }
    }
}

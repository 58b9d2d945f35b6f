//! The outbox on disk: blocks of events, in which an uplink is only a reference into the history.

use serde::{Deserialize, Serialize};

use super::{DownlinkRecord, LocationRecord, Record, TailRecord};
use crate::model::{DeviceId, Event, Timestamp, UplinkId};

/// Some events that were kept in one commit, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct BlockRecord {
    /// Each with its time in milliseconds after the block's first.
    pub(in crate::store) entries: Vec<(u64, EntryRecord)>,
}

/// One event of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) enum EntryRecord {
    /// The broker has it; its place is kept because the others are named by theirs.
    Done,
    /// An uplink of the history, whose second is the entry's time.
    Uplink { device: u32, tail: TailRecord },
    /// Anything else.
    Whole(EventRecord),
}

/// An event other than an uplink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) enum EventRecord {
    Downlink { device: u32, width: u8, item: Box<DownlinkRecord> },
    Location { device: u32, width: u8, location: LocationRecord, uplink: Option<(i64, TailRecord)> },
    Service { device: u32, width: u8, kind: String, detail: String },
    Bridge { kind: String, detail: String },
}

impl Record for BlockRecord {
    const WHAT: &'static str = "block of the outbox";
}

/// An event that the broker will not take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct ParkedRecord {
    /// Of the event, in milliseconds.
    pub(in crate::store) time: i64,
    pub(in crate::store) entry: EntryRecord,
    pub(in crate::store) topic: String,
    pub(in crate::store) reason: String,
    /// When it was parked, in milliseconds.
    pub(in crate::store) since: i64,
}

impl Record for ParkedRecord {
    const WHAT: &'static str = "parked event";
}

/// A longer report is replaced by its length: it comes from outside, and a value of the store has a bound.
const LONGEST_DETAIL: usize = 6 * 1024;

impl EntryRecord {
    /// The entry of an event.
    pub(in crate::store) fn new(event: &Event) -> Self {
        match event {
            Event::Uplink(uplink) => {
                Self::Uplink { device: uplink.device.number(), tail: uplink.id().tail.into() }
            }
            Event::Downlink(item) => Self::Whole(EventRecord::Downlink {
                device: item.device.number(),
                width: item.device.width(),
                item: Box::new(item.as_ref().into()),
            }),
            Event::Location { device, location, uplink } => Self::Whole(EventRecord::Location {
                device: device.number(),
                width: device.width(),
                location: LocationRecord::new(location, location.time),
                uplink: uplink.map(|id| (id.seconds, id.tail.into())),
            }),
            Event::Service { device, kind, detail, .. } => Self::Whole(EventRecord::Service {
                device: device.number(),
                width: device.width(),
                kind: kind.clone(),
                detail: bounded(detail),
            }),
            Event::Bridge { kind, detail, .. } => {
                Self::Whole(EventRecord::Bridge { kind: kind.clone(), detail: bounded(detail) })
            }
        }
    }
}

fn bounded(detail: &str) -> String {
    if detail.len() <= LONGEST_DETAIL {
        return detail.to_owned();
    }
    serde_json::json!({ "omitted_bytes": detail.len() }).to_string()
}

impl EventRecord {
    /// The device that it is about: its number and the width in which the event has it.
    pub(in crate::store) fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Downlink { device, width, .. }
            | Self::Location { device, width, .. }
            | Self::Service { device, width, .. } => Some(DeviceId::new(*device, *width)),
            Self::Bridge { .. } => None,
        }
    }

    /// The event again, of the device as it is printed now.
    pub(in crate::store) fn event(self, time: Timestamp, device: Option<DeviceId>) -> Option<Event> {
        Some(match self {
            Self::Downlink { item, .. } => Event::Downlink(Box::new(item.downlink(device?)?)),
            Self::Location { location, uplink, .. } => Event::Location {
                device: device?,
                location: location.location(time)?,
                uplink: uplink.and_then(|(seconds, tail)| {
                    Some(UplinkId { device: device?, seconds, tail: tail.into() })
                }),
            },
            Self::Service { kind, detail, .. } => Event::Service { device: device?, time, kind, detail },
            Self::Bridge { kind, detail } => Event::Bridge { time, kind, detail },
        })
    }
}

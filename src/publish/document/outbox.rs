//! What waits for the broker and what it refused, as a list (`bridge/request/outbox/list`, `outbox list`).

use serde::Serialize;

use crate::model::{DeviceId, Event, Timestamp};
use crate::store::{OutboxEntry, Parked};

/// An event that is not published yet.
#[derive(Debug, Serialize)]
pub struct OutboxRow {
    /// Names a parked event; one that waits needs no name.
    number: Option<u64>,
    state: &'static str,
    kind: String,
    id: Option<String>,
    device: Option<DeviceId>,
    time: Timestamp,
    topic: Option<String>,
    reason: Option<String>,
    since: Option<Timestamp>,
}

impl OutboxRow {
    fn new(state: &'static str, event: &Event) -> Self {
        let (kind, id) = match event {
            Event::Uplink(uplink) => ("uplink", Some(uplink.id().to_string())),
            Event::Downlink(item) => ("downlink", Some(item.id.to_string())),
            Event::Location { uplink, .. } => ("location", uplink.map(|uplink| uplink.to_string())),
            Event::Service { kind, .. } | Event::Bridge { kind, .. } => (kind.as_str(), None),
        };
        Self {
            number: None,
            state,
            kind: kind.to_owned(),
            id,
            device: event.device(),
            time: event.time(),
            topic: None,
            reason: None,
            since: None,
        }
    }
}

impl From<&OutboxEntry> for OutboxRow {
    fn from(entry: &OutboxEntry) -> Self {
        Self::new("waiting", &entry.event)
    }
}

impl From<Parked> for OutboxRow {
    fn from(parked: Parked) -> Self {
        let Parked { number, event, topic, reason, since } = parked;
        Self {
            number: Some(number),
            topic: Some(topic),
            reason: Some(reason),
            since: Some(since),
            ..Self::new("parked", &event)
        }
    }
}

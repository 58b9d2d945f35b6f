//! How the gateway itself does (`bridge/health`).

use std::time::Duration;

use serde::Serialize;

use super::document::VERSION;
use super::run::{Count, Run};
use crate::model::Timestamp;
use crate::process::resident_memory;
use crate::store::{Store, StoreError};

/// How often it is published; it expires after three of these.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// How the gateway itself does.
#[derive(Debug, Serialize)]
pub struct Health {
    v: u8,
    time: Timestamp,
    uptime_s: u64,
    pub(super) memory_bytes: Option<u64>,
    pub(super) store_bytes: Option<u64>,
    pub(super) store_error: Option<String>,
    pub(super) outbox: Option<OutboxHealth>,
    messages_in: u64,
    messages_out: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct OutboxHealth {
    pub(super) depth: u64,
    oldest: Option<Timestamp>,
}

impl Health {
    /// What can be said now; a store that does not answer is a thing to say.
    pub(super) fn look(store: &Store, run: &Run, now: Timestamp) -> Self {
        let depth = store.outbox_depth();
        let size = store.size_on_disk();
        let error = |error: &StoreError| error.to_string();
        let trouble = store.trouble();
        let store_error = [trouble.as_ref(), depth.as_ref().err(), size.as_ref().err()];
        let store_error = store_error.into_iter().flatten().next().map(error);
        Self {
            v: VERSION,
            time: now,
            uptime_s: run.uptime().as_secs(),
            memory_bytes: resident_memory(),
            store_bytes: size.ok(),
            store_error,
            outbox: depth.ok().map(|(depth, oldest)| OutboxHealth { depth, oldest }),
            messages_in: run.counted(Count::Uplink),
            messages_out: run.counted(Count::Acknowledged),
        }
    }
}

//! How the gateway itself does (`bridge/health`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::condition::{Complaint, Condition, Status};
use super::document::VERSION;
use super::run::{Count, Run};
use crate::config::Mirror;
use crate::ingest::{SourceState, SourceStatus, StatusBoard};
use crate::model::{SourceName, Timestamp};
use crate::process::resident_memory;
use crate::store::{Store, StoreError};

/// How often it is published; it expires after three of these.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// How the gateway itself does.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Health {
    v: u8,
    /// How the gateway does as a whole; 503 of `/healthz` where it is failing, of `/readyz` where it is not ok.
    status: Status,
    /// What keeps it from doing well.
    reasons: Vec<Complaint>,
    /// When this was so.
    time: Timestamp,
    /// Seconds since the start.
    uptime_s: u64,
    /// Resident memory.
    pub(super) memory_bytes: Option<u64>,
    /// The store's size on the disk.
    pub(super) store_bytes: Option<u64>,
    /// What is wrong with the store; none while all is well.
    pub(super) store_error: Option<String>,
    /// What waits for the broker.
    pub(super) outbox: Option<OutboxHealth>,
    /// Uplinks that were published since the start.
    messages_in: u64,
    /// Messages that the broker acknowledged since the start.
    messages_out: u64,
    mirrors: BTreeMap<SourceName, MirrorHealth>,
}

/// How a mirror does, and what waits for it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct MirrorHealth {
    state: SourceState,
    error: Option<String>,
    last_success: Option<Timestamp>,
    requests: u64,
    depth: u64,
    oldest: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct OutboxHealth {
    /// How many events.
    pub(super) depth: u64,
    /// The time of the oldest.
    oldest: Option<Timestamp>,
}

impl Health {
    /// What can be said now; a store that does not answer is a thing to say.
    pub(super) fn look(store: &Store, run: &Run, sources: &StatusBoard, now: Timestamp) -> Self {
        let Condition { status, reasons } = Condition::look(store, run, sources);
        let depth = store.outbox_depth();
        let size = store.size_on_disk();
        let error = |error: &StoreError| error.to_string();
        let trouble = store.trouble();
        let store_error = [trouble.as_ref(), depth.as_ref().err(), size.as_ref().err()];
        let store_error = store_error.into_iter().flatten().next().map(error);
        Self {
            v: VERSION,
            status,
            reasons,
            time: now,
            uptime_s: run.uptime().as_secs(),
            memory_bytes: resident_memory(),
            store_bytes: size.ok(),
            store_error,
            outbox: depth.ok().map(|(depth, oldest)| OutboxHealth { depth, oldest }),
            messages_in: run.counted(Count::Uplink),
            messages_out: run.counted(Count::Acknowledged),
            mirrors: BTreeMap::new(),
        }
    }

    /// With how the mirrors do.
    pub(super) fn with_mirrors(mut self, store: &Store, mirrors: &[Mirror], board: &StatusBoard) -> Self {
        let mut statuses = board.all();
        let health = |mirror: &Mirror| {
            let status = statuses.remove(&mirror.name).unwrap_or_default();
            let SourceStatus { state, error, last_success, requests, .. } = status;
            // A store that does not answer is told of beside the outbox.
            let (depth, oldest) = store.tenant_depth(&mirror.tenant()).unwrap_or_default();
            (mirror.name.clone(), MirrorHealth { state, error, last_success, requests, depth, oldest })
        };
        self.mirrors = mirrors.iter().map(health).collect();
        self
    }
}

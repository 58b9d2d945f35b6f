//! How the gateway itself does (`bridge/health`).

use std::time::Duration;

use serde::Serialize;

use super::document::VERSION;
use crate::model::Timestamp;
use crate::store::{Store, StoreError};

/// How often it is published; it expires after three of these.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// What is counted since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Uplinks that left the outbox.
    pub(super) uplinks: u64,
    /// Messages that the broker acknowledged.
    pub(super) messages: u64,
}

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
    pub(super) fn look(store: &Store, uptime: Duration, counts: Counts, now: Timestamp) -> Self {
        let depth = store.outbox_depth();
        let size = store.size_on_disk();
        let error = |error: &StoreError| error.to_string();
        let trouble = store.trouble();
        let store_error = [trouble.as_ref(), depth.as_ref().err(), size.as_ref().err()];
        let store_error = store_error.into_iter().flatten().next().map(error);
        Self {
            v: VERSION,
            time: now,
            uptime_s: uptime.as_secs(),
            memory_bytes: resident_memory(),
            store_bytes: size.ok(),
            store_error,
            outbox: depth.ok().map(|(depth, oldest)| OutboxHealth { depth, oldest }),
            messages_in: counts.uplinks,
            messages_out: counts.messages,
        }
    }
}

/// Resident memory in bytes, where the system tells (proc(5), `VmRSS`).
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory() {
        assert!(resident_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}

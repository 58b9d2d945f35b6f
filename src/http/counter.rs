//! What the listener counts, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::tally::Tally;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    malformed: AtomicU64,
    unauthorized: AtomicU64,
    too_large: AtomicU64,
    failed: AtomicU64,
    asks: AtomicU64,
    answered: AtomicU64,
    /// Answers of all kinds by their status.
    pub(super) statuses: Tally<u16>,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Callbacks that were kept.
    pub accepted: u64,
    /// Callbacks, or lines of a batch, that could not be read.
    pub malformed: u64,
    /// Requests without the right token.
    pub unauthorized: u64,
    /// Bodies over 64 KiB.
    pub too_large: u64,
    /// Callbacks that could not be kept.
    pub failed: u64,
    /// Uplinks that asked for a downlink.
    pub asks: u64,
    /// Asks that were answered with a downlink.
    pub answered: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Accepted,
    Malformed,
    Unauthorized,
    TooLarge,
    Failed,
    Ask,
    Answered,
}

impl Counters {
    pub(super) fn count(&self, what: Count) {
        let counter = match what {
            Count::Accepted => &self.accepted,
            Count::Malformed => &self.malformed,
            Count::Unauthorized => &self.unauthorized,
            Count::TooLarge => &self.too_large,
            Count::Failed => &self.failed,
            Count::Ask => &self.asks,
            Count::Answered => &self.answered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All counts at this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: read(&self.accepted),
            malformed: read(&self.malformed),
            unauthorized: read(&self.unauthorized),
            too_large: read(&self.too_large),
            failed: read(&self.failed),
            asks: read(&self.asks),
            answered: read(&self.answered),
        }
    }
}

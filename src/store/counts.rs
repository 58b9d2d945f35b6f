//! What the store has counted since the start.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Store;
use super::memory::Memory;
use crate::model::{DownlinkState, Event, SourceName};

/// What was counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Uplinks by the source that brought them.
    pub uplinks: BTreeMap<SourceName, Arrivals>,
    /// Downlinks that ended, by how.
    pub downlinks: BTreeMap<DownlinkState, u64>,
    /// Commits.
    pub commits: u64,
    /// How often commits were made durable; each time all that there were.
    pub syncs: u64,
    /// How long that took altogether.
    pub sync_time: Duration,
}

/// How often a source brought an uplink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// That was not known.
    pub new: u64,
    /// That was known already.
    pub known: u64,
}

/// What is counted under the store's lock; sources by their numbers.
#[derive(Debug, Default)]
pub(super) struct Counted {
    uplinks: BTreeMap<u16, Arrivals>,
    downlinks: BTreeMap<DownlinkState, u64>,
}

impl Counted {
    pub(super) fn arrived(&mut self, source: u16, is_new: bool) {
        let arrivals = self.uplinks.entry(source).or_default();
        let count = if is_new { &mut arrivals.new } else { &mut arrivals.known };
        *count = count.saturating_add(1);
    }

    /// Counts the downlinks that ended by these events.
    pub(super) fn told(&mut self, events: &[Event]) {
        for event in events {
            let Event::Downlink(item) = event else { continue };
            if item.is_final() {
                *self.downlinks.entry(item.state).or_default() += 1;
            }
        }
    }

    /// Takes over what a part has counted.
    pub(super) fn add(&mut self, part: &Self) {
        for (source, more) in &part.uplinks {
            let arrivals = self.uplinks.entry(*source).or_default();
            arrivals.new = arrivals.new.saturating_add(more.new);
            arrivals.known = arrivals.known.saturating_add(more.known);
        }
        for (state, more) in &part.downlinks {
            let count = self.downlinks.entry(*state).or_default();
            *count = count.saturating_add(*more);
        }
    }
}

impl Store {
    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let durability = self.durability();
        let commits = self.database().commits();
        let memory = self.memory();
        let Memory { counted, sources, .. } = &*memory;
        let named = |(source, arrivals): (&u16, &Arrivals)| Some((sources.name(*source)?.clone(), *arrivals));
        Counts {
            uplinks: counted.uplinks.iter().filter_map(named).collect(),
            downlinks: counted.downlinks.clone(),
            commits,
            syncs: durability.syncs.load(Ordering::Relaxed),
            sync_time: Duration::from_nanos(durability.sync_ns.load(Ordering::Relaxed)),
        }
    }
}

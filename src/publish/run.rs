//! What is true of this run of the publisher and stands in no store: what it counted, and when sources could not tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::availability::Presence;
use super::outage::Outages;
use crate::model::DeviceId;
use crate::tally::Tally;

/// So many changes may be unheard by somebody who looks on.
const UNHEARD: usize = 256;

/// What is true of this run. Clones share it: the publisher writes, whoever answers questions reads.
#[derive(Debug, Clone)]
pub struct Run(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    begun: Instant,
    counts: Tally<Count>,
    is_connected: AtomicBool,
    outages: Mutex<Outages>,
    judged: Mutex<BTreeMap<DeviceId, Presence>>,
    changed: broadcast::Sender<DeviceId>,
}

/// What is counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// Uplinks that left the outbox.
    Uplink,
    /// Messages that the broker acknowledged.
    Acknowledged,
    /// Messages that were under way when a connection ended, and are sent again.
    Repeated,
    /// Messages that the broker will never take.
    Refused,
    /// Connections to the broker.
    Connection,
    /// Uplinks whose decoder had something to complain of.
    DecodeError,
}

impl Default for Run {
    /// Begins now.
    fn default() -> Self {
        Self(Arc::new(Shared {
            begun: Instant::now(),
            counts: Tally::default(),
            is_connected: AtomicBool::new(false),
            outages: Mutex::default(),
            judged: Mutex::default(),
            changed: broadcast::channel(UNHEARD).0,
        }))
    }
}

impl Run {
    /// How long it lasts.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.begun.elapsed()
    }

    /// Whether there is a connection to the broker.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.is_connected.load(Ordering::Relaxed)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counted(&self, what: Count) -> u64 {
        self.0.counts.of(&what)
    }

    /// How many devices were last judged to be there, and how many not.
    #[must_use]
    pub fn judged(&self) -> BTreeMap<Presence, u64> {
        let mut counts = BTreeMap::from([(Presence::Online, 0), (Presence::Offline, 0)]);
        for presence in self.lock_judged().values() {
            *counts.entry(*presence).or_default() += 1;
        }
        counts
    }

    /// Devices whose verdict changes from now on.
    #[must_use]
    pub fn watch_judged(&self) -> broadcast::Receiver<DeviceId> {
        self.0.changed.subscribe()
    }

    pub(super) fn connected(&self, is_connected: bool) {
        self.0.is_connected.store(is_connected, Ordering::Relaxed);
    }

    pub(super) fn count(&self, what: Count, more: u64) {
        self.0.counts.add(what, more);
    }

    /// A device was judged.
    pub(super) fn judge(&self, device: DeviceId, presence: Presence) {
        if self.lock_judged().insert(device, presence) != Some(presence) {
            // Whether anybody looks on makes no difference.
            drop(self.0.changed.send(device));
        }
    }

    /// A device is no more.
    pub(super) fn forget(&self, device: DeviceId) {
        self.lock_judged().remove(&device);
    }

    pub(super) fn outages(&self) -> MutexGuard<'_, Outages> {
        // A panic under the lock leaves whole records.
        self.0.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_judged(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Presence>> {
        self.0.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

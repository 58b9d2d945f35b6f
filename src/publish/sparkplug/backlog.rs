//! What waits for the host: events are read, handed over, put behind a barrier, and forgotten when it has passed.
//!
//! Nobody acknowledges a Sparkplug message. An event counts as told when the broker has answered a request that was
//! written behind it on the same connection; whatever the connection took with it is told again.

use std::collections::{BTreeSet, VecDeque};

use crate::store::{OutboxEntry, OutboxKey, StoreError, Tenant};

/// Events that are read ahead.
const READ_AHEAD: usize = 200;

/// With so many events not yet known to have passed, no more are handed over.
const MOST_OPEN: usize = 1_000;

/// The outbox of the edge node as it empties it.
#[derive(Debug)]
pub(super) struct Backlog {
    tenant: Tenant,
    waiting: VecDeque<OutboxEntry>,
    /// Handed over, with no barrier behind them.
    open: Vec<OutboxKey>,
    /// Handed over, by the barrier behind them.
    behind: VecDeque<(u64, Vec<OutboxKey>)>,
    /// Passed, and not yet forgotten by the store.
    passed: Vec<OutboxKey>,
    /// Everything above, so that it is not read twice.
    known: BTreeSet<OutboxKey>,
    /// Whether the store may hold events that were not read.
    more: bool,
}

impl Backlog {
    pub(super) fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            waiting: VecDeque::new(),
            open: Vec::new(),
            behind: VecDeque::new(),
            passed: Vec::new(),
            known: BTreeSet::new(),
            more: true,
        }
    }

    /// The store has more, or may have.
    pub(super) fn more(&mut self) {
        self.more = true;
    }

    /// How many events wait to be told.
    pub(super) fn depth(&self) -> Result<u64, StoreError> {
        Ok(self.tenant.depth()?.0)
    }

    /// The oldest event that was not handed over; it stays until `handed_over`.
    pub(super) fn next(&mut self) -> Result<Option<&OutboxEntry>, StoreError> {
        if self.waiting.is_empty() && self.more && self.known.len() < MOST_OPEN {
            let entries = self.tenant.head(&self.known, READ_AHEAD)?;
            self.more = !entries.is_empty();
            self.known.extend(entries.iter().map(|entry| entry.key.clone()));
            self.waiting.extend(entries);
        }
        Ok(self.waiting.front())
    }

    /// What the oldest event led to is on its way.
    pub(super) fn handed_over(&mut self) {
        self.open.extend(self.waiting.pop_front().map(|entry| entry.key));
    }

    /// How many events have no barrier behind them, and whether one is under way.
    pub(super) fn wants_barrier(&self) -> (usize, bool) {
        (self.open.len(), !self.behind.is_empty())
    }

    /// Whether anything that was handed over is not yet known to have passed.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty() || !self.behind.is_empty()
    }

    /// A barrier stands behind everything that was handed over.
    pub(super) fn barrier(&mut self, number: u64) {
        self.behind.push_back((number, std::mem::take(&mut self.open)));
    }

    /// The broker has answered so many barriers.
    pub(super) fn passed(&mut self, number: u64) {
        while self.behind.front().is_some_and(|(barrier, _)| *barrier <= number) {
            self.passed.extend(self.behind.pop_front().into_iter().flat_map(|(_, keys)| keys));
        }
    }

    /// Lets the store forget what has passed. A crash before it has done so tells it again.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        if self.passed.is_empty() {
            return Ok(());
        }
        self.tenant.done(&self.passed)?;
        for key in self.passed.drain(..) {
            self.known.remove(&key);
        }
        // What was not read because too much was open can be read now.
        self.more = true;
        Ok(())
    }

    /// The connection is gone: what has not passed is read and told again, in order.
    pub(super) fn void(&mut self) {
        self.waiting.clear();
        self.open.clear();
        self.behind.clear();
        self.known = self.passed.iter().cloned().collect();
        self.more = true;
    }
}

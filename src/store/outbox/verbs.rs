//! The outbox as verbs: what is next, what is done, how much waits.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::model::{DeviceId, Event, Timestamp};
use crate::store::commit::Commit;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::layout::{LARGEST_COMMIT, Table, block_time, device_key, last_u64};
use crate::store::memory::Memory;
use crate::store::record::{EntryRecord, Record, StateRecord};
use crate::store::{Change, DeviceState, OutboxEntry, OutboxKey, Store};

/// So many blocks may be done and not yet removed.
const FINISHED_BLOCKS: usize = 20;
/// So many states may wait to be written.
const WAITING_STATES: usize = 1000;

impl Store {
    /// The oldest events that are not in `skip`.
    pub fn outbox_head(
        &self,
        skip: &BTreeSet<OutboxKey>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut memory = self.memory();
        let database = self.database();
        let mut head = Vec::new();
        // Blocks overlap in time: an event is next when no unread block begins before it.
        let mut ready = BinaryHeap::new();
        let mut unread = database.table(Table::Outbox)?.iter().keys();
        let mut next_block = None;
        while head.len() < limit {
            if next_block.is_none() {
                next_block = unread.next().transpose()?.and_then(|key| last_u64(&key));
            }
            let earliest = ready.peek().map(|Reverse((time, _, _))| *time);
            match (next_block, earliest) {
                (Some(block), earliest) if earliest.is_none_or(|time| block_time(block) <= time) => {
                    next_block = None;
                    if let Some(open) = memory.outbox.open(&database, block)? {
                        let waiting = open.left.iter().map(|(place, (time, _))| (*time, block, *place));
                        let fresh =
                            waiting.filter(|(_, block, place)| !skip.contains(&OutboxKey(*block, *place)));
                        ready.extend(fresh.map(Reverse));
                    }
                }
                (_, None) => break,
                (_, Some(_)) => {
                    let Some(Reverse((time, block, place))) = ready.pop() else { break };
                    let key = OutboxKey(block, place);
                    match self.load_event(&memory, time, &key)? {
                        Some(event) => head.push(OutboxEntry { key, event }),
                        None => memory.outbox.done(&database, &key)?,
                    }
                }
            }
        }
        Ok(head)
    }

    fn load_event(
        &self,
        memory: &Memory,
        time: Timestamp,
        key: &OutboxKey,
    ) -> Result<Option<Event>, StoreError> {
        let Some((_, entry)) = memory.outbox.open.get(&key.0).and_then(|block| block.left.get(&key.1)) else {
            return Ok(None);
        };
        let event = match entry {
            EntryRecord::Done => None,
            EntryRecord::Uplink { device, tail } => self
                .load_uplink(memory, *device, time, (*tail).into())?
                .map(|uplink| Event::Uplink(Box::new(uplink))),
            EntryRecord::Whole(event) => {
                let device = event.device().map(|device| memory.printed(device));
                event.clone().event(time, device)
            }
        };
        if event.is_none() {
            tracing::error!(%time, "event lost: its record cannot be read");
        }
        Ok(event)
    }

    /// Forgets events that the broker has, and keeps the device states that they led to. Both reach the disk
    /// together within a second, the states first: a crash before that publishes the events again.
    pub fn outbox_done(
        &self,
        keys: &[OutboxKey],
        states: &[(DeviceId, DeviceState)],
    ) -> Result<(), StoreError> {
        let mut memory = self.memory();
        for key in keys {
            memory.outbox.done(&self.database(), key)?;
        }
        for (device, state) in states {
            memory.states.insert(device.number(), state.clone());
        }
        if memory.outbox.finished.len() >= FINISHED_BLOCKS || memory.states.len() >= WAITING_STATES {
            // A disk that takes nothing holds up no publishing: what is done stays in memory.
            if let Err(error) = settle(&self.database(), &mut memory, false) {
                tracing::debug!(%error, "what the broker has is not written yet");
            }
        }
        Ok(())
    }

    /// How many events wait, and the time of the oldest.
    pub fn outbox_depth(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let mut memory = self.memory();
        if memory.outbox.depth == 0 {
            return Ok((0, None));
        }
        let database = self.database();
        for key in database.table(Table::Outbox)?.iter().keys() {
            let Some(key) = last_u64(&key?) else { continue };
            if let Some(block) = memory.outbox.open(&database, key)? {
                let oldest = block.left.values().map(|(time, _)| *time).min();
                return Ok((memory.outbox.depth, oldest));
            }
        }
        Ok((memory.outbox.depth, None))
    }

    /// Puts an event into the outbox that belongs to no other change.
    pub fn tell(&self, event: &Event) -> Result<(), StoreError> {
        let mut memory = self.memory();
        let mut commit = Commit::default();
        let staged = memory.outbox.stage(&self.database(), &mut commit, std::slice::from_ref(event))?;
        self.database().apply(&commit)?;
        memory.outbox.keep(&staged);
        drop(memory);
        self.announce([Change::Outbox]);
        Ok(())
    }

    /// What the uplinks of a device have told so far.
    pub fn device_state(&self, id: DeviceId) -> Result<Option<DeviceState>, StoreError> {
        let memory = self.memory();
        let device = memory.printed(id);
        if let Some(state) = memory.states.get(&id.number()) {
            return Ok(Some(state.clone()));
        }
        let Some(value) = self.database().table(Table::States)?.get(device_key(id))? else {
            return Ok(None);
        };
        Ok(StateRecord::decode(&value)?.state(device))
    }
}

/// Writes what `outbox_done` has left in memory; with `partly` also what is done of blocks that are not.
pub(in crate::store) fn settle(
    database: &Database,
    memory: &mut Memory,
    partly: bool,
) -> Result<(), StoreError> {
    let touched = memory.outbox.open.values().any(|block| block.touched);
    let due = !memory.outbox.finished.is_empty()
        || memory.states.len() >= WAITING_STATES
        || partly && (touched || !memory.states.is_empty());
    if !due {
        return Ok(());
    }
    // In commits of a bounded size; a crash between two of them leaves states that are ahead of their events.
    let mut commit = Commit::releasing();
    let apply_if_full = |commit: &mut Commit| {
        if commit.operations() < LARGEST_COMMIT {
            return Ok(());
        }
        database.apply(&std::mem::replace(commit, Commit::releasing()))
    };
    for (device, state) in &memory.states {
        match StateRecord::from(state).encode() {
            Ok(record) => commit.put(Table::States, device.to_be_bytes(), record),
            Err(error) => {
                tracing::warn!(device = %state.newest.device, %error, "state not kept over a restart");
                commit.remove(Table::States, device.to_be_bytes());
            }
        }
        apply_if_full(&mut commit)?;
    }
    for key in &memory.outbox.finished {
        commit.remove(Table::Outbox, key.to_be_bytes());
        apply_if_full(&mut commit)?;
    }
    if partly {
        for (key, block) in memory.outbox.open.iter().filter(|(_, block)| block.touched) {
            commit.put(Table::Outbox, key.to_be_bytes(), block.record.encode()?);
            apply_if_full(&mut commit)?;
        }
    }
    database.apply(&commit)?;
    memory.states.clear();
    memory.outbox.finished.clear();
    if partly {
        memory.outbox.open.values_mut().for_each(|block| block.touched = false);
    }
    Ok(())
}

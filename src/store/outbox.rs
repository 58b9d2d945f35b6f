//! The outbox: events in blocks, ordered by time, that leave when the broker has them.
//!
//! A block is removed when all of its events are done, a second or a thousand events later, together with the
//! states that they led to; what is done of it until then is in memory only. A crash publishes it again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::database::{Commit, Database};
use super::error::StoreError;
use super::layout::{LARGEST_COMMIT, Table, block_key, block_time, last_u64};
use super::memory::Memory;
use super::record::{BlockRecord, EntryRecord, Record, StateRecord};
use super::{Change, DeviceState, OutboxEntry, OutboxKey, Store};
use crate::model::{DeviceId, Event, Timestamp};

/// At most so many events lie in a block,
const BLOCK_EVENTS: usize = 100;
/// and about so many bytes.
const BLOCK_BYTES: usize = 4 * 1024;
/// So many blocks may be done and not yet removed.
const FINISHED_BLOCKS: usize = 20;
/// So many states may wait to be written.
const WAITING_STATES: usize = 1000;

/// What the memory holds of the outbox.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// How many events wait.
    depth: u64,
    arrivals: u64,
    /// Blocks that were read, because some of their events are on their way.
    open: BTreeMap<u64, OpenBlock>,
    /// Blocks that are done and not yet removed.
    finished: BTreeSet<u64>,
}

#[derive(Debug)]
struct OpenBlock {
    /// What is left, by place.
    left: BTreeMap<u16, (Timestamp, EntryRecord)>,
    record: BlockRecord,
    touched: bool,
}

/// Blocks that are in a commit and not yet in memory.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Staged {
    events: u64,
    blocks: u64,
}

impl Outbox {
    /// Counts what waits.
    pub(super) fn load(database: &Database) -> Result<Self, StoreError> {
        let mut depth = 0;
        for entry in database.table(Table::Outbox)? {
            let (key, value) = entry?;
            match BlockRecord::decode(&value) {
                Ok(block) => depth += block.waiting(),
                Err(error) => tracing::error!(?key, %error, "events lost: a block cannot be read"),
            }
        }
        Ok(Self { depth, ..Self::default() })
    }

    /// Puts events into a commit, in blocks by time.
    pub(super) fn stage(
        &self,
        database: &Database,
        commit: &mut Commit,
        events: &[Event],
    ) -> Result<Staged, StoreError> {
        let mut entries: Vec<_> =
            events.iter().map(|event| (event.time(), EntryRecord::new(event))).collect();
        entries.sort_by_key(|(time, _)| *time);
        let mut staged = Staged::default();
        let mut block = Vec::new();
        let mut bytes = 0;
        for (time, entry) in entries {
            let size = postcard::to_stdvec(&entry).map_or(BLOCK_BYTES, |encoded| encoded.len());
            if !block.is_empty() && (block.len() >= BLOCK_EVENTS || bytes + size > BLOCK_BYTES) {
                self.stage_block(database, commit, std::mem::take(&mut block), &mut staged)?;
                bytes = 0;
            }
            bytes += size;
            block.push((time, entry));
        }
        self.stage_block(database, commit, block, &mut staged)?;
        Ok(staged)
    }

    fn stage_block(
        &self,
        database: &Database,
        commit: &mut Commit,
        entries: Vec<(Timestamp, EntryRecord)>,
        staged: &mut Staged,
    ) -> Result<(), StoreError> {
        let Some(&(first, _)) = entries.first() else {
            return Ok(());
        };
        let table = database.table(Table::Outbox)?;
        // The count of arrivals starts anew with the process: step over what is still there from before.
        let mut arrival = self.arrivals + staged.blocks;
        let mut key = block_key(first, arrival);
        while table.contains_key(key.to_be_bytes())? {
            arrival += 1;
            staged.blocks += 1;
            key = block_key(first, arrival);
        }
        staged.events += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        staged.blocks += 1;
        let after = |time: Timestamp| u64::try_from(time.since(first).as_millis()).unwrap_or(u64::MAX);
        let entries = entries.into_iter().map(|(time, entry)| (after(time), entry)).collect();
        commit.put(Table::Outbox, key.to_be_bytes().as_slice(), BlockRecord { entries }.encode()?);
        Ok(())
    }

    /// Takes over what a commit has written.
    pub(super) fn keep(&mut self, staged: &Staged) {
        self.depth += staged.events;
        self.arrivals += staged.blocks;
    }

    /// Opens the block with this key, if it waits.
    fn open(&mut self, database: &Database, key: u64) -> Result<Option<&mut OpenBlock>, StoreError> {
        if self.finished.contains(&key) {
            return Ok(None);
        }
        if !self.open.contains_key(&key) {
            let Some(value) = database.table(Table::Outbox)?.get(key.to_be_bytes())? else {
                return Ok(None);
            };
            match BlockRecord::decode(&value) {
                Ok(record) => {
                    self.open.insert(key, OpenBlock::new(key, record));
                }
                Err(error) => {
                    // Said at the opening already; it was never counted.
                    tracing::error!(key, %error, "events lost: a block cannot be read");
                    self.finished.insert(key);
                }
            }
        }
        Ok(self.open.get_mut(&key))
    }

    fn done(&mut self, database: &Database, key: &OutboxKey) -> Result<(), StoreError> {
        let Some(block) = self.open(database, key.0)? else {
            return Ok(());
        };
        if block.left.remove(&key.1).is_none() {
            return Ok(());
        }
        block.touched = true;
        if let Some((_, entry)) = block.record.entries.get_mut(usize::from(key.1)) {
            *entry = EntryRecord::Done;
        }
        if block.left.is_empty() {
            self.open.remove(&key.0);
            self.finished.insert(key.0);
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }
}

impl BlockRecord {
    fn waiting(&self) -> u64 {
        let waiting = self.entries.iter().filter(|(_, entry)| *entry != EntryRecord::Done).count();
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }
}

impl OpenBlock {
    fn new(key: u64, record: BlockRecord) -> Self {
        let first = block_time(key);
        let left = (0_u16..)
            .zip(&record.entries)
            .filter(|(_, (_, entry))| *entry != EntryRecord::Done)
            .map(|(place, (after, entry))| {
                (place, (first.plus(std::time::Duration::from_millis(*after)), entry.clone()))
            })
            .collect();
        Self { left, record, touched: false }
    }
}

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
                    if let Some(open) = memory.outbox.open(database, block)? {
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
                        None => memory.outbox.done(database, &key)?,
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
            memory.outbox.done(self.database(), key)?;
        }
        for (device, state) in states {
            memory.states.insert(device.number(), state.clone());
        }
        if memory.outbox.finished.len() >= FINISHED_BLOCKS || memory.states.len() >= WAITING_STATES {
            self.settle(&mut memory, false)?;
        }
        Ok(())
    }

    /// Writes what `outbox_done` has left in memory; with `partly` also what is done of blocks that are not.
    pub(super) fn settle(&self, memory: &mut Memory, partly: bool) -> Result<(), StoreError> {
        let touched = |outbox: &Outbox| outbox.open.values().any(|block| block.touched);
        if memory.outbox.finished.is_empty()
            && !(partly && (touched(&memory.outbox) || !memory.states.is_empty()))
        {
            return Ok(());
        }
        let mut commit = Commit::default();
        // In commits of a bounded size; a crash between two of them leaves states that are ahead of their events.
        for (device, state) in &memory.states {
            match StateRecord::from(state).encode() {
                Ok(record) => commit.put(Table::States, device.to_be_bytes().as_slice(), record),
                Err(error) => {
                    tracing::warn!(device = %state.newest.device, %error, "state not kept over a restart");
                    commit.remove(Table::States, device.to_be_bytes().as_slice());
                }
            }
            self.apply_if_full(&mut commit)?;
        }
        for key in &memory.outbox.finished {
            commit.remove(Table::Outbox, key.to_be_bytes().as_slice());
            self.apply_if_full(&mut commit)?;
        }
        if partly {
            for (key, block) in memory.outbox.open.iter().filter(|(_, block)| block.touched) {
                commit.put(Table::Outbox, key.to_be_bytes().as_slice(), block.record.encode()?);
                self.apply_if_full(&mut commit)?;
            }
        }
        self.database().apply(commit)?;
        memory.states.clear();
        memory.outbox.finished.clear();
        if partly {
            memory.outbox.open.values_mut().for_each(|block| block.touched = false);
        }
        Ok(())
    }

    fn apply_if_full(&self, commit: &mut Commit) -> Result<(), StoreError> {
        if commit.operations() < LARGEST_COMMIT {
            return Ok(());
        }
        self.database().apply(std::mem::take(commit))
    }

    /// How many events wait, and the time of the oldest.
    pub fn outbox_depth(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let memory = self.memory();
        if memory.outbox.depth == 0 {
            return Ok((0, None));
        }
        for key in self.database().table(Table::Outbox)?.iter().keys() {
            let Some(key) = last_u64(&key?) else { continue };
            if memory.outbox.finished.contains(&key) {
                continue;
            }
            let left = memory
                .outbox
                .open
                .get(&key)
                .and_then(|block| block.left.values().map(|(time, _)| *time).min());
            return Ok((memory.outbox.depth, Some(left.unwrap_or_else(|| block_time(key)))));
        }
        Ok((memory.outbox.depth, None))
    }

    /// Puts an event into the outbox that belongs to no other change.
    pub fn tell(&self, event: &Event) -> Result<(), StoreError> {
        let mut memory = self.memory();
        let mut commit = Commit::default();
        let staged = memory.outbox.stage(self.database(), &mut commit, std::slice::from_ref(event))?;
        self.database().apply(commit)?;
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
        let Some(value) = self.database().table(Table::States)?.get(super::layout::device_key(id))? else {
            return Ok(None);
        };
        Ok(StateRecord::decode(&value)?.state(device))
    }
}

//! The outbox as verbs: what is next, what is done, how much waits.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::model::{DeviceId, Event, Timestamp};
use crate::store::commit::Commit;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::layout::{LARGEST_COMMIT, Table, block_key, block_time, device_key, last_u64};
use crate::store::memory::Memory;
use crate::store::record::{EntryRecord, Record, StateRecord};
use crate::store::{Change, DeviceState, OutboxEntry, OutboxKey, Store};

use super::Reader;

/// So many blocks may be done and not yet removed: what a fast broker takes within a second. More often would write the
/// states of the same devices again and again.
const FINISHED_BLOCKS: usize = 400;
/// So many states may wait to be written.
const WAITING_STATES: usize = 4_000;

impl Store {
    /// The oldest events that are not in `skip`.
    pub fn outbox_head(
        &self,
        skip: &BTreeSet<OutboxKey>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.head_of(Reader::Broker, skip, limit)
    }

    pub(in crate::store) fn head_of(
        &self,
        reader: Reader,
        skip: &BTreeSet<OutboxKey>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut memory = self.memory();
        let database = self.database();
        let mut head = Vec::new();
        // Blocks overlap in time: an event is next when no unread block begins before it.
        let mut ready = BinaryHeap::new();
        let mut unread = database.table(reader.table())?.scan_prefix(reader.prefix()).keys();
        let mut next_block = None;
        while head.len() < limit {
            if next_block.is_none() {
                next_block = unread.next().transpose()?.and_then(|key| last_u64(&key));
            }
            let earliest = ready.peek().map(|Reverse((time, _, _))| *time);
            match (next_block, earliest) {
                (Some(block), earliest) if earliest.is_none_or(|time| block_time(block) <= time) => {
                    next_block = None;
                    if let Some(open) = memory.outbox.open(&database, reader, block)? {
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
                    match self.load_event(&mut memory, reader, time, &key)? {
                        Some(event) => head.push(OutboxEntry { key, event }),
                        None => memory.outbox.done(&database, reader, &key)?,
                    }
                }
            }
        }
        Ok(head)
    }

    fn load_event(
        &self,
        memory: &mut Memory,
        reader: Reader,
        time: Timestamp,
        key: &OutboxKey,
    ) -> Result<Option<Event>, StoreError> {
        let Some(entry) = memory.outbox.entry(reader, key).cloned() else {
            return Ok(None);
        };
        let event = self.event_of(memory, time, entry)?;
        if event.is_none() {
            tracing::error!(%time, "event lost: its record cannot be read");
        }
        Ok(event)
    }

    /// The event of an entry; none where what it refers to is gone.
    pub(in crate::store) fn event_of(
        &self,
        memory: &mut Memory,
        time: Timestamp,
        entry: EntryRecord,
    ) -> Result<Option<Event>, StoreError> {
        Ok(match entry {
            EntryRecord::Done => None,
            EntryRecord::Uplink { device, tail } => self
                .take_uplink(memory, device, time, tail.into())?
                .map(|uplink| Event::Uplink(Box::new(uplink))),
            EntryRecord::Whole(event) => {
                let device = event.device().map(|device| memory.printed(device));
                event.event(time, device)
            }
        })
    }

    /// Forgets events that the broker has, and keeps the device states that they led to. Both reach the disk
    /// together within a second, the states first: a crash before that publishes the events again.
    pub fn outbox_done(
        &self,
        keys: &[OutboxKey],
        states: Vec<(DeviceId, DeviceState)>,
    ) -> Result<(), StoreError> {
        self.done_of(Reader::Broker, keys, states)
    }

    pub(in crate::store) fn done_of(
        &self,
        reader: Reader,
        keys: &[OutboxKey],
        states: Vec<(DeviceId, DeviceState)>,
    ) -> Result<(), StoreError> {
        let mut memory = self.memory();
        for key in keys {
            memory.outbox.done(&self.database(), reader, key)?;
        }
        memory.states.extend(states.into_iter().map(|(device, state)| (device.number(), state)));
        if memory.outbox.finished(reader) >= FINISHED_BLOCKS || memory.states.len() >= WAITING_STATES {
            // A disk that takes nothing holds up no publishing: what is done stays in memory.
            if let Err(error) = settle(&self.database(), &mut memory, false) {
                tracing::debug!(%error, "what was taken out of the outbox is not written yet");
            }
        }
        Ok(())
    }

    /// How many events wait, and the time of the oldest.
    pub fn outbox_depth(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        self.depth_of(Reader::Broker)
    }

    pub(in crate::store) fn depth_of(&self, reader: Reader) -> Result<(u64, Option<Timestamp>), StoreError> {
        depth(&self.database(), &mut self.memory(), reader)
    }

    /// Gives up what a reader has not taken of before a time, and says how many events that were. What was given up
    /// is off the disk when this returns, though not yet durably so.
    pub(in crate::store) fn give_up_before(
        &self,
        reader: Reader,
        time: Timestamp,
    ) -> Result<u64, StoreError> {
        let (mut from, until) = (0, block_key(time, 0));
        let mut given_up = 0;
        loop {
            let mut memory = self.memory();
            let database = self.database();
            let table = database.table(reader.table())?;
            // So few at a time that nobody waits long for the lock.
            let keys = table.range(reader.key(from)..reader.key(until)).keys().take(LARGEST_COMMIT);
            let blocks: Vec<u64> = keys
                .map(|key| Ok(last_u64(&key?)))
                .collect::<Result<Vec<_>, StoreError>>()?
                .into_iter()
                .flatten()
                .collect();
            let Some(last) = blocks.last().copied() else { return Ok(given_up) };
            for block in blocks {
                let Some(open) = memory.outbox.open(&database, reader, block)? else { continue };
                let places = open.left.iter().filter(|(_, (at, _))| *at < time).map(|(place, _)| *place);
                for place in places.collect::<Vec<_>>() {
                    memory.outbox.done(&database, reader, &OutboxKey(block, place))?;
                    given_up += 1;
                }
            }
            settle(&database, &mut memory, true)?;
            from = last.saturating_add(1);
        }
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

/// How many events wait for a reader, and the time of the oldest.
fn depth(
    database: &Database,
    memory: &mut Memory,
    reader: Reader,
) -> Result<(u64, Option<Timestamp>), StoreError> {
    let depth = memory.outbox.depth(reader);
    if depth == 0 {
        return Ok((0, None));
    }
    for key in database.table(reader.table())?.scan_prefix(reader.prefix()).keys() {
        let Some(key) = last_u64(&key?) else { continue };
        if let Some(block) = memory.outbox.open(database, reader, key)? {
            let oldest = block.left.values().map(|(time, _)| *time).min();
            return Ok((depth, oldest));
        }
    }
    Ok((depth, None))
}

/// The time of the oldest event that waits for anybody.
pub(in crate::store) fn oldest(
    database: &Database,
    memory: &mut Memory,
) -> Result<Option<Timestamp>, StoreError> {
    let readers: Vec<Reader> = memory.outbox.all().map(|(reader, _)| reader).collect();
    let mut oldest: Option<Timestamp> = None;
    for reader in readers {
        let (_, of_reader) = depth(database, memory, reader)?;
        oldest = oldest.into_iter().chain(of_reader).min();
    }
    Ok(oldest)
}

/// Writes what readers are done with and `outbox_done` has left in memory; with `partly` also what is done of blocks
/// that are not.
pub(in crate::store) fn settle(
    database: &Database,
    memory: &mut Memory,
    partly: bool,
) -> Result<(), StoreError> {
    let due = memory.outbox.all().any(|(_, outbox)| outbox.is_due(partly))
        || memory.states.len() >= WAITING_STATES
        || partly && !memory.states.is_empty();
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
    for (reader, outbox) in memory.outbox.all() {
        for key in &outbox.finished {
            commit.remove(reader.table(), reader.key(*key));
            apply_if_full(&mut commit)?;
        }
        for (key, block) in outbox.open.iter().filter(|(_, block)| partly && block.touched) {
            commit.put(reader.table(), reader.key(*key), block.record.encode()?);
            apply_if_full(&mut commit)?;
        }
    }
    database.apply(&commit)?;
    memory.states.clear();
    memory.outbox.all_mut().for_each(|outbox| outbox.settled(partly));
    Ok(())
}

//! An outbox: events in blocks, ordered by time, that leave when their reader has them. The broker has one, and each
//! tenant one of its own.
//!
//! A block is removed when all of its events are done, a second later, together with the
//! states that they led to; what is done of it until then is in memory only. A crash publishes it again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

mod readers;
mod verbs;

pub(super) use readers::{Outboxes, Reader};
pub(super) use verbs::{oldest, settle};

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::OutboxKey;
use super::commit::Commit;
use super::database::Database;
use super::error::StoreError;
use super::layout::{block_key, block_time};
use super::record::{BlockRecord, EntryRecord, Record};
use crate::model::{Event, Timestamp};

/// At most so many events lie in a block,
const BLOCK_EVENTS: usize = 100;
/// and about so many bytes.
const BLOCK_BYTES: usize = 4 * 1024;

/// What the memory holds of a reader's outbox.
#[derive(Debug)]
pub(super) struct Outbox {
    reader: Reader,
    /// Is notified when something new waits.
    arrived: Arc<Notify>,
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
struct Staged {
    events: u64,
    blocks: u64,
}

impl Outbox {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            arrived: Arc::default(),
            depth: 0,
            arrivals: 0,
            open: BTreeMap::new(),
            finished: BTreeSet::new(),
        }
    }

    /// Counts what waits.
    fn load(database: &Database, reader: Reader) -> Result<Self, StoreError> {
        let mut depth = 0;
        for entry in database.table(reader.table())?.scan_prefix(reader.prefix()) {
            let (key, value) = entry?;
            match BlockRecord::decode(&value) {
                Ok(block) => depth += block.waiting(),
                Err(error) => tracing::error!(?key, %error, "events lost: a block cannot be read"),
            }
        }
        Ok(Self { depth, ..Self::new(reader) })
    }

    /// Puts events into a commit, in blocks by time.
    fn stage(
        &self,
        database: &Database,
        commit: &mut Commit,
        events: &[Event],
    ) -> Result<Staged, StoreError> {
        let meant = events.iter().filter(|event| self.reader.reads(event));
        let mut entries: Vec<_> = meant.map(|event| (event.time(), EntryRecord::new(event))).collect();
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
        let table = database.table(self.reader.table())?;
        // The count of arrivals starts anew with the process: step over what is still there from before.
        let mut arrival = self.arrivals + staged.blocks;
        let mut key = block_key(first, arrival);
        while table.contains_key(self.reader.key(key))? {
            arrival += 1;
            staged.blocks += 1;
            key = block_key(first, arrival);
        }
        staged.events += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        staged.blocks += 1;
        let after = |time: Timestamp| u64::try_from(time.since(first).as_millis()).unwrap_or(u64::MAX);
        let entries = entries.into_iter().map(|(time, entry)| (after(time), entry)).collect();
        commit.put(self.reader.table(), self.reader.key(key), BlockRecord { entries }.encode()?);
        Ok(())
    }

    /// Takes over what a commit has written.
    fn keep(&mut self, staged: &Staged) {
        self.depth += staged.events;
        self.arrivals += staged.blocks;
        if staged.events > 0 {
            // All who wait now, and the next who comes.
            self.arrived.notify_waiters();
            self.arrived.notify_one();
        }
    }

    /// Opens the block with this key, if it waits.
    fn open(&mut self, database: &Database, key: u64) -> Result<Option<&mut OpenBlock>, StoreError> {
        if self.finished.contains(&key) {
            return Ok(None);
        }
        let vacant = match self.open.entry(key) {
            Entry::Occupied(open) => return Ok(Some(open.into_mut())),
            Entry::Vacant(vacant) => vacant,
        };
        let Some(value) = database.table(self.reader.table())?.get(self.reader.key(key))? else {
            return Ok(None);
        };
        match BlockRecord::decode(&value) {
            Ok(record) => Ok(Some(vacant.insert(OpenBlock::new(key, record)))),
            Err(error) => {
                // Said at the opening already; it was never counted.
                tracing::error!(key, %error, "events lost: a block cannot be read");
                self.finished.insert(key);
                Ok(None)
            }
        }
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

impl Outbox {
    /// Whether `settle` has something to write; with `partly` also of blocks that are not done.
    fn is_due(&self, partly: bool) -> bool {
        !self.finished.is_empty() || partly && self.open.values().any(|block| block.touched)
    }

    /// Forgets what was done, after it was written.
    fn settled(&mut self, partly: bool) {
        self.finished.clear();
        if partly {
            self.open.values_mut().for_each(|block| block.touched = false);
        }
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
                (place, (first.plus(Duration::from_millis(*after)), entry.clone()))
            })
            .collect();
        Self { left, record, touched: false }
    }
}

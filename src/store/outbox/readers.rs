//! Who the outboxes are for: the broker, which gets everything, and tenants, each of which gets what is about devices
//! and takes it at its own pace.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{OpenBlock, Outbox, Staged};
use crate::model::Event;
use crate::store::OutboxKey;
use crate::store::commit::Commit;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::layout::Table;
use crate::store::record::EntryRecord;

/// Who takes events out of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Reader {
    Broker,
    /// By its number.
    Tenant(u16),
}

impl Reader {
    /// The tree that its blocks lie in.
    pub(in crate::store) fn table(self) -> Table {
        match self {
            Self::Broker => Table::Outbox,
            Self::Tenant(_) => Table::Waiting,
        }
    }

    /// What the keys of its blocks begin with.
    pub(in crate::store) fn prefix(self) -> Vec<u8> {
        match self {
            Self::Broker => Vec::new(),
            Self::Tenant(number) => number.to_be_bytes().to_vec(),
        }
    }

    /// The key of one of its blocks.
    pub(in crate::store) fn key(self, block: u64) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&block.to_be_bytes());
        key
    }

    /// Whether an event is for it.
    pub(super) fn reads(self, event: &Event) -> bool {
        matches!(self, Self::Broker) || event.device().is_some()
    }
}

/// The outbox of each reader.
#[derive(Debug)]
pub(in crate::store) struct Outboxes {
    of: BTreeMap<Reader, Outbox>,
}

/// Blocks of every reader that are in a commit and not yet in memory.
#[derive(Debug)]
#[must_use]
pub(in crate::store) struct StagedEvents(Vec<(Reader, Staged)>);

impl Outboxes {
    /// Counts what waits, for the broker and for every tenant that has a name.
    pub(in crate::store) fn load(database: &Database) -> Result<Self, StoreError> {
        let mut of = BTreeMap::from([(Reader::Broker, Outbox::load(database, Reader::Broker)?)]);
        for key in database.table(Table::Tenants)?.iter().keys() {
            if let Some(number) = key?.first_chunk::<2>() {
                let reader = Reader::Tenant(u16::from_be_bytes(*number));
                of.insert(reader, Outbox::load(database, reader)?);
            }
        }
        Ok(Self { of })
    }

    /// Puts events into a commit for everybody who reads them.
    pub(in crate::store) fn stage(
        &self,
        database: &Database,
        commit: &mut Commit,
        events: &[Event],
    ) -> Result<StagedEvents, StoreError> {
        let staged =
            self.of.iter().map(|(reader, outbox)| Ok((*reader, outbox.stage(database, commit, events)?)));
        staged.collect::<Result<_, StoreError>>().map(StagedEvents)
    }

    /// Puts an event into a commit for the broker alone: the tenants have had it.
    pub(in crate::store) fn stage_for_broker(
        &self,
        database: &Database,
        commit: &mut Commit,
        event: &Event,
    ) -> Result<StagedEvents, StoreError> {
        let of_broker = self.of.get(&Reader::Broker);
        let staged = of_broker.map(|outbox| outbox.stage(database, commit, std::slice::from_ref(event)));
        Ok(StagedEvents(staged.transpose()?.map(|staged| (Reader::Broker, staged)).into_iter().collect()))
    }

    /// Takes over what a commit has written.
    pub(in crate::store) fn keep(&mut self, staged: &StagedEvents) {
        for (reader, staged) in &staged.0 {
            if let Some(outbox) = self.of.get_mut(reader) {
                outbox.keep(staged);
            }
        }
    }

    /// How many tenants there are.
    pub(in crate::store) fn tenants(&self) -> usize {
        self.of.len().saturating_sub(1)
    }

    /// A tenant that is new: nothing waits for it.
    pub(in crate::store) fn add(&mut self, reader: Reader) {
        self.of.insert(reader, Outbox::new(reader));
    }

    /// Forgets a tenant; from now on nothing is kept for it.
    pub(in crate::store) fn remove(&mut self, reader: Reader) {
        self.of.remove(&reader);
    }

    /// How many events wait for a reader.
    pub(in crate::store) fn depth(&self, reader: Reader) -> u64 {
        self.of.get(&reader).map_or(0, |outbox| outbox.depth)
    }

    /// Is notified when something new waits for a reader.
    pub(in crate::store) fn arrived(&self, reader: Reader) -> Arc<Notify> {
        self.of.get(&reader).map(|outbox| Arc::clone(&outbox.arrived)).unwrap_or_default()
    }

    /// How many blocks are done and not yet removed.
    pub(super) fn finished(&self, reader: Reader) -> usize {
        self.of.get(&reader).map_or(0, |outbox| outbox.finished.len())
    }

    /// Opens a block, if it waits.
    pub(super) fn open(
        &mut self,
        database: &Database,
        reader: Reader,
        block: u64,
    ) -> Result<Option<&mut OpenBlock>, StoreError> {
        self.of.get_mut(&reader).map_or(Ok(None), |outbox| outbox.open(database, block))
    }

    /// An event of an open block.
    pub(super) fn entry(&self, reader: Reader, key: &OutboxKey) -> Option<&EntryRecord> {
        let block = self.of.get(&reader)?.open.get(&key.0)?;
        block.left.get(&key.1).map(|(_, entry)| entry)
    }

    /// Notes that a reader has an event.
    pub(super) fn done(
        &mut self,
        database: &Database,
        reader: Reader,
        key: &OutboxKey,
    ) -> Result<(), StoreError> {
        self.of.get_mut(&reader).map_or(Ok(()), |outbox| outbox.done(database, key))
    }

    /// Every outbox with its reader.
    pub(super) fn all(&self) -> impl Iterator<Item = (Reader, &Outbox)> {
        self.of.iter().map(|(reader, outbox)| (*reader, outbox))
    }

    /// Every outbox, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Outbox> {
        self.of.values_mut()
    }
}

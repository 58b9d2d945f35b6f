//! What the gateway remembers: devices, uplinks, the outbox and the downlink queues, as verbs.
//!
//! The only room that names sled, and it imports only `model`. The layout on disk is written down in `layout`;
//! how a commit becomes durable in `sync`. Every verb commits all or nothing; those that are `async` return only
//! when the disk has it.

mod asks;
mod backup;
mod backwards;
mod bucket;
mod buckets;
mod commit;
mod compact;
mod copy;
mod counts;
mod daily;
mod database;
mod devices;
mod error;
mod flush;
mod folder;
mod history;
mod layout;
mod locations;
mod marks;
mod memory;
mod migration;
mod opening;
mod outbox;
mod packing;
mod packs;
mod parked;
mod queue;
mod record;
mod retention;
mod salvage;
mod stats;
mod sync;
mod tenant;
mod uplinks;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast};

use self::commit::Commit;
use self::database::Database;
use self::folder::Folder;
use self::layout::{LARGEST_VALUE, Table};
use self::memory::Memory;
use self::sync::Durability;
use crate::model::{DeviceId, Downlink, Event, Fields, ItemId, Location, Timestamp, UplinkId};

pub use self::asks::{Answer, Ask};
pub use self::backup::RestoreError;
pub use self::compact::Compacted;
pub use self::counts::{Arrivals, Counts};
pub use self::daily::Backups;
pub use self::error::{OpenError, StoreError};
pub use self::marks::{Mark, run_of_machine};
pub use self::parked::Parked;
pub use self::retention::{Retained, Upkeep};
pub use self::stats::{Stats, Verified};
pub use self::sync::Syncer;
pub use self::tenant::Tenant;

/// So much news may be unheard by somebody who looks on; of more than that only that it was too much is told.
const NEWS: usize = 256;

/// Where the store lies and how large it may grow.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory; the store makes its own folders in it.
    pub dir: PathBuf,
    /// Bytes of sled's cache.
    pub cache: u64,
    /// Longest time that a polled message may be in memory only.
    pub flush: Duration,
}

/// The store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// A copy may take its place; who holds `memory` sees it stay.
    database: RwLock<Arc<Database>>,
    folder: Folder,
    cache: u64,
    /// Also serialises every read-decide-write; never held over an await.
    memory: Mutex<Memory>,
    /// Held by who packs a week, copies all, or drops a week: one at a time.
    moving: Mutex<()>,
    /// Since when packing waits for old weeks to be filled.
    waiting: Mutex<Option<Instant>>,
    /// Since when the database may hold much more than it needs.
    untidy: Mutex<Option<Instant>>,
    #[cfg(test)]
    on_step: Mutex<Option<tests::OnStep>>,
    durability: Durability,
    changes: Mutex<BTreeSet<Change>>,
    changed: Arc<Notify>,
    news: broadcast::Sender<News>,
}

/// What a recording changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Uplinks that were not known, oldest first.
    pub new: Vec<UplinkId>,
    /// How many were known already.
    pub known: usize,
}

/// What an inventory changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryChange {
    /// Devices never seen before.
    pub added: Vec<DeviceId>,
    /// Devices whose description changed.
    pub changed: Vec<DeviceId>,
    /// Devices that the source no longer lists.
    pub gone: Vec<DeviceId>,
}

/// Something whose documents are no longer up to date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A device's description, type or state.
    Device(DeviceId),
    /// A device's downlinks.
    Queue(DeviceId),
    /// The outbox has something new.
    Outbox,
    /// The disk takes nothing new, or does again.
    Trouble,
}

/// What happened to the store, for whoever looks on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An uplink that was not known.
    Uplink(UplinkId),
    /// Something whose documents are no longer up to date.
    Changed(Change),
}

/// Names one event in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxKey(u64, u16);

/// An event that waits for its PUBACK.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEntry {
    /// Its name.
    pub key: OutboxKey,
    /// What is to be published.
    pub event: Event,
}

/// What a device's uplinks have told so far.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// The newest uplink that went into it.
    pub newest: UplinkId,
    /// The newest uplink's time.
    pub time: Timestamp,
    /// Every field's latest value.
    pub fields: Arc<Fields>,
    /// The newest known position.
    pub location: Option<Location>,
}

/// A location of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// Who.
    pub device: DeviceId,
    /// Where and when.
    pub location: Location,
    /// The uplink that it belongs to, where that is known.
    pub uplink: Option<UplinkId>,
}

/// Which uplinks are asked for.
#[derive(Debug, Clone, Default)]
pub struct UplinkQuery {
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Newest first (default: oldest first).
    pub newest_first: bool,
}

/// What is to change in a device's queue, all or nothing.
#[derive(Debug, Default)]
pub struct QueueChange {
    /// Items that are new or changed.
    pub put: Vec<Downlink>,
    /// Items that are forgotten.
    pub forget: Vec<ItemId>,
    /// What is to be told to the broker about it.
    pub events: Vec<Event>,
    /// How this uplink's ask for a downlink was answered: with an item, or with nothing.
    pub answered: Option<(UplinkId, Option<ItemId>)>,
}

impl Drop for Inner {
    /// Writes what is done of the outbox, so that whoever ends in whichever order repeats nothing.
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner);
        let memory = self.memory.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = outbox::settle(database, memory, true) {
            tracing::warn!(%error, "what the broker has is not written; it is published again");
        }
    }
}

impl Store {
    /// Opens or creates the store. Blocks; the `Syncer` is to be run as a task, or dropped where none is wanted:
    /// then every durable verb syncs for itself.
    pub fn open(options: Options) -> Result<(Self, Syncer), OpenError> {
        Self::open_or_restore(options, None)
    }

    /// As `open`; a database that is damaged is replaced by the newest backup that can be read, of this folder or of
    /// `backups` in the data directory.
    pub fn open_or_restore(
        options: Options,
        backups: Option<&std::path::Path>,
    ) -> Result<(Self, Syncer), OpenError> {
        let Options { dir, cache, flush } = options;
        let opened = opening::open(&dir, cache, backups)?;
        let (durability, requests) = Durability::new();
        let inner = Inner {
            database: RwLock::new(Arc::new(opened.database)),
            folder: opened.folder,
            cache,
            memory: Mutex::new(opened.memory),
            moving: Mutex::new(()),
            waiting: Mutex::new(None),
            untidy: Mutex::new(Some(Instant::now())),
            #[cfg(test)]
            on_step: Mutex::new(None),
            durability,
            changes: Mutex::new(BTreeSet::new()),
            changed: Arc::new(Notify::new()),
            news: broadcast::channel(NEWS).0,
        };
        let store = Self { inner: Arc::new(inner) };
        if let Some(event) = opened.told {
            store.tell(&event).map_err(|error| OpenError::Damaged { dir, reason: error.to_string() })?;
        }
        Ok((store.clone(), Syncer::new(store, requests, flush)))
    }

    /// Whether a store was ever made in a data directory; whoever only reads must not make one.
    #[must_use]
    pub fn exists(dir: &std::path::Path) -> bool {
        Folder::has_database(dir)
    }

    /// A note under a key: small things that sources keep over a restart.
    pub fn note(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.database().table(Table::Notes)?.get(key)?.map(|value| value.to_vec()))
    }

    /// Keeps a note, of at most 12 KiB. Not durable at once.
    pub fn set_note(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > LARGEST_VALUE {
            return Err(StoreError::TooLarge { what: "note", bytes: value.len(), most: LARGEST_VALUE });
        }
        let _memory = self.memory();
        if self.note(key)?.as_deref() == Some(value) {
            return Ok(());
        }
        let mut commit = Commit::default();
        commit.put(Table::Notes, key.as_bytes(), value.to_vec());
        self.database().apply(&commit)
    }

    /// What changed since this was last called.
    #[must_use]
    pub fn take_changes(&self) -> BTreeSet<Change> {
        std::mem::take(&mut *self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Is notified at every change; register before looking.
    #[must_use]
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.changed)
    }

    /// What happens from now on.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.inner.news.subscribe()
    }

    /// Bytes on disk.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.database().size_on_disk()
    }

    /// The set is bounded: a device stands in it once, however often it changes.
    fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        let changes: Vec<Change> = changes.into_iter().collect();
        for change in &changes {
            self.tell_news(News::Changed(change.clone()));
        }
        let mut known = self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(changes);
        if known.is_empty() {
            return;
        }
        drop(known);
        // All who wait now, and the next who comes: a change between looking and waiting is not missed.
        self.inner.changed.notify_waiters();
        self.inner.changed.notify_one();
    }

    /// Whether anybody looks on makes no difference.
    fn tell_news(&self, news: News) {
        drop(self.inner.news.send(news));
    }

    /// Who writes holds `memory` before asking for it: a copy would not see what is written into the one before.
    fn database(&self) -> Arc<Database> {
        Arc::clone(&self.inner.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn folder(&self) -> &Folder {
        &self.inner.folder
    }

    fn cache(&self) -> u64 {
        self.inner.cache
    }

    fn durability(&self) -> &Durability {
        &self.inner.durability
    }

    /// Asked for before `memory`, where both are.
    fn moving(&self) -> MutexGuard<'_, ()> {
        self.inner.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic under the lock happens before its commit is taken over: what is in memory stays true.
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the gateway remembers (stub of the interface).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::model::{
    Device, DeviceId, DeviceType, Downlink, Event, Fields, InventoryDevice, ItemId, Location, SourceName,
    Timestamp, Uplink, UplinkId,
};

/// Where the store lies and how large it may grow.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder.
    pub dir: PathBuf,
    /// Bytes of sled's cache.
    pub cache: u64,
    /// Longest time that a polled message may be in memory only.
    pub flush: Duration,
}

/// The store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {}

/// The task that makes commits durable: grouped fsyncs on request, and a flush every `flush` if anything changed.
#[derive(Debug)]
pub struct Syncer {}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Being built.
    #[error("not built")]
    NotBuilt,
}

/// Why a verb of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Being built.
    #[error("not built")]
    NotBuilt,
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
    pub fields: Fields,
    /// The newest known position.
    pub location: Option<Location>,
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

impl Store {
    /// Opens or creates the store. Blocks; the `Syncer` is to be run as a task.
    pub fn open(_options: Options) -> Result<(Self, Syncer), OpenError> {
        Err(OpenError::NotBuilt)
    }

    // Devices.

    /// One device.
    pub fn device(&self, _id: DeviceId) -> Result<Option<Device>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// All devices, by id.
    pub fn devices(&self) -> Result<Vec<Device>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// One device type of a source.
    pub fn device_type(&self, _source: &SourceName, _id: &str) -> Result<Option<DeviceType>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// All device types of a source.
    pub fn device_types(&self, _source: &SourceName) -> Result<Vec<DeviceType>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Takes over a source's whole inventory; `device_added` and `device_removed` events go into the outbox with it.
    pub fn record_inventory(
        &self,
        _source: &SourceName,
        _types: &[DeviceType],
        _devices: &[InventoryDevice],
        _now: Timestamp,
    ) -> Result<InventoryChange, StoreError> {
        Err(StoreError::NotBuilt)
    }

    // Uplinks.

    /// Keeps the uplinks of one whole sweep (any order; stored and published oldest first) and moves the sweep's
    /// cursor in the same flush. Not durable at once: a crash asks the cloud again.
    pub fn record_sweep(
        &self,
        _uplinks: &[Uplink],
        _cursor: Option<(&SourceName, &str, Timestamp)>,
    ) -> Result<Recorded, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Keeps one uplink; durable when this returns.
    pub async fn record_uplink(&self, _uplink: &Uplink) -> Result<Recorded, StoreError> {
        std::future::ready(()).await;
        Err(StoreError::NotBuilt)
    }

    /// Uplinks of the history.
    pub fn uplinks(&self, _query: &UplinkQuery) -> Result<Vec<Uplink>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Up to where a source's scope (a device type, a device) was swept.
    pub fn cursor(&self, _source: &SourceName, _scope: &str) -> Result<Option<Timestamp>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    // The outbox.

    /// The oldest events that are not in `skip`.
    pub fn outbox_head(
        &self,
        _skip: &BTreeSet<OutboxKey>,
        _limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Forgets events that the broker has, and keeps the device states that they led to in the same commit.
    pub fn outbox_done(
        &self,
        _keys: &[OutboxKey],
        _states: &[(DeviceId, DeviceState)],
    ) -> Result<(), StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// How many events wait, and the time of the oldest.
    pub fn outbox_depth(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Puts an event into the outbox that belongs to no other change.
    pub fn tell(&self, _event: &Event) -> Result<(), StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// What the uplinks of a device have told so far.
    pub fn device_state(&self, _id: DeviceId) -> Result<Option<DeviceState>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    // Downlinks.

    /// A device's items that are not forgotten, in the order in which they were queued.
    pub fn queue(&self, _device: DeviceId) -> Result<Vec<Downlink>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Devices that have items.
    pub fn queued_devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// How this uplink's ask was answered: not yet, with nothing, or with an item.
    pub fn answer(&self, _uplink: &UplinkId) -> Result<Option<Option<ItemId>>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Changes a device's queue: `decide` sees the queue and says what changes; nobody else changes it meanwhile.
    /// Durable when this returns.
    pub async fn change_queue<T: Send>(
        &self,
        _device: DeviceId,
        decide: impl FnOnce(&[Downlink]) -> (QueueChange, T) + Send,
    ) -> Result<T, StoreError> {
        std::future::ready(decide(&[])).await;
        Err(StoreError::NotBuilt)
    }

    // Small things that sources keep over a restart (tokens).

    /// A note under a key.
    pub fn note(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Err(StoreError::NotBuilt)
    }

    /// Keeps a note.
    pub fn set_note(&self, _key: &str, _value: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::NotBuilt)
    }

    // Watching and ending.

    /// What changed since this was last called.
    #[must_use]
    pub fn take_changes(&self) -> BTreeSet<Change> {
        BTreeSet::new()
    }

    /// Is notified at every change; register before looking.
    #[must_use]
    pub fn changed(&self) -> Arc<Notify> {
        Arc::new(Notify::new())
    }

    /// Makes everything so far durable.
    pub async fn flush(&self) -> Result<(), StoreError> {
        std::future::ready(()).await;
        Err(StoreError::NotBuilt)
    }
}

impl Syncer {
    /// Runs until told to stop, then flushes once more.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        stop.cancelled().await;
        Ok(())
    }
}

//! The registry of devices and device types, and what an inventory changes in it.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::Commit;
use super::error::StoreError;
use super::layout::{LARGEST_COMMIT, Table, device_key, source_key};
use super::memory::{KnownDevice, Memory};
use super::record::{DeviceRecord, DeviceTypeRecord, LocationRecord, Record};
use super::{Change, InventoryChange, Store};
use crate::model::{Device, DeviceId, DeviceType, Event, InventoryDevice, SourceName, Timestamp};

/// A device that changes may need its record and two events, each in the worst case a block of its own.
const DEVICES_AT_ONCE: usize = LARGEST_COMMIT / 4;

impl Store {
    /// How many devices are known.
    #[must_use]
    pub fn device_count(&self) -> u64 {
        u64::try_from(self.memory().devices.len()).unwrap_or(u64::MAX)
    }

    /// One device.
    pub fn device(&self, id: DeviceId) -> Result<Option<Device>, StoreError> {
        Ok(self.memory().devices.get(&id.number()).map(|known| known.device.clone()))
    }

    /// All devices, by id.
    pub fn devices(&self) -> Result<Vec<Device>, StoreError> {
        Ok(self.memory().devices.values().map(|known| known.device.clone()).collect())
    }

    /// The name that somebody gave a device at this gateway, whatever its cloud calls it.
    pub fn alias(&self, id: DeviceId) -> Result<Option<String>, StoreError> {
        let name = self.note(&alias_key(id))?.and_then(|name| String::from_utf8(name).ok());
        Ok(name.filter(|name| !name.is_empty()))
    }

    /// Gives a device a name, or takes it away. Durable when this returns.
    pub async fn set_alias(&self, id: DeviceId, name: Option<&str>) -> Result<(), StoreError> {
        self.set_note(&alias_key(id), name.unwrap_or_default().as_bytes())?;
        self.announce([Change::Device(id)]);
        self.durable().await
    }

    /// A device's identifier as a source writes it. It may not know the device in capitals or without leading zeros.
    pub fn spelling(&self, source: &SourceName, id: DeviceId) -> Result<String, StoreError> {
        let kept = self.note(&spelling_key(source, id))?.and_then(|text| String::from_utf8(text).ok());
        Ok(kept.unwrap_or_else(|| id.to_string()))
    }

    /// Takes down how a source writes a device's identifier.
    pub fn set_spelling(&self, source: &SourceName, id: DeviceId, spelled: &str) -> Result<(), StoreError> {
        if self.spelling(source, id)? == spelled {
            return Ok(());
        }
        self.set_note(&spelling_key(source, id), spelled.as_bytes())
    }

    /// Has the documents of a device type's devices looked at again: what they say has changed, and no record of them.
    pub fn device_type_changed(&self, source: &SourceName, device_type: &str) {
        let is_of_it =
            |device: &Device| device.source == *source && device.device_type.as_deref() == Some(device_type);
        let devices: Vec<Change> = {
            let memory = self.memory();
            let known = memory.devices.values().map(|known| &known.device);
            known.filter(|device| is_of_it(device)).map(|device| Change::Device(device.id)).collect()
        };
        self.announce(devices);
    }

    /// Forgets a device: its description, its state, its queue and its name; not its history. It is new again when
    /// it has sent something since, however long its cloud goes on listing it. Durable when this returns; false where
    /// it was not known.
    pub async fn forget_device(&self, id: DeviceId) -> Result<bool, StoreError> {
        if let Some(device) = self.device(id)? {
            self.set_note(&forgotten_key(id), last_second(device.last_seen).to_string().as_bytes())?;
        }
        let is_known = self.remove_device(id)?;
        self.set_alias(id, None).await?;
        self.announce([Change::Queue(id)]);
        Ok(is_known)
    }

    /// Whether a device was forgotten that has not sent since, as far as `seen` (when it last sent) says.
    pub fn is_forgotten(&self, id: DeviceId, seen: Option<Timestamp>) -> Result<bool, StoreError> {
        if self.memory().devices.contains_key(&id.number()) {
            return Ok(false);
        }
        let Some(note) = self.note(&forgotten_key(id))? else {
            return Ok(false);
        };
        let before = String::from_utf8_lossy(&note).parse::<i64>().ok();
        Ok(before.is_some_and(|before| last_second(seen) <= before))
    }

    fn remove_device(&self, id: DeviceId) -> Result<bool, StoreError> {
        let mut memory = self.memory();
        let mut commit = Commit::default();
        commit.remove(Table::Devices, device_key(id).as_slice());
        commit.remove(Table::States, device_key(id).as_slice());
        for entry in self.database().table(Table::Queue)?.scan_prefix(device_key(id)).keys() {
            commit.remove(Table::Queue, entry?.to_vec());
        }
        self.database().apply(&commit)?;
        memory.states.remove(&id.number());
        Ok(memory.devices.remove(&id.number()).is_some())
    }

    /// One device type of a source.
    pub fn device_type(&self, source: &SourceName, id: &str) -> Result<Option<DeviceType>, StoreError> {
        let Some(source) = self.memory().sources.known(source) else {
            return Ok(None);
        };
        let Some(value) = self.database().table(Table::Types)?.get(source_key(source, id))? else {
            return Ok(None);
        };
        Ok(Some(DeviceTypeRecord::decode(&value)?.device_type(id.to_owned())))
    }

    /// All device types of a source.
    pub fn device_types(&self, source: &SourceName) -> Result<Vec<DeviceType>, StoreError> {
        let Some(source) = self.memory().sources.known(source) else {
            return Ok(Vec::new());
        };
        let mut types = Vec::new();
        for entry in self.database().table(Table::Types)?.scan_prefix(source_key(source, "")) {
            let (key, value) = entry?;
            let id = key.get(2..).map(String::from_utf8_lossy).unwrap_or_default();
            match DeviceTypeRecord::decode(&value) {
                Ok(record) => types.push(record.device_type(id.into_owned())),
                Err(error) => tracing::error!(%error, %id, "device type left out until the next inventory"),
            }
        }
        Ok(types)
    }

    /// Takes over a source's whole inventory; `device_added` and `device_removed` events go into the outbox with
    /// it, and a device's place when its cloud says a new one. Forgotten devices are left out until they send again.
    /// A crash in between is made good by the next inventory.
    pub fn record_inventory(
        &self,
        source: &SourceName,
        types: &[DeviceType],
        devices: &[InventoryDevice],
        now: Timestamp,
    ) -> Result<InventoryChange, StoreError> {
        let mut taken = Vec::with_capacity(devices.len());
        for device in devices {
            if !self.is_forgotten(device.id, device.last_seen)? {
                taken.push(device);
            }
        }
        let mut memory = self.memory();
        let number = memory.sources.number(&self.database(), source)?;
        let changed_types = self.record_types(number, types)?;
        let mut inventory = Inventory::compare(&memory, source, &taken, now);
        for part in std::mem::take(&mut inventory.devices).chunks(DEVICES_AT_ONCE) {
            let mut commit = Commit::default();
            let mut events = Vec::new();
            for (known, told) in part {
                let number = memory.sources.number(&self.database(), &known.device.source)?;
                let record = DeviceRecord::new(&known.device, number, known.listed, known.place.clone());
                commit.put(Table::Devices, device_key(known.device.id), record.encode()?);
                events.extend(told.iter().cloned());
            }
            let staged = memory.outbox.stage(&self.database(), &mut commit, &events)?;
            self.database().apply(&commit)?;
            memory.outbox.keep(&staged);
            for (known, _) in part {
                memory.devices.insert(known.device.id.number(), known.clone());
            }
            self.announce(part.iter().map(|(known, _)| Change::Device(known.device.id)));
            if !events.is_empty() {
                self.announce([Change::Outbox]);
            }
        }
        let of_changed_types = memory.devices.values().map(|known| &known.device).filter(|device| {
            device.source == *source
                && device.device_type.as_ref().is_some_and(|id| changed_types.contains(id))
        });
        self.announce(of_changed_types.map(|device| Change::Device(device.id)));
        Ok(inventory.change)
    }

    /// Writes what differs of a source's device types, and says which do.
    fn record_types(&self, source: u16, types: &[DeviceType]) -> Result<BTreeSet<String>, StoreError> {
        let database = self.database();
        let table = database.table(Table::Types)?;
        let mut changed = BTreeSet::new();
        let mut writes = BTreeMap::new();
        for device_type in types {
            let key = source_key(source, &device_type.id);
            let record = DeviceTypeRecord::from(device_type).encode()?;
            if table.get(&key)?.is_none_or(|known| known != record) {
                changed.insert(device_type.id.clone());
                writes.insert(key, Some(record));
            }
        }
        let listed: BTreeSet<_> =
            types.iter().map(|device_type| source_key(source, &device_type.id)).collect();
        for key in table.scan_prefix(source_key(source, "")).keys() {
            let key = key?.to_vec();
            if !listed.contains(&key) {
                changed.insert(key.get(2..).map(String::from_utf8_lossy).unwrap_or_default().into_owned());
                writes.insert(key, None);
            }
        }
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut commit = Commit::default();
            for (key, record) in writes.by_ref().take(LARGEST_COMMIT) {
                match record {
                    Some(record) => commit.put(Table::Types, key, record),
                    None => commit.remove(Table::Types, key),
                }
            }
            self.database().apply(&commit)?;
        }
        Ok(changed)
    }
}

fn spelling_key(source: &SourceName, id: DeviceId) -> String {
    format!("spelling/{source}/{}", id.number())
}

/// When a device last sent, to the second, as a message tells it; long ago where it never did.
fn last_second(seen: Option<Timestamp>) -> i64 {
    seen.map_or(0, Timestamp::as_seconds)
}

fn forgotten_key(id: DeviceId) -> String {
    format!("forgotten/{:08X}", id.number())
}

fn alias_key(id: DeviceId) -> String {
    format!("alias/{:08X}", id.number())
}

/// What an inventory changes.
struct Inventory {
    /// Devices as they are from now on, each with what is to be told about it.
    devices: Vec<(KnownDevice, Vec<Event>)>,
    change: InventoryChange,
}

impl Inventory {
    fn compare(memory: &Memory, source: &SourceName, listed: &[&InventoryDevice], now: Timestamp) -> Self {
        let mut inventory = Self { devices: Vec::new(), change: InventoryChange::default() };
        let by_number: BTreeMap<u32, &InventoryDevice> =
            listed.iter().map(|device| (device.id.number(), *device)).collect();
        for (number, entry) in &by_number {
            inventory.compare_one(memory.devices.get(number), source, entry, now);
        }
        let missing = memory.devices.iter().filter(|(number, known)| {
            known.listed
                && !known.device.gone
                && known.device.source == *source
                && !by_number.contains_key(number)
        });
        for (_, known) in missing {
            let mut known = known.clone();
            known.device.gone = true;
            let event = removed(&known.device, now);
            inventory.change.gone.push(known.device.id);
            inventory.devices.push((known, vec![event]));
        }
        inventory
    }

    fn compare_one(
        &mut self,
        known: Option<&KnownDevice>,
        source: &SourceName,
        entry: &InventoryDevice,
        now: Timestamp,
    ) {
        // Of two sources that list a device, the first describes it for as long as it does.
        if known.is_some_and(|known| known.listed && !known.device.gone && known.device.source != *source) {
            return;
        }
        let listed_before = known.is_some_and(|known| known.listed);
        let device = Device {
            id: known.filter(|_| listed_before).map_or(entry.id, |known| known.device.id),
            source: source.clone(),
            name: entry.name.clone(),
            device_type: entry.device_type.clone(),
            tags: entry.tags.clone(),
            state: entry.state,
            last_seen: entry.last_seen.max(known.and_then(|known| known.device.last_seen)),
            gone: false,
        };
        let place = entry.location.map(|location| LocationRecord::new(&location, now));
        let old_place = known.and_then(|known| known.place.clone());
        let moved = match (&place, &old_place) {
            (Some(place), Some(old)) => !place.same_place(old),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let mut events = Vec::new();
        let described = match known {
            None => {
                self.change.added.push(device.id);
                events.push(Event::device_added(&device, now));
                true
            }
            Some(known) => {
                if known.device.gone {
                    events.push(Event::device_added(&device, now));
                }
                let last_seen = known.device.last_seen;
                let described = Device { last_seen, ..device.clone() } != known.device
                    || device.id.width() != known.device.id.width()
                    || !listed_before;
                if described {
                    self.change.changed.push(device.id);
                }
                described
            }
        };
        if let Some(location) = entry.location.filter(|_| moved) {
            events.push(Event::Location { device: device.id, location, uplink: None });
        }
        // A later `last_seen` alone is not written: the history says it, or the next inventory says it again.
        let seen_only = known.is_some_and(|known| known.device.last_seen != device.last_seen);
        if described || moved || seen_only {
            let place = if moved { place } else { old_place };
            self.devices.push((KnownDevice { device, listed: true, place }, events));
        }
    }
}

fn removed(device: &Device, time: Timestamp) -> Event {
    let detail = serde_json::json!({ "device": device.id, "source": device.source });
    Event::Bridge { time, kind: "device_removed".to_owned(), detail: detail.to_string() }
}

//! What is kept in memory of what is on disk, bounded by the number of devices, sources and scopes, and the
//! numbers under which sources stand in records.

use std::collections::{BTreeMap, HashMap};

use super::DeviceState;
use super::commit::Commit;
use super::counts::Counted;
use super::database::Database;
use super::error::StoreError;
use super::layout::{Table, UplinkKey, first_u32, seconds, span, uplink_key_parts};
use super::outbox::Outboxes;
use super::record::{DeviceRecord, LocationRecord, Record, UplinkRecord};
use crate::model::{Device, DeviceId, SourceName, Timestamp};

/// Some hundred bytes each, in a table that doubles its size above this.
const MOST_FRESH: usize = 3_500;

/// Everything that the store's one lock protects.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) devices: BTreeMap<u32, KnownDevice>,
    /// The second of the newest uplink that is kept of a device, of forgotten ones too; none kept is 0. Of some devices
    /// it is not known yet.
    newest: HashMap<u32, u32>,
    pub(super) sources: Sources,
    /// The newest cursors; on disk they may be a little older.
    pub(super) cursors: HashMap<(u16, String), Timestamp>,
    /// The broker's and each tenant's.
    pub(super) outbox: Outboxes,
    /// States that are newer than the disk's.
    pub(super) states: BTreeMap<u32, DeviceState>,
    pub(super) counted: Counted,
    /// What was kept a short while ago and is still to be published: the reader need not ask the disk for it.
    pub(super) fresh: Fresh,
}

/// Records of uplinks as they are on disk, [`MOST_FRESH`] at most: of a backlog the oldest, which are read first.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    records: HashMap<UplinkKey, UplinkRecord>,
}

impl Fresh {
    pub(super) fn keep(&mut self, key: UplinkKey, record: UplinkRecord) {
        if self.records.len() < MOST_FRESH {
            self.records.insert(key, record);
        }
    }

    pub(super) fn take(&mut self, key: &UplinkKey) -> Option<UplinkRecord> {
        self.records.remove(key)
    }

    /// Gives the memory back as well.
    pub(super) fn clear(&mut self) {
        self.records = HashMap::new();
    }
}

/// A device and what the store alone needs to know of it.
#[derive(Debug, Clone)]
pub(super) struct KnownDevice {
    pub(super) device: Device,
    pub(super) listed: bool,
    pub(super) place: Option<LocationRecord>,
}

impl Memory {
    /// Reads what is to be in memory.
    pub(super) fn load(database: &Database) -> Result<Self, StoreError> {
        let sources = Sources::load(database)?;
        let mut devices = load_devices(database, &sources)?;
        let newest = find_newest(database, devices.keys().copied().collect())?;
        for (number, seconds) in &newest {
            if let Some(known) = devices.get_mut(number) {
                let newest = Timestamp::from_millis(i64::from(*seconds) * 1000);
                known.device.last_seen = known.device.last_seen.max(newest);
            }
        }
        let outbox = Outboxes::load(database)?;
        Ok(Self {
            devices,
            newest,
            sources,
            cursors: HashMap::new(),
            outbox,
            states: BTreeMap::new(),
            counted: Counted::default(),
            fresh: Fresh::default(),
        })
    }

    /// Whether it is known that no uplink is kept of a device that is as new as this second or newer.
    pub(super) fn is_newest(&mut self, database: &Database, device: u32, second: u32) -> bool {
        let newest = match self.newest.get(&device) {
            Some(newest) => *newest,
            None => {
                let Ok(found) = find_newest(database, vec![device]) else { return false };
                let newest = found.get(&device).copied().unwrap_or_default();
                self.newest.insert(device, newest);
                newest
            }
        };
        second > newest
    }

    /// Takes over that an uplink of this time is kept.
    pub(super) fn kept(&mut self, device: u32, time: Timestamp) {
        if let Some(newest) = self.newest.get_mut(&device) {
            *newest = seconds(time).max(*newest);
        }
        if let Some(known) = self.devices.get_mut(&device) {
            known.device.last_seen = known.device.last_seen.max(Some(time));
        }
    }

    /// A device number as its id is printed.
    pub(super) fn printed(&self, device: DeviceId) -> DeviceId {
        self.devices.get(&device.number()).map_or(device, |known| known.device.id)
    }
}

fn load_devices(database: &Database, sources: &Sources) -> Result<BTreeMap<u32, KnownDevice>, StoreError> {
    let mut devices = BTreeMap::new();
    for entry in database.table(Table::Devices)? {
        let (key, value) = entry?;
        let read = DeviceRecord::decode(&value);
        let (Some(number), Ok(record)) = (first_u32(&key), &read) else {
            tracing::error!(?key, error = ?read.err(), "device dropped: its record cannot be read");
            continue;
        };
        let Some(source) = sources.name(record.source()) else {
            tracing::error!(?key, "device dropped: its source has no name");
            continue;
        };
        let known = KnownDevice {
            device: record.device(number, source.clone()),
            listed: record.listed,
            place: record.place.clone(),
        };
        devices.insert(number, known);
    }
    Ok(devices)
}

/// The seconds of the newest uplinks that are kept of devices, of those of which there are any.
fn find_newest(database: &Database, devices: Vec<u32>) -> Result<HashMap<u32, u32>, StoreError> {
    let mut found = HashMap::new();
    let mut open = devices;
    for (_, bucket) in database.weeks().into_iter().rev() {
        let mut silent = Vec::new();
        for number in open {
            let of_device = span(number, 0, u32::MAX).map(|span| bucket.entries(span, true));
            let mut newest = None;
            for entry in of_device.into_iter().flatten() {
                // None is that of a location without an uplink.
                newest = uplink_key_parts(&entry?.0).map(|(_, seconds, _)| seconds);
                if newest.is_some() {
                    break;
                }
            }
            match newest {
                Some(seconds) => {
                    found.insert(number, seconds);
                }
                None => silent.push(number),
            }
        }
        open = silent;
    }
    Ok(found)
}

/// The sources that were ever named, each with the number under which it stands in records.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    numbers: BTreeMap<SourceName, u16>,
    names: BTreeMap<u16, SourceName>,
}

impl Sources {
    fn load(database: &Database) -> Result<Self, StoreError> {
        let mut sources = Self::default();
        for entry in database.table(Table::Sources)? {
            let (key, value) = entry?;
            let number = key.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes));
            let name = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
            if let (Some(number), Some(name)) = (number, name) {
                sources.keep(number, name);
            }
        }
        Ok(sources)
    }

    fn keep(&mut self, number: u16, name: SourceName) {
        self.names.insert(number, name.clone());
        self.numbers.insert(name, number);
    }

    /// The name with this number.
    pub(super) fn name(&self, number: u16) -> Option<&SourceName> {
        self.names.get(&number)
    }

    /// The number of a name that was used before.
    pub(super) fn known(&self, name: &SourceName) -> Option<u16> {
        self.numbers.get(name).copied()
    }

    /// The number of a name; a new one is kept before it is used, so a crash leaves at most an unused number.
    pub(super) fn number(&mut self, database: &Database, name: &SourceName) -> Result<u16, StoreError> {
        if let Some(number) = self.known(name) {
            return Ok(number);
        }
        let next = match self.names.last_key_value() {
            Some((&last, _)) => {
                last.checked_add(1).ok_or_else(|| StoreError::Failing("too many sources".to_owned()))?
            }
            None => 0,
        };
        let mut commit = Commit::default();
        commit.put(Table::Sources, next.to_be_bytes(), name.as_str().as_bytes().to_vec());
        database.apply(&commit)?;
        self.keep(next, name.clone());
        Ok(next)
    }
}

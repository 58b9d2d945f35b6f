//! What is in the store, counted, and whether all of it can be read.

use serde::Serialize;

use super::Store;
use super::commit::Place;
use super::error::StoreError;
use super::layout::{SCHEMA, Table, block_time, first_u32, last_u64, place_key_parts, uplink_key_parts};
use super::record::{
    BlockRecord, DeviceRecord, DeviceTypeRecord, DownlinkRecord, EntryRecord, LocationRecord, Pack,
    ParkedRecord, Record, StateRecord, UplinkRecord,
};
use crate::model::{DeviceId, Timestamp};

/// What is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The version of the layout.
    pub version: u32,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// How many devices are known.
    pub devices: u64,
    /// How many uplinks are kept.
    pub uplinks: u64,
    /// In how many weeks they lie.
    pub weeks: u64,
    /// The oldest uplink's time.
    pub oldest: Option<Timestamp>,
    /// The newest uplink's time.
    pub newest: Option<Timestamp>,
    /// How many events wait for the broker.
    pub outbox: u64,
    /// The time of the oldest of them.
    pub outbox_oldest: Option<Timestamp>,
    /// How many events the broker refused, kept aside.
    pub parked: u64,
    /// How many downlinks are not forgotten.
    pub downlinks: u64,
}

/// What a reading of every record has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many records were read.
    pub records: u64,
    /// Every record that cannot be read, or that names another that is not there; at most a hundred are named.
    pub faults: Vec<String>,
    /// How many there are.
    pub faulty: u64,
}

const MOST_NAMED: usize = 100;

impl Verified {
    fn note(&mut self, place: Place, fault: Option<String>) {
        self.records += 1;
        let Some(fault) = fault else { return };
        self.faulty += 1;
        if self.faults.len() < MOST_NAMED {
            self.faults.push(format!("{}: {fault}", place.name()));
        }
    }
}

impl Store {
    /// Counts what is in the store. Blocks, for about a second each million uplinks.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let database = self.database();
        let count = |tree: &sled::Tree| u64::try_from(tree.len()).unwrap_or(u64::MAX);
        let weeks = database.weeks();
        let newest_of_device =
            self.memory().devices.values().filter_map(|known| known.device.last_seen).max();
        let oldest = self.uplinks(&super::UplinkQuery { limit: Some(1), ..Default::default() })?;
        let newest =
            self.uplinks(&super::UplinkQuery { limit: Some(1), newest_first: true, ..Default::default() })?;
        let (outbox, outbox_oldest) = self.outbox_depth()?;
        Ok(Stats {
            version: SCHEMA,
            size_bytes: database.size_on_disk()?,
            devices: count(database.table(Table::Devices)?),
            uplinks: weeks.iter().map(|(_, bucket)| bucket.count()).sum::<Result<u64, _>>()?,
            weeks: u64::try_from(weeks.len()).unwrap_or(u64::MAX),
            oldest: oldest.first().map(|uplink| uplink.time),
            newest: newest.first().map(|uplink| uplink.time).or(newest_of_device),
            outbox,
            outbox_oldest,
            parked: count(database.table(Table::Parked)?),
            downlinks: count(database.table(Table::Queue)?),
        })
    }

    /// Reads every record. Blocks.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        for (place, named) in self.database().places() {
            for entry in &named.tree {
                match entry {
                    Ok((key, value)) => self.verify_value(&mut verified, place, &key, &value)?,
                    Err(error) => {
                        verified.note(place, Some(error.to_string()));
                        break;
                    }
                }
            }
        }
        Ok(verified)
    }

    fn verify_value(
        &self,
        verified: &mut Verified,
        place: Place,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let Place::Packed(week) = place else {
            verified.note(place, self.fault_of(place, key, value)?);
            return Ok(());
        };
        match Pack::decode(key, value) {
            Ok(pack) => {
                for (key, value) in pack.records() {
                    verified.note(place, self.fault_of(Place::Week(week), &key, value)?);
                }
            }
            Err(error) => verified.note(place, Some(error.to_string())),
        }
        Ok(())
    }

    fn fault_of(&self, place: Place, key: &[u8], value: &[u8]) -> Result<Option<String>, StoreError> {
        let fault = match place {
            Place::Packed(_) => Pack::decode(key, value).err().map(|error| error.to_string()),
            Place::Week(_) if place_key_parts(key).is_some() => {
                LocationRecord::decode(value).err().map(|error| error.to_string())
            }
            Place::Week(_) if uplink_key_parts(key).is_none() => Some("a key that is none".to_owned()),
            Place::Week(_) => UplinkRecord::decode(value).err().map(|error| error.to_string()),
            Place::Table(Table::Devices) => DeviceRecord::decode(value).err().map(|error| error.to_string()),
            Place::Table(Table::Types) => {
                DeviceTypeRecord::decode(value).err().map(|error| error.to_string())
            }
            Place::Table(Table::States) => {
                let device = DeviceId::new(first_u32(key).unwrap_or_default(), 1);
                let record = StateRecord::decode(value).map(|record| record.state(device).is_some());
                record.map_or_else(
                    |error| Some(error.to_string()),
                    |whole| (!whole).then(|| "a broken state".to_owned()),
                )
            }
            Place::Table(Table::Queue) => DownlinkRecord::decode(value).err().map(|error| error.to_string()),
            Place::Table(Table::Parked) => ParkedRecord::decode(value).err().map(|error| error.to_string()),
            Place::Table(Table::Outbox | Table::Waiting) => return self.fault_of_block(key, value),
            Place::Table(
                Table::Meta | Table::Sources | Table::Cursors | Table::Tenants | Table::Asks | Table::Notes,
            ) => None,
        };
        Ok(fault)
    }

    /// A block must be readable, and what it refers to must be there.
    fn fault_of_block(&self, key: &[u8], value: &[u8]) -> Result<Option<String>, StoreError> {
        let block = match BlockRecord::decode(value) {
            Ok(block) => block,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let first = block_time(last_u64(key).unwrap_or_default());
        let memory = self.memory();
        for (after, entry) in block.entries {
            let EntryRecord::Uplink { device, tail } = entry else { continue };
            let time = first.plus(std::time::Duration::from_millis(after));
            if self.load_uplink(&memory, device, time, tail.into())?.is_none() {
                return Ok(Some(format!("an event of device {device:X} at {time} has no uplink")));
            }
        }
        Ok(None)
    }
}

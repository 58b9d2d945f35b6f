//! Keeping uplinks: what is new, what is the same message once more, and what a second copy adds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::commit::{Commit, Place};
use super::counts::Counted;
use super::error::StoreError;
use super::layout::{
    LARGEST_COMMIT, Table, UplinkKey, Week, device_key, seconds, source_key, span, uplink_key,
    uplink_key_parts,
};
use super::memory::{KnownDevice, Memory};
use super::outbox::Reader;
use super::record::{DeviceRecord, Record, UplinkRecord};
use super::{Change, News, Recorded, Store};
use crate::model::{Device, DeviceId, Event, Location, SourceName, Timestamp, Uplink, UplinkId};

/// A part of a sweep is full at so many writes: the next uplink may add two of its own, and the blocks of its
/// events and a cursor still stay within the largest commit,
const PART_OF_SWEEP: usize = LARGEST_COMMIT - 8;
/// as do each tenant's.
const BLOCKS_OF_TENANT: usize = 3;
/// With however many tenants a part gets on.
const LEAST_PART: usize = 10;

/// A poll that brought nothing new writes nothing, unless its cursor has moved on by so much; after a crash the
/// cloud is asked for at most so much twice.
const CURSOR_STEP: Duration = Duration::from_secs(10 * 60);

impl Store {
    /// Keeps the uplinks of one whole sweep (any order; stored and published oldest first) and moves the sweep's
    /// cursor in the same flush. Not durable at once: a crash asks the cloud again. Nothing is written when
    /// nothing is new and the cursor has moved by less than ten minutes.
    pub fn record_sweep(
        &self,
        uplinks: &[Uplink],
        cursor: Option<(&SourceName, &str, Timestamp)>,
    ) -> Result<Recorded, StoreError> {
        let mut sorted: Vec<&Uplink> = uplinks.iter().collect();
        sorted.sort_by_key(|uplink| (uplink.time, uplink.id()));
        let mut recorded = Recorded::default();
        let mut left = sorted.as_slice();
        let mut wrote = false;
        loop {
            // A crash between two parts leaves the cursor where it was, and the repeat finds the first part known.
            wrote |= self.record_part(&mut left, cursor, wrote, &mut recorded)?;
            if left.is_empty() {
                break;
            }
        }
        Ok(recorded)
    }

    /// Keeps one uplink; durable when this returns.
    pub async fn record_uplink(&self, uplink: &Uplink) -> Result<Recorded, StoreError> {
        let mut recorded = Recorded::default();
        self.record_part(&mut [uplink].as_slice(), None, false, &mut recorded)?;
        // Also where it was known: the first copy may be of a sweep that is not durable yet.
        self.durable().await?;
        Ok(recorded)
    }

    /// Keeps as many uplinks as fit into one commit, with the last of them the cursor; says whether that was news.
    fn record_part(
        &self,
        left: &mut &[&Uplink],
        cursor: Option<(&SourceName, &str, Timestamp)>,
        wrote_before: bool,
        recorded: &mut Recorded,
    ) -> Result<bool, StoreError> {
        let mut memory = self.memory();
        let mut part = Part::default();
        let full = Self::full_part(&memory);
        while let Some((uplink, rest)) = left.split_first() {
            if part.writes() >= full {
                break;
            }
            self.stage_uplink(&mut memory, &mut part, uplink)?;
            *left = rest;
        }
        let news = !part.uplinks.is_empty();
        if let Some(cursor) = cursor.filter(|_| left.is_empty()) {
            self.stage_cursor(&mut memory, &mut part.commit, cursor, news || wrote_before)?;
        }
        let committed = self.commit_part(&mut memory, part)?;
        drop(memory);
        self.tell_committed(&committed);
        recorded.new.extend(committed.new);
        recorded.known += committed.known;
        Ok(news)
    }

    /// Writes a part whole or not at all, and takes it over into memory; not durable before a sync.
    pub(super) fn commit_part(&self, memory: &mut Memory, mut part: Part) -> Result<Committed, StoreError> {
        for (key, record) in &part.uplinks {
            if let Some((_, second, _)) = uplink_key_parts(key) {
                part.commit.write(Place::Week(Week::of(second)), key.to_vec(), Some(record.encode()?));
            }
        }
        let staged = memory.outbox.stage(&self.database(), &mut part.commit, &part.events)?;
        self.database().apply(&part.commit)?;
        if memory.outbox.depth(Reader::Broker) == 0 {
            memory.fresh.clear();
        }
        memory.outbox.keep(&staged);
        for key in part.new.iter().filter_map(uplink_key) {
            if let Some(record) = part.uplinks.remove(&key) {
                memory.fresh.keep(key, record);
            }
        }
        let mut changes = part.changes;
        changes.extend(part.devices.values().map(|known| Change::Device(known.device.id)));
        if !part.events.is_empty() {
            changes.push(Change::Outbox);
        }
        memory.counted.add(&part.counted);
        memory.devices.extend(part.devices);
        for (device, time) in part.last_seen {
            memory.kept(device, time);
        }
        Ok(Committed { new: part.new, known: part.known, changes })
    }

    /// Tells whoever looks on; after the lock is given back.
    pub(super) fn tell_committed(&self, committed: &Committed) {
        for id in &committed.new {
            self.tell_news(News::Uplink(*id));
        }
        self.announce(committed.changes.iter().cloned());
    }

    /// At how many writes a part is full.
    pub(super) fn full_part(memory: &Memory) -> usize {
        PART_OF_SWEEP.saturating_sub(BLOCKS_OF_TENANT * memory.outbox.tenants()).max(LEAST_PART)
    }

    /// Puts an uplink into a part, if it is new or adds to what is known.
    pub(super) fn stage_uplink(
        &self,
        memory: &mut Memory,
        part: &mut Part,
        uplink: &Uplink,
    ) -> Result<(), StoreError> {
        let source = memory.sources.number(&self.database(), &uplink.source)?;
        let mut copy = UplinkRecord::new(uplink, source);
        let id = uplink.id();
        let Some(key) = uplink_key(&id) else {
            return Err(StoreError::Failing(format!("uplink {id} lies outside 1970 to 2100")));
        };
        let is_newest = self.is_newest(memory, part, uplink);
        let same = if is_newest { None } else { self.find_same(part, uplink, &key)? };
        part.counted.arrived(source, same.is_none());
        let Some((known_key, mut known)) = same else {
            let printed = self.stage_device(memory, part, uplink, source)?;
            let id = UplinkId { device: printed, ..id };
            part.events.push(Event::Uplink(Box::new(Uplink { device: printed, ..uplink.clone() })));
            part.new.push(id);
            part.uplinks.insert(key, copy);
            let seen = part.last_seen.entry(uplink.device.number()).or_insert(uplink.time);
            *seen = uplink.time.max(*seen);
            return Ok(());
        };
        part.known += 1;
        let location = uplink.location.and_then(Location::checked).filter(|_| known.location.is_none());
        copy.location =
            location.as_ref().map(|location| known.location_record(location, seconds(uplink.time)));
        if !known.fill_from(&copy) {
            return Ok(());
        }
        memory.fresh.take(&known_key);
        part.uplinks.insert(known_key, known);
        if let (Some(location), Some((_, second, tail))) = (location, uplink_key_parts(&known_key)) {
            let device = memory.printed(uplink.device);
            let uplink = Some(UplinkId { device, seconds: i64::from(second), tail });
            part.events.push(Event::Location { device, location, uplink });
        }
        Ok(())
    }

    /// Whether a message is newer than all that is kept of its device: then it need not be looked for.
    fn is_newest(&self, memory: &mut Memory, part: &Part, uplink: &Uplink) -> bool {
        let (device, second) = (uplink.device.number(), seconds(uplink.time));
        part.last_seen.get(&device).is_none_or(|seen| second > seconds(*seen))
            && memory.is_newest(&self.database(), device, second)
    }

    /// The same message as it is kept: of the same identity, or of the same second and payload where one of the
    /// two has no sequence number.
    fn find_same(
        &self,
        part: &Part,
        uplink: &Uplink,
        key: &UplinkKey,
    ) -> Result<Option<(UplinkKey, UplinkRecord)>, StoreError> {
        let second = seconds(uplink.time);
        let week = self.database().week(Week::of(second));
        let kept = |key: &UplinkKey| -> Result<Option<(UplinkKey, UplinkRecord)>, StoreError> {
            if let Some(staged) = part.uplinks.get(key) {
                return Ok(Some((*key, staged.clone())));
            }
            let value = week.as_ref().map(|week| week.get(key)).transpose()?.flatten();
            Ok(value.and_then(|value| read_record(&value, uplink.device)).map(|record| (*key, record)))
        };
        if let Some(same) = kept(key)? {
            return Ok(Some(same));
        }
        let is_same = |known: &UplinkRecord| known.payload == uplink.payload.as_bytes();
        if uplink.seq.is_some() {
            // One without a number is kept below what stands for its payload. Looking for both is cheaper than going
            // through the second.
            let without = uplink_key(&uplink.unnumbered_id());
            let same = without.map(|without| kept(&without)).transpose()?.flatten();
            return Ok(same.filter(|(_, known)| is_same(known)));
        }
        let Some((lowest, highest)) = span(uplink.device.number(), second, second.saturating_add(1)) else {
            return Ok(None);
        };
        let mut of_second = BTreeMap::new();
        if let Some(week) = &week {
            for entry in week.entries((lowest, highest), false) {
                let (key, value) = entry?;
                if uplink_key_parts(&key).is_some() {
                    of_second.extend(read_record(&value, uplink.device).map(|record| (key, record)));
                }
            }
        }
        of_second.extend(part.uplinks.range(lowest..=highest).map(|(key, record)| (*key, record.clone())));
        Ok(of_second.into_iter().find(|(_, known)| is_same(known)))
    }

    /// The device of an uplink as it is printed; one that is not known yet is added.
    fn stage_device(
        &self,
        memory: &Memory,
        part: &mut Part,
        uplink: &Uplink,
        source: u16,
    ) -> Result<DeviceId, StoreError> {
        let number = uplink.device.number();
        if let Some(known) = part.devices.get(&number).or_else(|| memory.devices.get(&number)) {
            return Ok(known.device.id);
        }
        let device = Device {
            id: uplink.device,
            source: uplink.source.clone(),
            name: None,
            device_type: None,
            tags: BTreeMap::new(),
            state: None,
            last_seen: None,
            gone: false,
        };
        let record = DeviceRecord::new(&device, source, false, None).encode()?;
        part.commit.put(Table::Devices, device_key(device.id), record);
        part.events.push(Event::device_added(&device, uplink.received));
        part.devices.insert(number, KnownDevice { device, listed: false, place: None });
        Ok(uplink.device)
    }

    fn stage_cursor(
        &self,
        memory: &mut Memory,
        commit: &mut Commit,
        (source, scope, time): (&SourceName, &str, Timestamp),
        news: bool,
    ) -> Result<(), StoreError> {
        let source = memory.sources.number(&self.database(), source)?;
        let moved = match self.stored_cursor(source, scope)? {
            Some(stored) => time.since(stored) >= CURSOR_STEP || stored.since(time) > Duration::ZERO,
            None => true,
        };
        if news || moved {
            commit.put(Table::Cursors, source_key(source, scope), time.as_millis().to_be_bytes().to_vec());
        }
        memory.cursors.insert((source, scope.to_owned()), time);
        Ok(())
    }

    /// Up to where a source's scope (a device type, a device) was swept.
    pub fn cursor(&self, source: &SourceName, scope: &str) -> Result<Option<Timestamp>, StoreError> {
        let memory = self.memory();
        let Some(source) = memory.sources.known(source) else {
            return Ok(None);
        };
        match memory.cursors.get(&(source, scope.to_owned())) {
            Some(time) => Ok(Some(*time)),
            None => self.stored_cursor(source, scope),
        }
    }

    fn stored_cursor(&self, source: u16, scope: &str) -> Result<Option<Timestamp>, StoreError> {
        let stored = self.database().table(Table::Cursors)?.get(source_key(source, scope))?;
        let milliseconds =
            stored.and_then(|value| value.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes)));
        Ok(milliseconds.and_then(Timestamp::from_millis))
    }
}

/// A kept uplink. One that cannot be read is written anew, and published again rather than never.
fn read_record(value: &[u8], device: DeviceId) -> Option<UplinkRecord> {
    UplinkRecord::decode(value)
        .inspect_err(|error| tracing::error!(%error, %device, "a kept uplink cannot be read"))
        .ok()
}

/// Uplinks, and what comes with them, on their way to one commit.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) commit: Commit,
    pub(super) events: Vec<Event>,
    /// What is to be announced of the queues in it.
    pub(super) changes: Vec<Change>,
    /// Devices that are new.
    devices: BTreeMap<u32, KnownDevice>,
    /// Uplinks that are new or have changed.
    uplinks: BTreeMap<UplinkKey, UplinkRecord>,
    last_seen: BTreeMap<u32, Timestamp>,
    new: Vec<UplinkId>,
    known: usize,
    pub(super) counted: Counted,
}

/// What a part has changed.
#[derive(Debug)]
pub(super) struct Committed {
    new: Vec<UplinkId>,
    known: usize,
    changes: Vec<Change>,
}

impl Part {
    /// How many writes it has, those of its events left out.
    pub(super) fn writes(&self) -> usize {
        self.uplinks.len() + self.commit.operations()
    }
}

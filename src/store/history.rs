//! Reading uplinks and locations back: a merge of the devices' keys, week by week, so that any length streams.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

use super::bucket::{Bucket, Entries};
use super::error::StoreError;
use super::layout::{Week, place_key_parts, seconds, span, uplink_key, uplink_key_parts};
use super::memory::{Memory, Sources};
use super::record::{LocationRecord, Record, UplinkRecord};
use super::{Located, Store, UplinkQuery};
use crate::model::{DeviceId, Timestamp, Uplink, UplinkId, UplinkTail};

impl Store {
    /// Uplinks of the history.
    pub fn uplinks(&self, query: &UplinkQuery) -> Result<Vec<Uplink>, StoreError> {
        self.history(query).collect()
    }

    /// Uplinks of the history one by one, in order of time; memory is bounded by the number of devices: some
    /// 8 KiB for each.
    pub fn history(&self, query: &UplinkQuery) -> impl Iterator<Item = Result<Uplink, StoreError>> + use<> {
        let uplinks = self.entries(query).filter_map(|entry| match entry {
            Ok(Entry::Uplink(uplink)) => Some(Ok(*uplink)),
            Ok(Entry::Place(_)) => None,
            Err(error) => Some(Err(error)),
        });
        uplinks.take(query.limit.unwrap_or(usize::MAX))
    }

    /// Locations of the history one by one, in order of the time of their uplinks or, without one, their own.
    pub fn locations(
        &self,
        query: &UplinkQuery,
    ) -> impl Iterator<Item = Result<Located, StoreError>> + use<> {
        let located = self.entries(query).filter_map(|entry| match entry {
            Ok(Entry::Uplink(uplink)) => {
                let (device, id) = (uplink.device, uplink.id());
                uplink.location.map(|location| Ok(Located { device, location, uplink: Some(id) }))
            }
            Ok(Entry::Place(located)) => Some(Ok(located)),
            Err(error) => Some(Err(error)),
        });
        located.take(query.limit.unwrap_or(usize::MAX))
    }

    fn entries(&self, query: &UplinkQuery) -> Merge {
        let memory = self.memory();
        let devices: Vec<DeviceId> = match query.device {
            Some(device) => {
                memory.devices.get(&device.number()).map(|known| known.device.id).into_iter().collect()
            }
            None => memory.devices.values().map(|known| known.device.id).collect(),
        };
        let mut weeks = self.database().weeks();
        weeks.retain(|(week, _)| {
            query.from.is_none_or(|from| Week::of(seconds(from)) <= *week)
                && query.to.is_none_or(|to| *week <= Week::of(seconds(to)))
        });
        if query.newest_first {
            weeks.reverse();
        }
        Merge {
            weeks: weeks.into_iter().map(|(_, bucket)| bucket).collect(),
            devices,
            sources: memory.sources.clone(),
            from: query.from.unwrap_or_default(),
            to: query.to,
            newest_first: query.newest_first,
            heads: BinaryHeap::new(),
            ended: false,
        }
    }

    /// One uplink of the history.
    pub fn uplink(&self, id: &UplinkId) -> Result<Option<Uplink>, StoreError> {
        let memory = self.memory();
        let Some(time) = id.seconds.checked_mul(1000).and_then(Timestamp::from_millis) else {
            return Ok(None);
        };
        self.load_uplink(&memory, id.device.number(), time, id.tail)
    }

    /// One uplink of the history, which the memory need not hold any longer.
    pub(super) fn take_uplink(
        &self,
        memory: &mut Memory,
        device: u32,
        time: Timestamp,
        tail: UplinkTail,
    ) -> Result<Option<Uplink>, StoreError> {
        let printed = memory.printed(DeviceId::new(device, 1));
        let key = uplink_key(&UplinkId { device: printed, seconds: time.as_seconds(), tail });
        match key.and_then(|key| memory.fresh.take(&key)) {
            Some(record) => Ok(uplink_of(record, printed, seconds(time), tail, &memory.sources)),
            None => self.load_uplink(memory, device, time, tail),
        }
    }

    pub(super) fn load_uplink(
        &self,
        memory: &Memory,
        device: u32,
        time: Timestamp,
        tail: UplinkTail,
    ) -> Result<Option<Uplink>, StoreError> {
        let device = memory.printed(DeviceId::new(device, 1));
        let second = seconds(time);
        let key = uplink_key(&UplinkId { device, seconds: time.as_seconds(), tail });
        let (Some(week), Some(key)) = (self.database().week(Week::of(second)), key) else {
            return Ok(None);
        };
        let Some(value) = week.get(&key)? else { return Ok(None) };
        Ok(read_uplink(&value, device, second, tail, &memory.sources))
    }
}

fn read_uplink(
    value: &[u8],
    device: DeviceId,
    second: u32,
    tail: UplinkTail,
    sources: &Sources,
) -> Option<Uplink> {
    uplink_of(UplinkRecord::decode(value).ok()?, device, second, tail, sources)
}

fn uplink_of(
    record: UplinkRecord,
    device: DeviceId,
    second: u32,
    tail: UplinkTail,
    sources: &Sources,
) -> Option<Uplink> {
    let source = sources.name(record.source())?.clone();
    record.uplink(device, second, tail, source)
}

/// What the history holds.
enum Entry {
    Uplink(Box<Uplink>),
    /// A location without an uplink.
    Place(Located),
}

impl Entry {
    /// The entry of a key and its value; none if they cannot be read.
    fn read(key: &[u8], value: &[u8], device: DeviceId, sources: &Sources) -> Option<Self> {
        if let Some((_, second)) = place_key_parts(key) {
            let second = Timestamp::from_millis(i64::from(second) * 1000)?;
            let location = LocationRecord::decode(value).ok()?.location(second)?;
            return Some(Self::Place(Located { device, location, uplink: None }));
        }
        let (_, second, tail) = uplink_key_parts(key)?;
        read_uplink(value, device, second, tail, sources).map(|uplink| Self::Uplink(Box::new(uplink)))
    }

    fn time(&self) -> Timestamp {
        match self {
            Self::Uplink(uplink) => uplink.time,
            Self::Place(located) => located.location.time,
        }
    }
}

/// The entries of some devices, merged by time.
struct Merge {
    weeks: VecDeque<Bucket>,
    devices: Vec<DeviceId>,
    sources: Sources,
    from: Timestamp,
    to: Option<Timestamp>,
    newest_first: bool,
    heads: BinaryHeap<Head>,
    ended: bool,
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("weeks", &self.weeks.len()).finish_non_exhaustive()
    }
}

/// The next entry of one device in the current week.
struct Head {
    /// Larger is sooner.
    order: i64,
    device: DeviceId,
    entry: Entry,
    rest: Entries,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then_with(|| other.device.cmp(&self.device))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merge {
    fn begin_week(&mut self, bucket: &Bucket) -> Result<(), StoreError> {
        let (first, last) =
            (seconds(self.from), self.to.map_or(u32::MAX, |to| seconds(to).saturating_add(1)));
        for place in 0..self.devices.len() {
            let Some(&device) = self.devices.get(place) else { break };
            let Some(span) = span(device.number(), first, last) else { break };
            self.advance(device, bucket.entries(span, self.newest_first))?;
        }
        Ok(())
    }

    /// Puts a device's next entry among the heads.
    fn advance(&mut self, device: DeviceId, mut rest: Entries) -> Result<(), StoreError> {
        while let Some(next) = rest.next() {
            let (key, value) = next?;
            let Some(entry) = Entry::read(&key, &value, device, &self.sources) else {
                tracing::error!(%device, ?key, "left out of the history: a record cannot be read");
                continue;
            };
            let time = entry.time();
            if time >= self.from && self.to.is_none_or(|to| time < to) {
                let order = if self.newest_first { time.as_millis() } else { -time.as_millis() };
                self.heads.push(Head { order, device, entry, rest });
                return Ok(());
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            if let Some(Head { device, entry, rest, .. }) = self.heads.pop() {
                self.advance(device, rest)?;
                return Ok(Some(entry));
            }
            let Some(bucket) = self.weeks.pop_front() else { return Ok(None) };
            self.begin_week(&bucket)?;
        }
    }
}

impl Iterator for Merge {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.step().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

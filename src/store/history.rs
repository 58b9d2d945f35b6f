//! Reading uplinks back: a merge of the devices' keys, week by week, so that any length streams.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

use super::error::StoreError;
use super::layout::{Week, second_prefix, seconds, uplink_key, uplink_key_parts};
use super::memory::{Memory, Sources};
use super::record::{Record, UplinkRecord};
use super::{Store, UplinkQuery};
use crate::model::{DeviceId, Timestamp, Uplink, UplinkId, UplinkTail};

impl Store {
    /// Uplinks of the history.
    pub fn uplinks(&self, query: &UplinkQuery) -> Result<Vec<Uplink>, StoreError> {
        self.history(query).collect()
    }

    /// Uplinks of the history one by one, in order of time; memory is bounded by the number of devices.
    #[must_use]
    pub fn history(&self, query: &UplinkQuery) -> History {
        let memory = self.memory();
        let devices: Vec<DeviceId> = match query.device {
            Some(device) => {
                memory.devices.get(&device.number()).map(|known| known.device.id).into_iter().collect()
            }
            None => memory.devices.values().map(|known| known.device.id).collect(),
        };
        let mut weeks: VecDeque<_> = self.database().weeks().into();
        weeks.retain(|(week, _)| {
            query.from.is_none_or(|from| Week::of(seconds(from)) <= *week)
                && query.to.is_none_or(|to| *week <= Week::of(seconds(to)))
        });
        if query.newest_first {
            weeks.make_contiguous().reverse();
        }
        History {
            weeks: weeks.into_iter().map(|(_, tree)| tree).collect(),
            devices,
            sources: memory.sources.clone(),
            from: query.from.unwrap_or_default(),
            to: query.to,
            newest_first: query.newest_first,
            left: query.limit.unwrap_or(usize::MAX),
            heads: BinaryHeap::new(),
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
        let Some(value) = week.get(key)? else { return Ok(None) };
        Ok(read(&value, device, second, tail, &memory.sources))
    }
}

/// The uplink of a record; one that cannot be read is said and left out.
fn read(value: &[u8], device: DeviceId, second: u32, tail: UplinkTail, sources: &Sources) -> Option<Uplink> {
    let uplink = UplinkRecord::decode(value).ok().and_then(|record| {
        let source = sources.name(record.source())?.clone();
        record.uplink(device, second, tail, source)
    });
    if uplink.is_none() {
        tracing::error!(%device, second, "uplink left out: its record cannot be read");
    }
    uplink
}

/// Uplinks of the history, in order of time.
pub struct History {
    weeks: VecDeque<sled::Tree>,
    devices: Vec<DeviceId>,
    sources: Sources,
    from: Timestamp,
    to: Option<Timestamp>,
    newest_first: bool,
    left: usize,
    heads: BinaryHeap<Head>,
}

/// The next uplink of one device in the current week.
struct Head {
    /// Larger is sooner.
    order: i64,
    uplink: Uplink,
    rest: sled::Iter,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("weeks", &self.weeks.len())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then_with(|| other.uplink.device.cmp(&self.uplink.device))
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

impl History {
    fn begin_week(&mut self, tree: &sled::Tree) -> Result<(), StoreError> {
        for device in self.devices.clone() {
            let lowest = second_prefix(device.number(), seconds(self.from));
            let highest =
                second_prefix(device.number(), self.to.map_or(u32::MAX, |to| seconds(to).saturating_add(1)));
            if lowest < highest {
                self.advance(device, tree.range(lowest..highest))?;
            }
        }
        Ok(())
    }

    /// Puts a device's next uplink among the heads.
    fn advance(&mut self, device: DeviceId, mut rest: sled::Iter) -> Result<(), StoreError> {
        while let Some(entry) = if self.newest_first { rest.next_back() } else { rest.next() } {
            let (key, value) = entry?;
            let Some((_, second, tail)) = uplink_key_parts(&key) else { continue };
            let Some(uplink) = read(&value, device, second, tail, &self.sources) else { continue };
            if uplink.time >= self.from && self.to.is_none_or(|to| uplink.time < to) {
                let milliseconds = uplink.time.as_millis();
                let order = if self.newest_first { milliseconds } else { -milliseconds };
                self.heads.push(Head { order, uplink, rest });
                return Ok(());
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Uplink>, StoreError> {
        loop {
            if let Some(Head { uplink, rest, .. }) = self.heads.pop() {
                self.advance(uplink.device, rest)?;
                return Ok(Some(uplink));
            }
            let Some(tree) = self.weeks.pop_front() else { return Ok(None) };
            self.begin_week(&tree)?;
        }
    }
}

impl Iterator for History {
    type Item = Result<Uplink, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let next = self.step().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.left = 0;
        }
        next
    }
}

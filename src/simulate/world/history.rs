//! Every message that the network remembers, in the order in which the APIs list them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::uplink::Uplink;
use crate::model::{DeviceId, Timestamp};

/// So many messages are remembered; the one recorded first goes first.
const LONGEST: usize = 200_000;

/// Messages by device, by device type and by time.
#[derive(Debug, Default)]
pub(in crate::simulate) struct History {
    uplinks: BTreeMap<u64, (Uplink, Option<String>)>,
    by_device: HashMap<DeviceId, BTreeSet<(Timestamp, u64)>>,
    by_type: HashMap<String, BTreeSet<(Timestamp, u64)>>,
    added: u64,
}

/// Whose messages are asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulate) enum Of<'a> {
    /// One device's.
    Device(DeviceId),
    /// Those of all devices that were of this type when they sent.
    Type(&'a str),
}

/// Which part of a list is asked for; both ends are included.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulate) struct Cut {
    pub(in crate::simulate) since: Timestamp,
    pub(in crate::simulate) before: Timestamp,
    pub(in crate::simulate) offset: usize,
    pub(in crate::simulate) limit: usize,
}

impl History {
    pub(super) fn add(&mut self, uplink: Uplink, device_type: Option<String>) -> u64 {
        self.added += 1;
        let key = (uplink.time, self.added);
        self.by_device.entry(uplink.device).or_default().insert(key);
        if let Some(device_type) = &device_type {
            self.by_type.entry(device_type.clone()).or_default().insert(key);
        }
        self.uplinks.insert(self.added, (uplink, device_type));
        if self.uplinks.len() > LONGEST {
            self.forget_first();
        }
        self.added
    }

    fn forget_first(&mut self) {
        if let Some((number, (uplink, device_type))) = self.uplinks.pop_first() {
            let key = (uplink.time, number);
            if let Some(keys) = self.by_device.get_mut(&uplink.device) {
                keys.remove(&key);
            }
            if let Some(keys) = device_type.and_then(|device_type| self.by_type.get_mut(&device_type)) {
                keys.remove(&key);
            }
        }
    }

    pub(super) fn uplink(&self, number: u64) -> Option<&Uplink> {
        self.uplinks.get(&number).map(|(uplink, _)| uplink)
    }

    pub(super) fn uplink_mut(&mut self, number: u64) -> Option<&mut Uplink> {
        self.uplinks.get_mut(&number).map(|(uplink, _)| uplink)
    }

    pub(super) fn len(&self) -> usize {
        self.uplinks.len()
    }

    /// The messages of a cut, newest first, and the one after them, where the list goes on.
    pub(in crate::simulate) fn newest_first(&self, of: Of<'_>, cut: Cut) -> (Vec<&Uplink>, Option<&Uplink>) {
        let mut rows: Vec<&Uplink> =
            self.between(of, cut).rev().skip(cut.offset).take(cut.limit.saturating_add(1)).collect();
        let after = if rows.len() > cut.limit { rows.pop() } else { None };
        (rows, after)
    }

    /// The messages of a cut, oldest first, and the one after them.
    pub(in crate::simulate) fn oldest_first(&self, of: Of<'_>, cut: Cut) -> (Vec<&Uplink>, Option<&Uplink>) {
        let mut rows: Vec<&Uplink> =
            self.between(of, cut).skip(cut.offset).take(cut.limit.saturating_add(1)).collect();
        let after = if rows.len() > cut.limit { rows.pop() } else { None };
        (rows, after)
    }

    /// The newest message of a device.
    pub(in crate::simulate) fn last(&self, device: DeviceId) -> Option<&Uplink> {
        let (_, number) = self.by_device.get(&device)?.last()?;
        self.uplink(*number)
    }

    fn between(&self, of: Of<'_>, cut: Cut) -> impl DoubleEndedIterator<Item = &Uplink> {
        let keys = match of {
            Of::Device(device) => self.by_device.get(&device),
            Of::Type(device_type) => self.by_type.get(device_type),
        };
        // A range that ends before it begins is a panic in the standard library and an empty list in the cloud.
        let ordered = cut.since <= cut.before;
        keys.filter(|_| ordered)
            .into_iter()
            .flat_map(move |keys| keys.range((cut.since, 0)..=(cut.before, u64::MAX)))
            .filter_map(|(_, number)| self.uplink(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Payload;

    fn seqs(rows: &[&Uplink]) -> Vec<u16> {
        rows.iter().filter_map(|uplink| uplink.seq).collect()
    }

    #[test]
    fn a_cut_lists_newest_first_and_names_what_comes_after() {
        let device: DeviceId = "1A".parse().unwrap();
        let at = |seconds| Timestamp::from_cloud(seconds).unwrap();
        let mut history = History::default();
        for (seconds, seq) in [(30, 3), (10, 1), (20, 2), (20, 22)] {
            history.add(Uplink::new(device, at(seconds), seq, Payload::default()), Some("t".into()));
        }
        let cut = Cut { since: at(10), before: at(30), offset: 0, limit: 2 };
        let (rows, after) = history.newest_first(Of::Type("t"), cut);
        assert_eq!((seqs(&rows), after.and_then(|uplink| uplink.seq)), (vec![3, 22], Some(2)));
        let (rows, after) = history.newest_first(Of::Device(device), Cut { offset: 2, ..cut });
        assert_eq!((seqs(&rows), after), (vec![2, 1], None));
        let (rows, _) = history.oldest_first(Of::Device(device), cut);
        assert_eq!(seqs(&rows), [1, 2]);
        let (rows, _) = history.newest_first(Of::Device(device), Cut { since: at(31), ..cut });
        assert_eq!(seqs(&rows), [0_u16; 0]);
        assert_eq!(history.last(device).and_then(|uplink| uplink.seq), Some(3));
    }
}

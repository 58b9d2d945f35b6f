//! The layout on disk: which trees there are, how their keys sort and what a value begins with.
//!
//! Nothing outside this room knows it. All numbers in keys are big-endian, so that keys sort as they are read.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `meta` | `schema` | the version of this layout, u32 |
//! | `sources` | number of the source, u16 | its name, text |
//! | `cursors` | source u16, scope as text | milliseconds, u64 |
//! | `types` | source u16, id as text | `DeviceTypeRecord` |
//! | `devices` | device u32 | `DeviceRecord` |
//! | `states` | device u32 | `StateRecord`: what the uplinks have told so far |
//! | `uplinks-NNNN` | device u32, seconds u32, kind of the tail u8, tail u16 | `UplinkRecord` |
//! | `uplinks-NNNN` | device u32, seconds u32, 2 u8, 0 u16 | `LocationRecord`: a location without an uplink |
//! | `packed-NNNN` | the key of the first record in it | `Pack`: many records of `uplinks-NNNN` of one device |
//! | `outbox` | milliseconds of the first event and arrival (42 + 22 bits), u64 | `BlockRecord` |
//! | `tenants` | number of the tenant, u16 | its name, text |
//! | `waiting` | tenant u16, then as `outbox` | `BlockRecord` |
//! | `queue` | device u32, order u64 | `DownlinkRecord` |
//! | `asks` | as `uplinks-NNNN` | nothing, or the id of the item that was the answer, text |
//! | `notes` | text | bytes |
//! | `parked` | number in the order of parking, u64 | `ParkedRecord`: an event that the broker will not take |
//!
//! `NNNN` is a week: seconds since 1970 divided by 604,800. A week's history is dropped as a whole tree, because
//! sled gives no space back for single keys. Values of records are a byte of version and then postcard; sources
//! stand in them as numbers. A device's last message is not written: it is the newest key of its history.
//!
//! When a week is over its records are packed, and `uplinks-NNNN` is dropped. What comes after that lies loose again:
//! in `uplinks-NNNN`, or in `uplinks-NNNN.G` while an earlier generation is still there. Of a key that is there more
//! than once the highest generation counts, and what is packed counts least.
//!
//! What is written together (one transaction of at most [`LARGEST_COMMIT`] operations): a part of a sweep with
//! its block of the outbox and its new devices, the last part with the cursor; a queue's change with its events
//! and its answer. A block leaves the outbox only after the states that its events led to were written. What goes
//! into the outbox and is about a device goes into `waiting` for each tenant, in the same transaction.
//!
//! `tenants` and `waiting` came after the first release of version 1, without a new version: a program that does
//! not know them reads and writes everything else as before. After it has dropped history or compacted, a tenant
//! lacks what was dropped; nothing else does. `packed-NNNN` and generations came with version 2.

use crate::model::{DeviceId, Timestamp, UplinkId, UplinkTail};

/// The version of this layout.
pub(super) const SCHEMA: u32 = 2;

/// sled's memory grows with a transaction; at 100 operations it stays flat.
pub(super) const LARGEST_COMMIT: usize = 100;

/// Larger values sled keeps in files of their own, which it never syncs.
pub(super) const LARGEST_VALUE: usize = 12 * 1024;

const WEEK_S: u32 = 7 * 24 * 3600;
const LOOSE_PREFIX: &str = "uplinks-";
const PACKED_PREFIX: &str = "packed-";

const KIND_SEQ: u8 = 0;
const KIND_CRC: u8 = 1;
const KIND_PLACE: u8 = 2;

/// The key of an uplink in its week.
pub(super) type UplinkKey = [u8; 11];

/// The trees of which there is one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Meta,
    Sources,
    Cursors,
    Types,
    Devices,
    States,
    Outbox,
    Tenants,
    Waiting,
    Queue,
    Asks,
    Notes,
    Parked,
}

impl Table {
    pub(super) const ALL: [Self; 13] = [
        Self::Meta,
        Self::Sources,
        Self::Cursors,
        Self::Types,
        Self::Devices,
        Self::States,
        Self::Outbox,
        Self::Tenants,
        Self::Waiting,
        Self::Queue,
        Self::Asks,
        Self::Notes,
        Self::Parked,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Sources => "sources",
            Self::Cursors => "cursors",
            Self::Types => "types",
            Self::Devices => "devices",
            Self::States => "states",
            Self::Outbox => "outbox",
            Self::Tenants => "tenants",
            Self::Waiting => "waiting",
            Self::Queue => "queue",
            Self::Asks => "asks",
            Self::Notes => "notes",
            Self::Parked => "parked",
        }
    }
}

/// A week of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Week(u32);

impl Week {
    /// The week that a time lies in.
    pub(super) fn of(seconds: u32) -> Self {
        Self(seconds / WEEK_S)
    }

    /// The time at which it is over.
    pub(super) fn end(self) -> Timestamp {
        let seconds = (i64::from(self.0) + 1) * i64::from(WEEK_S);
        Timestamp::from_millis(seconds * 1000).unwrap_or_default()
    }

    /// The name of one of its trees.
    pub(super) fn tree(self, part: Part) -> String {
        match part {
            Part::Loose(0) => format!("{LOOSE_PREFIX}{:04}", self.0),
            Part::Loose(generation) => format!("{LOOSE_PREFIX}{:04}.{generation}", self.0),
            Part::Packed => format!("{PACKED_PREFIX}{:04}", self.0),
        }
    }

    /// The week that has a tree of this name, and which of its trees that is.
    pub(super) fn of_tree(name: &[u8]) -> Option<(Self, Part)> {
        let name = std::str::from_utf8(name).ok()?;
        if let Some(number) = name.strip_prefix(PACKED_PREFIX) {
            return Some((Self(number.parse().ok()?), Part::Packed));
        }
        let rest = name.strip_prefix(LOOSE_PREFIX)?;
        let (number, generation) = rest.split_once('.').unwrap_or((rest, "0"));
        Some((Self(number.parse().ok()?), Part::Loose(generation.parse().ok()?)))
    }
}

/// One of the trees of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Records as they came; the number is the generation.
    Loose(u32),
    Packed,
}

/// The whole seconds of a time; a `Timestamp` lies between 1970 and 2100, so they always fit.
pub(super) fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_seconds()).unwrap_or(u32::MAX)
}

pub(super) fn device_key(device: DeviceId) -> [u8; 4] {
    device.number().to_be_bytes()
}

/// What the keys of a device's uplinks of one second begin with.
pub(super) fn second_prefix(device: u32, seconds: u32) -> [u8; 8] {
    let [a, b, c, d] = device.to_be_bytes();
    let [e, f, g, h] = seconds.to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The first and the last key that a device's records of these seconds can have; none for no second.
pub(super) fn span(device: u32, from: u32, until: u32) -> Option<(UplinkKey, UplinkKey)> {
    let fill = |[a, b, c, d, e, f, g, h]: [u8; 8], fill: u8| [a, b, c, d, e, f, g, h, fill, fill, fill];
    let last = until.checked_sub(1).filter(|last| from <= *last)?;
    Some((fill(second_prefix(device, from), 0), fill(second_prefix(device, last), u8::MAX)))
}

/// The key right after another, in the order of keys; none after the last.
pub(super) fn key_after(mut key: UplinkKey) -> Option<UplinkKey> {
    for byte in key.iter_mut().rev() {
        let (next, carried) = byte.overflowing_add(1);
        *byte = next;
        if !carried {
            return Some(key);
        }
    }
    None
}

/// The key right before another.
pub(super) fn key_before(mut key: UplinkKey) -> Option<UplinkKey> {
    for byte in key.iter_mut().rev() {
        let (next, borrowed) = byte.overflowing_sub(1);
        *byte = next;
        if !borrowed {
            return Some(key);
        }
    }
    None
}

/// The key of an uplink; none for an id outside 1970 to 2100, which no uplink has.
pub(super) fn uplink_key(id: &UplinkId) -> Option<UplinkKey> {
    let [a, b, c, d, e, f, g, h] = second_prefix(id.device.number(), u32::try_from(id.seconds).ok()?);
    let (kind, tail) = match id.tail {
        UplinkTail::Seq(seq) => (KIND_SEQ, seq),
        UplinkTail::Crc(crc) => (KIND_CRC, crc),
    };
    let [i, j] = tail.to_be_bytes();
    Some([a, b, c, d, e, f, g, h, kind, i, j])
}

/// The parts of an uplink's key: device, seconds, tail.
pub(super) fn uplink_key_parts(key: &[u8]) -> Option<(u32, u32, UplinkTail)> {
    let &[a, b, c, d, e, f, g, h, kind, i, j] = key else {
        return None;
    };
    let tail = u16::from_be_bytes([i, j]);
    let tail = match kind {
        KIND_SEQ => UplinkTail::Seq(tail),
        KIND_CRC => UplinkTail::Crc(tail),
        _ => return None,
    };
    Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]), tail))
}

/// The key of a location that belongs to no uplink.
pub(super) fn place_key(device: DeviceId, time: Timestamp) -> UplinkKey {
    let [a, b, c, d, e, f, g, h] = second_prefix(device.number(), seconds(time));
    [a, b, c, d, e, f, g, h, KIND_PLACE, 0, 0]
}

/// The device and the second of such a key.
pub(super) fn place_key_parts(key: &[u8]) -> Option<(u32, u32)> {
    match key {
        &[a, b, c, d, e, f, g, h, KIND_PLACE, 0, 0] => {
            Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
        }
        _ => None,
    }
}

const ARRIVAL_BITS: u32 = 22;

/// The key of a block of the outbox: blocks of one millisecond stand in the order in which they came.
pub(super) fn block_key(first: Timestamp, arrival: u64) -> u64 {
    let milliseconds = u64::try_from(first.as_millis()).unwrap_or(0);
    (milliseconds << ARRIVAL_BITS) | (arrival & ((1 << ARRIVAL_BITS) - 1))
}

/// The time of a block's first event.
pub(super) fn block_time(key: u64) -> Timestamp {
    i64::try_from(key >> ARRIVAL_BITS).ok().and_then(Timestamp::from_millis).unwrap_or_default()
}

/// The key of a source's cursor or device type: the source's number and a text.
pub(super) fn source_key(source: u16, text: &str) -> Vec<u8> {
    let mut key = source.to_be_bytes().to_vec();
    key.extend_from_slice(text.as_bytes());
    key
}

/// The key of a downlink: its device and its place in the queue.
pub(super) fn queue_key(device: DeviceId, order: u64) -> Vec<u8> {
    let mut key = device_key(device).to_vec();
    key.extend_from_slice(&order.to_be_bytes());
    key
}

/// The number that a key's last eight bytes are.
pub(super) fn last_u64(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The number that a key's first four bytes are.
pub(super) fn first_u32(key: &[u8]) -> Option<u32> {
    key.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(device: u32, seconds: u32, tail: u16, crc: bool) -> UplinkId {
        let tail = if crc { UplinkTail::Crc(tail) } else { UplinkTail::Seq(tail) };
        UplinkId { device: DeviceId::new(device, 1), seconds: i64::from(seconds), tail }
    }

    proptest! {
        #[test]
        fn uplink_keys_sort_as_device_then_time_then_tail(
            a in any::<(u32, u32, u16)>(), b in any::<(u32, u32, u16)>(), crc in any::<bool>(),
        ) {
            let (key_a, key_b) = (uplink_key(&id(a.0, a.1, a.2, crc)), uplink_key(&id(b.0, b.1, b.2, crc)));
            prop_assert_eq!(key_a.cmp(&key_b), a.cmp(&b));
        }

        #[test]
        fn an_uplink_key_is_read_back(device in any::<u32>(), seconds in any::<u32>(), tail in any::<u16>(), crc in any::<bool>()) {
            let id = id(device, seconds, tail, crc);
            let key = uplink_key(&id).unwrap();
            prop_assert_eq!(uplink_key_parts(&key), Some((device, seconds, id.tail)));
        }

        #[test]
        fn blocks_sort_by_time_then_arrival(
            a in (0_i64..4_102_444_800_000, 0_u64..1 << 22), b in (0_i64..4_102_444_800_000, 0_u64..1 << 22),
        ) {
            let key = |(ms, arrival)| block_key(Timestamp::from_millis(ms).unwrap(), arrival);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(block_time(key(a)).as_millis(), a.0);
        }
    }

    #[test]
    fn a_week_is_found_by_the_names_of_its_trees() {
        let week = Week::of(1_789_000_000);
        for (part, name) in [
            (Part::Loose(0), "uplinks-2958"),
            (Part::Loose(3), "uplinks-2958.3"),
            (Part::Packed, "packed-2958"),
        ] {
            assert_eq!(week.tree(part), name);
            assert_eq!(Week::of_tree(name.as_bytes()), Some((week, part)));
        }
        for name in ["outbox", "uplinks-", "uplinks-2958.x", "packed-2958.1"] {
            assert_eq!(Week::of_tree(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn a_key_has_a_neighbour_on_either_side() {
        let (first, last) = ([0; 11], [u8::MAX; 11]);
        assert_eq!((key_before(first), key_after(last)), (None, None));
        let carried = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(key_before(carried).and_then(key_after), Some(carried));
        assert_eq!(span(7, 5, 5), None);
        let (from, until) = span(7, 5, 6).unwrap();
        assert_eq!(
            (&from[..8], key_after(until).unwrap()),
            (&second_prefix(7, 5)[..], span(7, 6, 7).unwrap().0)
        );
    }
}

//! Many records of one device and week in one value: sled pays for each key, and history that is over is not written
//! any more.
//!
//! A byte of version, a postcard of [`Summary`], then the records as a zlib stream, which has a sum to check: each a postcard of [`Head`] and the bytes
//! of the record as it lay loose. The key of the value is that of the first record.

use std::ops::Range;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::{Deserialize, Serialize};

use crate::store::error::StoreError;
use crate::store::layout::UplinkKey;

const VERSION: u8 = 1;
/// Higher ones gain little: what is left is noise.
const LEVEL: u8 = 6;
/// More was never written.
const LARGEST_UNPACKED: usize = 64 * 1024;

/// About so many bytes of records go into one value. Where as many values as a page of sled can hold (16, and some
/// more until it is split) would be 128 KiB together, sled would keep the page in a file of its own, which it never
/// syncs.
const PACK_BYTES: usize = 5 * 1024;
/// What a record takes besides its own bytes.
const HEAD_BYTES: usize = 8;

/// What is known of a value without unpacking it.
#[derive(Debug, Serialize, Deserialize)]
struct Summary {
    /// How many records there are.
    count: u32,
    /// The key of the last one, without the device.
    last: [u8; 7],
}

/// What stands before each record.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// After the record before it.
    seconds: u32,
    /// The kind of the key's tail.
    kind: u8,
    /// The tail itself, counted from that of the record before it.
    tail: i16,
    bytes: u16,
}

/// A value, unpacked.
#[derive(Debug, Default)]
pub(in crate::store) struct Pack {
    bytes: Vec<u8>,
    records: Vec<(UplinkKey, Range<usize>)>,
}

impl Pack {
    /// The values for records of one device, in the order of their keys, each with its own key.
    pub(in crate::store) fn divide(
        records: &[(UplinkKey, Vec<u8>)],
    ) -> Result<Vec<(UplinkKey, Vec<u8>)>, StoreError> {
        let size = |record: &(UplinkKey, Vec<u8>)| record.1.len() + HEAD_BYTES;
        let bytes: usize = records.iter().map(size).sum();
        let even = bytes.div_ceil(bytes.div_ceil(PACK_BYTES).max(1));
        let mut values = Vec::new();
        let (mut begin, mut held) = (0, 0);
        for (place, record) in records.iter().enumerate() {
            if place > begin && held + size(record) / 2 > even {
                values.extend(records.get(begin..place).map(encode).transpose()?.flatten());
                (begin, held) = (place, 0);
            }
            held += size(record);
        }
        values.extend(records.get(begin..).map(encode).transpose()?.flatten());
        Ok(values)
    }

    /// Whether records so many bytes large leave room in a value.
    pub(in crate::store) fn has_room(&self) -> bool {
        self.bytes.len() < PACK_BYTES / 2
    }

    /// Unpacks the value of a key.
    pub(in crate::store) fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Damaged(format!("a pack of {} bytes cannot be read", value.len()));
        let (summary, packed) = summary(value).ok_or_else(unreadable)?;
        let bytes =
            decompress_to_vec_zlib_with_limit(packed, LARGEST_UNPACKED).map_err(|_failure| unreadable())?;
        let records = find_records(key, &bytes).ok_or_else(unreadable)?;
        let last = records.last().and_then(|(key, _)| key.last_chunk::<7>());
        if last != Some(&summary.last) || u32::try_from(records.len()) != Ok(summary.count) {
            return Err(unreadable());
        }
        Ok(Self { bytes, records })
    }

    /// How many records a value has, without unpacking it.
    pub(in crate::store) fn count(value: &[u8]) -> u64 {
        summary(value).map_or(0, |(summary, _)| u64::from(summary.count))
    }

    /// The key of a value's last record, without unpacking it.
    pub(in crate::store) fn last_key(key: &[u8], value: &[u8]) -> Option<UplinkKey> {
        let (summary, _) = summary(value)?;
        let &[a, b, c, d] = key.first_chunk::<4>()?;
        let [e, f, g, h, i, j, k] = summary.last;
        Some([a, b, c, d, e, f, g, h, i, j, k])
    }

    /// How many records there are.
    pub(in crate::store) fn len(&self) -> usize {
        self.records.len()
    }

    /// The key of a record by its place.
    pub(in crate::store) fn key(&self, place: usize) -> Option<UplinkKey> {
        self.records.get(place).map(|(key, _)| *key)
    }

    /// The bytes of a record by its place.
    pub(in crate::store) fn value(&self, place: usize) -> Option<&[u8]> {
        self.records.get(place).and_then(|(_, range)| self.bytes.get(range.clone()))
    }

    /// The place of the first record whose key is not before this one.
    pub(in crate::store) fn place(&self, key: &UplinkKey) -> usize {
        self.records.partition_point(|(known, _)| known < key)
    }

    /// How many records have this key or one before it.
    pub(in crate::store) fn place_after(&self, key: &UplinkKey) -> usize {
        self.records.partition_point(|(known, _)| known <= key)
    }

    /// The bytes of the record of a key.
    pub(in crate::store) fn get(&self, key: &UplinkKey) -> Option<&[u8]> {
        let place = self.place(key);
        self.value(place).filter(|_| self.key(place).as_ref() == Some(key))
    }

    /// Every record.
    pub(in crate::store) fn records(&self) -> impl Iterator<Item = (UplinkKey, &[u8])> {
        self.records.iter().filter_map(|(key, range)| Some((*key, self.bytes.get(range.clone())?)))
    }
}

/// The value of some records and its key; none for no records.
fn encode(records: &[(UplinkKey, Vec<u8>)]) -> Result<Option<(UplinkKey, Vec<u8>)>, StoreError> {
    let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else { return Ok(None) };
    let unpackable = || StoreError::Damaged("records that cannot be packed".to_owned());
    let mut bytes = Vec::new();
    let (_, mut second, _, mut tail) = parts(*first);
    for (key, value) in records {
        let (_, at, kind, this) = parts(*key);
        let head = Head {
            seconds: at.checked_sub(second).ok_or_else(unpackable)?,
            kind,
            tail: i16::from_ne_bytes(this.wrapping_sub(tail).to_ne_bytes()),
            bytes: u16::try_from(value.len()).ok().ok_or_else(unpackable)?,
        };
        bytes = postcard::to_extend(&head, bytes).ok().ok_or_else(unpackable)?;
        bytes.extend_from_slice(value);
        (second, tail) = (at, this);
    }
    let [_, _, _, _, rest @ ..] = *last;
    let summary = Summary { count: u32::try_from(records.len()).unwrap_or(u32::MAX), last: rest };
    let mut value = postcard::to_extend(&summary, vec![VERSION]).ok().ok_or_else(unpackable)?;
    value.extend(compress_to_vec_zlib(&bytes, LEVEL));
    Ok(Some((*first, value)))
}

fn summary(value: &[u8]) -> Option<(Summary, &[u8])> {
    let (_, rest) = value.split_first().filter(|(version, _)| **version == VERSION)?;
    postcard::take_from_bytes(rest).ok()
}

/// Where each record lies; none where the bytes are not what `encode` makes.
fn find_records(key: &[u8], bytes: &[u8]) -> Option<Vec<(UplinkKey, Range<usize>)>> {
    let (device, mut second, _, mut tail) = parts(UplinkKey::try_from(key).ok()?);
    let mut records: Vec<(UplinkKey, Range<usize>)> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (head, after) = postcard::take_from_bytes::<Head>(rest).ok()?;
        second = second.checked_add(head.seconds)?;
        tail = tail.wrapping_add(u16::from_ne_bytes(head.tail.to_ne_bytes()));
        let begin = bytes.len() - after.len();
        rest = after.get(usize::from(head.bytes)..)?;
        let key = joined(device, second, head.kind, tail);
        if records.last().is_some_and(|(before, _)| *before >= key) {
            return None;
        }
        records.push((key, begin..begin + usize::from(head.bytes)));
    }
    records.first().filter(|(first, _)| first == key).is_some().then_some(records)
}

fn parts([a, b, c, d, e, f, g, h, kind, i, j]: UplinkKey) -> (u32, u32, u8, u16) {
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]), kind, u16::from_be_bytes([i, j]))
}

fn joined(device: u32, second: u32, kind: u8, tail: u16) -> UplinkKey {
    let ([a, b, c, d], [e, f, g, h], [i, j]) =
        (device.to_be_bytes(), second.to_be_bytes(), tail.to_be_bytes());
    [a, b, c, d, e, f, g, h, kind, i, j]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn records_come_out_of_their_values_as_they_went_in(
            records in prop::collection::btree_map(
                (0_u32..200_000, 0_u8..3, any::<u16>()),
                prop::collection::vec(any::<u8>(), 0..300),
                1..200,
            ),
        ) {
            let records: Vec<_> = records
                .into_iter()
                .map(|((second, kind, tail), value)| (joined(0xA1B2, second, kind, tail), value))
                .collect();
            let mut back = Vec::new();
            for (key, value) in Pack::divide(&records).unwrap() {
                prop_assert!(value.len() < 6 * 1024, "{} bytes", value.len());
                let pack = Pack::decode(&key, &value).unwrap();
                prop_assert_eq!(Pack::count(&value), pack.len() as u64);
                prop_assert_eq!(Pack::last_key(&key, &value), pack.key(pack.len() - 1));
                back.extend(pack.records().map(|(key, value)| (key, value.to_vec())));
            }
            prop_assert_eq!(back, records);
        }

        #[test]
        fn what_is_no_pack_is_refused(value in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Pack::decode(&[0; 11], &value).is_err());
        }
    }

    #[test]
    fn a_value_that_was_changed_or_cut_is_refused() {
        let records: Vec<_> = (0..100_u16)
            .map(|n| (joined(7, 1000 + u32::from(n), 0, n), vec![1, 2, 3, n.to_be_bytes()[1]]))
            .collect();
        let (key, value) = Pack::divide(&records).unwrap().remove(0);
        for end in 0..value.len() {
            assert!(Pack::decode(&key, &value[..end]).is_err(), "cut to {end}");
        }
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] ^= 0x10;
            assert!(Pack::decode(&key, &changed).is_err(), "changed at {place}");
        }
    }
}

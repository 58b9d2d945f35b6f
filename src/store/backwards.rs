//! Records of a device, the last first.
//!
//! sled reads backwards by itself, but with a constant of 1 MiB (0.34.7, `Iter::next_back`) that every program which
//! calls it carries. So stretches of time are read forwards here, ever earlier ones.

use std::ops::Bound;

use super::layout::UplinkKey;

type Entry = (sled::IVec, sled::IVec);

/// So many seconds are read first,
const REACH_S: u32 = 3600;
/// and so many times as many when that brought fewer records than this,
const FEW: usize = 8;
const FURTHER: u32 = 4;
/// or so many times less after more than this.
const MANY: usize = 256;

/// What lies between two keys of one tree.
pub(super) struct Backwards {
    tree: sled::Tree,
    first: UplinkKey,
    /// Where what is not read yet ends; none when all is read.
    end: Option<Bound<UplinkKey>>,
    reach_s: u32,
    /// The stretch that was read last.
    stretch: Vec<Entry>,
}

impl Backwards {
    /// Reads from the end down to the first key, which is included.
    pub(super) fn new(tree: &sled::Tree, first: UplinkKey, end: Bound<UplinkKey>) -> Self {
        Self { tree: tree.clone(), first, end: Some(end), reach_s: REACH_S, stretch: Vec::new() }
    }

    fn read(&mut self, end: Bound<UplinkKey>) -> sled::Result<()> {
        let (Bound::Included(last) | Bound::Excluded(last)) = end else { return Ok(()) };
        let begin = earlier(last, self.reach_s).map_or(self.first, |begin| begin.max(self.first));
        // sled panics where an end lies before the beginning.
        if last > begin || end == Bound::Included(begin) {
            let range = (Bound::Included(begin.to_vec()), end.map(|key| key.to_vec()));
            self.stretch = self.tree.range::<Vec<u8>, _>(range).collect::<Result<_, _>>()?;
        }
        self.end = (begin > self.first).then_some(Bound::Excluded(begin));
        self.reach_s = match self.stretch.len() {
            found if found < FEW => self.reach_s.saturating_mul(FURTHER),
            found if found > MANY => (self.reach_s / FURTHER).max(1),
            _ => self.reach_s,
        };
        Ok(())
    }
}

/// The first key of the same device's second that is so much earlier, if there is one.
fn earlier(key: UplinkKey, by_s: u32) -> Option<UplinkKey> {
    let [a, b, c, d, e, f, g, h, ..] = key;
    let [e, f, g, h] = u32::from_be_bytes([e, f, g, h]).checked_sub(by_s)?.to_be_bytes();
    Some([a, b, c, d, e, f, g, h, 0, 0, 0])
}

impl Iterator for Backwards {
    type Item = sled::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.stretch.is_empty() {
            let end = self.end.take()?;
            if let Err(error) = self.read(end) {
                return Some(Err(error));
            }
        }
        self.stretch.pop().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::store::layout::key_before;

    fn key() -> impl Strategy<Value = UplinkKey> {
        // Close together and far apart.
        let seconds = prop_oneof![0_u32..3, 1_789_000_000_u32..1_789_000_400, any::<u32>()];
        (6_u32..9, seconds, any::<bool>()).prop_map(|(device, seconds, high)| {
            let ([a, b, c, d], [e, f, g, h]) = (device.to_be_bytes(), seconds.to_be_bytes());
            [a, b, c, d, e, f, g, h, u8::from(high), 0, 7]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_sled_reads_backwards(
            keys in prop::collection::btree_set(key(), 0..600), ends in (key(), key()), included in any::<bool>(),
        ) {
            let db = sled::Config::new().temporary(true).open().unwrap();
            for key in &keys {
                db.insert(key, b"").unwrap();
            }
            let (first, last) = (ends.0.min(ends.1), ends.0.max(ends.1));
            let end = if included { Bound::Included(last) } else { Bound::Excluded(last) };
            let read: Vec<UplinkKey> = Backwards::new(&db, first, end)
                .map(|entry| UplinkKey::try_from(entry.unwrap().0.as_ref()).unwrap())
                .collect();
            let mut expected: Vec<UplinkKey> = keys.into_iter().collect::<BTreeSet<_>>().range(first..=last).copied().collect();
            expected.reverse();
            expected.retain(|key| included || *key != last);
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn what_was_not_asked_for_is_not_read() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let keys: Vec<UplinkKey> = (0..20_000_u32)
            .filter_map(|second| earlier([0, 0, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0], second))
            .collect();
        for key in &keys {
            db.insert(key, b"").unwrap();
        }
        let last = *keys.first().unwrap();
        let mut backwards =
            Backwards::new(&db, key_before(*keys.last().unwrap()).unwrap(), Bound::Included(last));
        for key in keys.iter().take(5_000) {
            assert_eq!(backwards.next().unwrap().unwrap().0.as_ref(), key);
            assert!(backwards.stretch.len() <= REACH_S as usize);
        }
        assert!(backwards.stretch.len() <= REACH_S as usize / FURTHER as usize);
    }
}

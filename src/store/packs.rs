//! The packed records of a week: values of many records, found by the key of one.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use super::backwards::Backwards;
use super::bucket::NamedTree;
use super::error::StoreError;
use super::layout::{UplinkKey, key_after, key_before};
use super::record::Pack;

/// The tree of a week's packs.
#[derive(Debug, Clone)]
pub(super) struct Packs {
    pub(super) named: Arc<NamedTree>,
    /// Held while packs take the place of others; who looks for one in two steps holds it as well.
    pub(super) moving: Arc<RwLock<()>>,
}

impl Packs {
    /// The record of a key; none where its pack cannot be read, which must not hold up the others.
    pub(super) fn get(&self, key: &UplinkKey) -> Result<Option<Vec<u8>>, StoreError> {
        let around = self.around(key)?.filter(|(first, value)| ends_at_or_after(first, value, key));
        let Some((first, value)) = around else { return Ok(None) };
        match Pack::decode(&first, &value) {
            Ok(pack) => Ok(pack.get(key).map(<[u8]>::to_vec)),
            Err(error) => {
                tracing::error!(?first, %error, "left out of the history: a pack cannot be read");
                Ok(None)
            }
        }
    }

    /// The pack of the same device that begins with this key, or last before it.
    pub(super) fn around(&self, key: &UplinkKey) -> Result<Option<(UplinkKey, sled::IVec)>, StoreError> {
        let found = self.backwards(Bound::Included(*key), key).next().transpose()?;
        Ok(found.and_then(|(first, value)| Some((UplinkKey::try_from(first.as_ref()).ok()?, value))))
    }

    /// The packs of a device, the last before an end first.
    fn backwards(&self, end: Bound<UplinkKey>, of_device: &UplinkKey) -> Backwards {
        let [a, b, c, d, ..] = *of_device;
        Backwards::new(&self.named.tree, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0], end)
    }

    /// The first key of the pack of the same device that begins next after this key.
    pub(super) fn next_first(&self, key: &UplinkKey) -> Result<Option<UplinkKey>, StoreError> {
        let Some(after) = key_after(*key) else { return Ok(None) };
        let found = self.named.tree.range(after.as_slice()..).keys().next().transpose()?;
        let first = found.and_then(|first| UplinkKey::try_from(first.as_ref()).ok());
        Ok(first.filter(|first| is_of_device(first, key)))
    }
}

fn is_of_device(key: &[u8], other: &UplinkKey) -> bool {
    key.first_chunk::<4>() == other.first_chunk::<4>()
}

fn ends_at_or_after(first: &[u8], value: &[u8], key: &UplinkKey) -> bool {
    Pack::last_key(first, value).is_none_or(|last| last >= *key)
}

/// Reads the packed records of one device in order; one pack is open at a time.
pub(super) struct PackReader {
    packs: Packs,
    first: UplinkKey,
    last: UplinkKey,
    backwards: bool,
    pack: Pack,
    /// How many records of the pack are done with.
    done: usize,
    /// From where the next pack is looked for; none after the last.
    seek: Option<UplinkKey>,
}

impl fmt::Debug for PackReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackReader").field("seek", &self.seek).finish_non_exhaustive()
    }
}

impl PackReader {
    /// Reads from one key to another, both included; the last first if `backwards`.
    pub(super) fn new(packs: &Packs, (first, last): (UplinkKey, UplinkKey), backwards: bool) -> Self {
        let seek = Some(if backwards { last } else { first });
        Self { packs: packs.clone(), first, last, backwards, pack: Pack::default(), done: 0, seek }
    }

    /// The key of the next record.
    pub(super) fn key(&mut self) -> Result<Option<UplinkKey>, StoreError> {
        loop {
            if let Some(key) = self.place().and_then(|place| self.pack.key(place)) {
                if key >= self.first && key <= self.last {
                    return Ok(Some(key));
                }
                // What comes next lies further out.
                (self.pack, self.seek) = (Pack::default(), None);
            }
            let Some(seek) = self.seek.filter(|seek| *seek >= self.first && *seek <= self.last) else {
                return Ok(None);
            };
            self.open(&seek)?;
        }
    }

    /// Goes on to the record after the next, and gives the next.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        let place = self.place();
        self.done += 1;
        place.and_then(|place| self.pack.value(place))
    }

    fn place(&self) -> Option<usize> {
        let left = self.pack.len().checked_sub(self.done)?;
        if self.backwards { left.checked_sub(1) } else { Some(self.done).filter(|_| left > 0) }
    }

    /// Opens the pack that holds the records from `seek` on. Packs may have been divided anew since the last look, so
    /// it is looked for by the key of a record.
    fn open(&mut self, seek: &UplinkKey) -> Result<(), StoreError> {
        let still = self.packs.moving.read().unwrap_or_else(PoisonError::into_inner);
        let around = self.packs.around(seek)?.map(|(key, value)| Ok((sled::IVec::from(&key), value)));
        let backwards = self.backwards;
        let further: &mut dyn Iterator<Item = _> = if backwards {
            &mut self.packs.backwards(Bound::Excluded(*seek), seek)
        } else {
            &mut self.packs.named.tree.range(seek.as_slice()..=self.last.as_slice())
        };
        let mut found = None;
        for candidate in around.into_iter().chain(further) {
            let (key, value) = candidate?;
            if !is_of_device(&key, seek) {
                break;
            }
            // Going forward, the pack that begins before may end before as well.
            if !backwards && !ends_at_or_after(&key, &value, seek) {
                continue;
            }
            match Pack::decode(&key, &value) {
                Ok(pack) => {
                    found = Some(pack);
                    break;
                }
                Err(error) => tracing::error!(?key, %error, "left out of the history: a pack cannot be read"),
            }
        }
        drop(still);
        self.pack = found.unwrap_or_default();
        let ends = (self.pack.key(0), self.pack.len().checked_sub(1).and_then(|last| self.pack.key(last)));
        if backwards {
            self.done = self.pack.len() - self.pack.place_after(seek);
            self.seek = ends.0.and_then(key_before);
        } else {
            self.done = self.pack.place(seek);
            self.seek = ends.1.and_then(key_after);
        }
        Ok(())
    }
}

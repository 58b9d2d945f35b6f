//! A week of the history as it lies in sled, read as one: loose records in one or more trees, of which a later one
//! counts more, and packed ones, which count least.
//!
//! Who reads holds the trees that there were when the reading began; they are not dropped before it has ended.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::backwards::Backwards;
use super::error::StoreError;
use super::layout::UplinkKey;
use super::packs::{PackReader, Packs};
use super::record::Pack;

const FIRST_KEY: UplinkKey = [0; 11];
const LAST_KEY: UplinkKey = [u8::MAX; 11];

/// A tree of sled and its name.
#[derive(Debug)]
pub(super) struct NamedTree {
    pub(super) name: String,
    pub(super) tree: sled::Tree,
}

/// The trees of a week.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    /// By generation.
    pub(super) loose: BTreeMap<u32, Arc<NamedTree>>,
    pub(super) packed: Option<Packs>,
    /// Generations up to this one take nothing new: they are being packed.
    pub(super) frozen: Option<u32>,
}

impl Bucket {
    /// The record of a key.
    pub(super) fn get(&self, key: &UplinkKey) -> Result<Option<Vec<u8>>, StoreError> {
        match (self.get_loose(key)?, &self.packed) {
            (Some(value), _) => Ok(Some(value.to_vec())),
            (None, Some(packs)) => packs.get(key),
            (None, None) => Ok(None),
        }
    }

    /// The loose record of a key.
    pub(super) fn get_loose(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        for named in self.loose.values().rev() {
            if let Some(value) = named.tree.get(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// How many records there are.
    pub(super) fn count(&self) -> Result<u64, StoreError> {
        let mut count = 0_u64;
        for value in self.packed.iter().flat_map(|packs| packs.named.tree.iter().values()) {
            count += Pack::count(&value?);
        }
        for entry in self.all_loose() {
            let (key, _) = entry?;
            // A record that has changed since it was packed is there twice.
            let packed = self.packed.as_ref().map(|packs| packs.get(&key)).transpose()?.flatten();
            count += u64::from(packed.is_none());
        }
        Ok(count)
    }

    /// Every loose record.
    pub(super) fn all_loose(&self) -> Entries {
        self.loose_entries((FIRST_KEY, LAST_KEY), false)
    }

    /// The records of one device from one key to another, both included; the last first if `backwards`.
    pub(super) fn entries(&self, span: (UplinkKey, UplinkKey), backwards: bool) -> Entries {
        let packed = self.packed.as_ref().map(|packs| PackReader::new(packs, span, backwards));
        Entries { packed, ..self.loose_entries(span, backwards) }
    }

    fn loose_entries(&self, (first, last): (UplinkKey, UplinkKey), backwards: bool) -> Entries {
        let heads = self.loose.values().rev().map(|named| LooseHead {
            rest: if backwards {
                Box::new(Backwards::new(&named.tree, first, Bound::Included(last)))
            } else {
                Box::new(named.tree.range(first.as_slice()..=last.as_slice()))
            },
            next: None,
            _tree: Arc::clone(named),
        });
        Entries { backwards, heads: heads.collect(), packed: None, before: None }
    }
}

/// Records in the order of their keys, loose and packed ones merged.
#[derive(Debug)]
pub(super) struct Entries {
    backwards: bool,
    /// The newest generation first.
    heads: Vec<LooseHead>,
    packed: Option<PackReader>,
    /// The key that was given out last.
    before: Option<UplinkKey>,
}

struct LooseHead {
    rest: Box<dyn Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>> + Send>,
    next: Option<(UplinkKey, sled::IVec)>,
    /// Keeps the tree from being dropped.
    _tree: Arc<NamedTree>,
}

impl fmt::Debug for LooseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LooseHead").field("next", &self.next).finish_non_exhaustive()
    }
}

impl LooseHead {
    fn key(&mut self) -> Result<Option<UplinkKey>, StoreError> {
        while self.next.is_none() {
            let Some(next) = self.rest.next() else { return Ok(None) };
            let (key, value) = next?;
            match UplinkKey::try_from(key.as_ref()) {
                Ok(key) => self.next = Some((key, value)),
                Err(_) => tracing::error!(?key, "left out of the history: a key that is none"),
            }
        }
        Ok(self.next.as_ref().map(|(key, _)| *key))
    }
}

impl Entries {
    fn step(&mut self) -> Result<Option<(UplinkKey, Vec<u8>)>, StoreError> {
        loop {
            let Some(key) = self.next_key()? else { return Ok(None) };
            let value = self.take(key)?;
            // What lay loose when the reading began may meanwhile be packed as well.
            let again =
                self.before.is_some_and(|before| if self.backwards { key >= before } else { key <= before });
            if let Some(value) = value.filter(|_| !again) {
                self.before = Some(key);
                return Ok(Some((key, value)));
            }
        }
    }

    fn next_key(&mut self) -> Result<Option<UplinkKey>, StoreError> {
        let mut keys = Vec::with_capacity(self.heads.len() + 1);
        for head in &mut self.heads {
            keys.extend(head.key()?);
        }
        if let Some(packed) = &mut self.packed {
            keys.extend(packed.key()?);
        }
        Ok(if self.backwards { keys.into_iter().max() } else { keys.into_iter().min() })
    }

    /// The record of the next key; everybody who has one goes on, the newest one counts.
    fn take(&mut self, key: UplinkKey) -> Result<Option<Vec<u8>>, StoreError> {
        let mut value = None;
        for head in &mut self.heads {
            if let Some((_, loose)) = head.next.take_if(|(known, _)| *known == key) {
                value.get_or_insert_with(|| loose.to_vec());
            }
        }
        if let Some(packed) = &mut self.packed {
            if packed.key()? == Some(key) {
                let taken = packed.take();
                value = value.or_else(|| taken.map(<[u8]>::to_vec));
            }
        }
        Ok(value)
    }
}

impl Iterator for Entries {
    type Item = Result<(UplinkKey, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

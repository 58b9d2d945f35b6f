//! The weeks of the history: which trees there are, which of them takes what is new, and which are on their way out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use super::bucket::{Bucket, NamedTree};
use super::error::StoreError;
use super::layout::{Part, Week};
use super::packs::Packs;

/// All weeks.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    weeks: RwLock<BTreeMap<Week, Bucket>>,
    /// Trees that nobody finds any more, oldest generation first; dropped when nobody reads them any more. After a
    /// crash before that they are found again, and are what they were: older than what is packed of them.
    retired: Mutex<Vec<(Week, Part, Arc<NamedTree>)>>,
    /// Weeks that may have something to be packed, and when they were last written since the start.
    written: Mutex<BTreeMap<Week, Option<Instant>>>,
    moving: Arc<RwLock<()>>,
}

impl Buckets {
    /// The weeks of a database as it is opened.
    pub(super) fn load(db: &sled::Db) -> Result<Self, sled::Error> {
        let buckets = Self::default();
        for name in db.tree_names() {
            if let Some((week, part)) = Week::of_tree(&name) {
                let tree = db.open_tree(&name)?;
                buckets.keep(week, part, tree);
                if part != Part::Packed {
                    buckets.written().insert(week, None);
                }
            }
        }
        Ok(buckets)
    }

    fn keep(&self, week: Week, part: Part, tree: sled::Tree) -> Arc<NamedTree> {
        let named = Arc::new(NamedTree { name: week.tree(part), tree });
        let mut weeks = self.weeks_mut();
        let bucket = weeks.entry(week).or_default();
        match part {
            Part::Loose(generation) => drop(bucket.loose.insert(generation, Arc::clone(&named))),
            Part::Packed => {
                bucket.packed = Some(Packs { named: Arc::clone(&named), moving: Arc::clone(&self.moving) });
            }
        }
        named
    }

    /// A week, if anything was ever kept in it.
    pub(super) fn week(&self, week: Week) -> Option<Bucket> {
        self.weeks().get(&week).cloned()
    }

    /// All weeks, oldest first.
    pub(super) fn all(&self) -> Vec<(Week, Bucket)> {
        self.weeks().iter().map(|(week, bucket)| (*week, bucket.clone())).collect()
    }

    /// The tree of a week that takes loose records, made where there is none. The caller is the only one who writes.
    pub(super) fn loose_for_writing(&self, db: &sled::Db, week: Week) -> Result<sled::Tree, StoreError> {
        self.written().insert(week, Some(Instant::now()));
        let mut next = self.next_generation(week);
        if let Some(bucket) = self.weeks().get(&week) {
            match bucket.loose.last_key_value() {
                Some((generation, named)) if bucket.frozen.is_none_or(|frozen| frozen < *generation) => {
                    return Ok(named.tree.clone());
                }
                Some((generation, _)) => next = next.max(generation.saturating_add(1)),
                None => {}
            }
        }
        let part = Part::Loose(next);
        let tree = db.open_tree(week.tree(part))?;
        Ok(self.keep(week, part, tree).tree.clone())
    }

    /// The tree of a week that takes packs, made where there is none.
    pub(super) fn packed_for_writing(&self, db: &sled::Db, week: Week) -> Result<sled::Tree, StoreError> {
        if let Some(packs) = self.week(week).and_then(|bucket| bucket.packed) {
            return Ok(packs.named.tree.clone());
        }
        let tree = db.open_tree(week.tree(Part::Packed))?;
        Ok(self.keep(week, Part::Packed, tree).tree.clone())
    }

    /// A generation whose tree is not on its way out.
    fn next_generation(&self, week: Week) -> u32 {
        let retired = self.retired();
        let generations =
            retired.iter().filter(|(of, ..)| *of == week).filter_map(|(_, part, _)| match part {
                Part::Loose(generation) => Some(generation.saturating_add(1)),
                Part::Packed => None,
            });
        generations.max().unwrap_or(0)
    }

    /// What a week has loose now takes nothing more; what comes lies apart. The caller is the only one who writes.
    pub(super) fn freeze(&self, week: Week) -> Option<Bucket> {
        let mut weeks = self.weeks_mut();
        let bucket = weeks.get_mut(&week)?;
        bucket.frozen = bucket.loose.last_key_value().map(|(generation, _)| *generation);
        let mut frozen = bucket.clone();
        frozen.loose.retain(|generation, _| Some(*generation) <= bucket.frozen);
        Some(frozen)
    }

    /// What was frozen is in packs, and is not looked for any more.
    pub(super) fn retire_frozen(&self, week: Week) {
        let mut weeks = self.weeks_mut();
        let Some(bucket) = weeks.get_mut(&week) else { return };
        let frozen = bucket.frozen.take();
        let (gone, left) = std::mem::take(&mut bucket.loose)
            .into_iter()
            .partition(|(generation, _)| Some(*generation) <= frozen);
        bucket.loose = left;
        let gone: BTreeMap<u32, Arc<NamedTree>> = gone;
        self.retired()
            .extend(gone.into_iter().map(|(generation, tree)| (week, Part::Loose(generation), tree)));
    }

    /// A week is not looked for any more.
    pub(super) fn retire(&self, week: Week) {
        let Some(bucket) = self.weeks_mut().remove(&week) else { return };
        self.written().remove(&week);
        let mut retired = self.retired();
        let loose = bucket.loose.into_iter();
        retired.extend(loose.map(|(generation, tree)| (week, Part::Loose(generation), tree)));
        retired.extend(bucket.packed.map(|packs| (week, Part::Packed, packs.named)));
    }

    /// Drops the retired trees that nobody reads any more, and says how many that were. Of a week the oldest
    /// generation goes first, and nothing before it is gone: after a crash an older record must not count more than
    /// a newer one that is packed.
    pub(super) fn drop_retired(&self, db: &sled::Db) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let mut held: Vec<Week> = Vec::new();
            let free = self.retired().iter().find_map(|(week, _, named)| {
                let is_free = Arc::strong_count(named) == 1 && !held.contains(week);
                held.push(*week);
                is_free.then(|| (*week, named.name.clone()))
            });
            let Some((_, name)) = free else { return Ok(dropped) };
            db.drop_tree(&name)?;
            self.retired().retain(|(_, _, named)| named.name != name);
            dropped += 1;
        }
    }

    /// Whether some of a week's trees are still on their way out.
    pub(super) fn has_retired(&self, week: Week) -> bool {
        self.retired().iter().any(|(of, ..)| *of == week)
    }

    /// The weeks with something loose that were not written since, each with when they were.
    pub(super) fn quiet_since(&self, since: Option<Instant>) -> Vec<(Week, Option<Instant>)> {
        let written = self.written();
        let quiet = written
            .iter()
            .filter(|(_, last)| last.is_none_or(|last| since.is_some_and(|since| last <= since)));
        quiet.map(|(week, last)| (*week, *last)).collect()
    }

    /// Whether a week before another was written since.
    pub(super) fn is_written_since(&self, since: Option<Instant>, before: Week) -> bool {
        let written = self.written();
        written
            .range(..before)
            .any(|(_, last)| last.is_some_and(|last| since.is_none_or(|since| last > since)))
    }

    /// A week has been looked at: it is not looked at again before it is written again.
    pub(super) fn looked_at(&self, week: Week, written: Option<Instant>) {
        let mut known = self.written();
        if known.get(&week) == Some(&written) {
            known.remove(&week);
        }
    }

    /// Nobody looks for a pack in two steps while this is held.
    pub(super) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.moving.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn weeks(&self) -> RwLockReadGuard<'_, BTreeMap<Week, Bucket>> {
        self.weeks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn weeks_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Week, Bucket>> {
        self.weeks.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn retired(&self) -> MutexGuard<'_, Vec<(Week, Part, Arc<NamedTree>)>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, BTreeMap<Week, Option<Instant>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

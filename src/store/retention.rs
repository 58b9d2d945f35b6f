//! What is forgotten, and when: whole weeks of history, the oldest first, never one that waits to be published. What
//! a tenant has not taken of a week goes with it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Store;
use super::commit::{Commit, Place};
use super::error::StoreError;
use super::layout::{Table, Week, device_key, seconds};
use super::memory::KnownDevice;
use super::outbox;
use super::record::{DeviceRecord, Record};
use crate::model::Timestamp;

/// A database that is smaller than this is not copied for the sake of its size.
pub(super) const SMALL_BYTES: u64 = 64 << 20;
/// sled needs about twice to four times the living bytes; what is above is worth a copy.
pub(super) const WASTE: u64 = 4;

/// A fresh copy takes about twice the living bytes.
const WORTH_A_COPY: u64 = 3;

/// Under this note stands from when age was reckoned last, in milliseconds,
const RECKONED_FROM: &str = "retention/reckoned-from";
/// and by so much it may be later at the next look.
const STEP: Duration = Duration::from_secs(24 * 3600);

/// What is kept, and by which clock that is judged.
#[derive(Debug, Clone, Copy)]
pub struct Upkeep {
    /// How old the history may grow.
    pub keep: Duration,
    /// How many bytes on disk it may take.
    pub max_size: u64,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// How many weeks were dropped.
    pub dropped: usize,
    /// Whether the rest was copied into a new database.
    pub compacted: bool,
}

impl Store {
    /// Drops weeks that are older than `keep`, and the oldest ones while the store is larger than `max_size`.
    /// Blocks.
    pub fn retain(&self, upkeep: &Upkeep) -> Result<Retained, StoreError> {
        // Before anything is dropped: a block that is done but still there would refer to nothing after a crash.
        self.settle_now(true)?;
        let mut retained = Retained::default();
        let oldest_kept = Week::of(seconds(self.age_is_reckoned_from(upkeep)?.minus(upkeep.keep)));
        for week in self.weeks() {
            if week < oldest_kept && self.forget_week(week)? {
                retained.dropped += 1;
            }
        }
        let size = self.database().size_on_disk()?;
        let living =
            if retained.dropped > 0 || size > upkeep.max_size { self.living_bytes()? } else { Vec::new() };
        let mut left: u64 = living.iter().map(|(_, bytes)| bytes).sum();
        // What a copy of the living would need, by what it needs now that they are all of it.
        let most = upkeep.max_size / WASTE;
        for (week, bytes) in living.iter().filter_map(|(week, bytes)| Some((week.as_ref()?, bytes))) {
            if left <= most || size <= upkeep.max_size {
                break;
            }
            if self.forget_week(*week)? {
                retained.dropped += 1;
                left = left.saturating_sub(*bytes);
            }
        }
        let wasteful = size > SMALL_BYTES && retained.dropped > 0 && size / WASTE > left;
        // Where most of it waits to be published, a copy each hour would wear the disk and gain nothing.
        if size / WORTH_A_COPY > left && (wasteful || size > upkeep.max_size) {
            self.copy_all()?;
            retained.compacted = true;
        }
        Ok(retained)
    }

    /// The time from which age is reckoned: the newest uplink's, and never later than the clock says. A clock that
    /// jumped ahead may have stamped uplinks itself (those of a callback that gives no time), so this time moves ahead
    /// by at most a day a look; back it goes at once.
    fn age_is_reckoned_from(&self, upkeep: &Upkeep) -> Result<Timestamp, StoreError> {
        let newest = self.memory().devices.values().filter_map(|known| known.device.last_seen).max();
        let target = newest.map_or((upkeep.clock)(), |newest| newest.min((upkeep.clock)()));
        let noted = self.note(RECKONED_FROM)?.and_then(|note| note.first_chunk::<8>().copied());
        let before = noted.and_then(|bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)));
        let from = before.map_or(target, |before| target.min(before.plus(STEP)));
        // Where nothing new came, nothing is written.
        if before.is_none_or(|before| from.since(before) >= STEP || from < before) && newest.is_some() {
            self.set_note(RECKONED_FROM, &from.as_millis().to_be_bytes())?;
        }
        Ok(from)
    }

    fn weeks(&self) -> Vec<Week> {
        self.database().weeks().into_iter().map(|(week, _)| week).collect()
    }

    /// The bytes of everything that is no history, and of the records of each week, oldest first.
    fn living_bytes(&self) -> Result<Vec<(Option<Week>, u64)>, StoreError> {
        let mut living: BTreeMap<Option<Week>, u64> = BTreeMap::new();
        for (place, named) in self.database().places() {
            let bytes = living.entry(place.week()).or_default();
            for entry in &named.tree {
                let (key, value) = entry?;
                *bytes = bytes.saturating_add(u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX));
            }
        }
        Ok(living.into_iter().collect())
    }

    /// The bytes of all records.
    pub(super) fn living(&self) -> Result<u64, StoreError> {
        Ok(self.living_bytes()?.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Drops a week, unless something of it waits to be published or it is the newest.
    fn forget_week(&self, week: Week) -> Result<bool, StoreError> {
        let _moving = self.moving();
        let database = self.database();
        let (_, waiting) = self.outbox_depth()?;
        if waiting.is_some_and(|oldest| Week::of(seconds(oldest)) <= week) {
            return Ok(false);
        }
        if self.weeks().last() == Some(&week) {
            return Ok(false);
        }
        self.keep_last_seen(week)?;
        self.give_up_for_tenants(week)?;
        {
            // Nobody writes meanwhile: what has come since is seen here, or goes into a week that begins anew.
            let mut memory = self.memory();
            let waiting = outbox::oldest(&database, &mut memory)?;
            if waiting.is_some_and(|oldest| Week::of(seconds(oldest)) <= week) {
                return Ok(false);
            }
            database.buckets.retire(week);
        }
        database.drop_retired()?;
        tracing::info!(week = Place::Week(week).name(), "old history dropped");
        Ok(true)
    }

    /// When a device was last seen is read from its history: who was last seen in this week gets it written down.
    fn keep_last_seen(&self, week: Week) -> Result<(), StoreError> {
        let mut memory = self.memory();
        let silent: Vec<KnownDevice> = memory
            .devices
            .values()
            .filter(|known| known.device.last_seen.is_some_and(|time| Week::of(seconds(time)) == week))
            .cloned()
            .collect();
        for part in silent.chunks(super::layout::LARGEST_COMMIT) {
            let mut commit = Commit::releasing();
            for known in part {
                let source = memory.sources.number(&self.database(), &known.device.source)?;
                let record = DeviceRecord::new(&known.device, source, known.listed, known.place.clone());
                commit.put(Table::Devices, device_key(known.device.id), record.encode()?);
            }
            self.database().apply(&commit)?;
        }
        Ok(())
    }
}

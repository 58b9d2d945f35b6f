//! Packing: the loose records of a week that is over go into packs, in small pieces, and their tree is dropped whole.
//!
//! The steps, and what a crash after each leaves:
//! 1. What is loose is frozen: what comes lies apart from now on. Only in memory.
//! 2. Packs are written. Loose records still count more; the next attempt finds what is packed already.
//! 3. All of it is made durable, and every loose record is looked for in the packs.
//! 4. The loose trees are not looked for any more. Only in memory.
//! 5. They are dropped when nobody reads them any more, the oldest generation first.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Store;
use super::bucket::Bucket;
use super::commit::{Commit, Place};
use super::database::Database;
use super::error::StoreError;
use super::layout::{LARGEST_COMMIT, UplinkKey, Week, seconds};
use super::record::Pack;
use super::retention::{SMALL_BYTES, WASTE};

/// A week is packed when the newest uplink is so much later than its end: most of what comes late has come.
const GRACE: Duration = Duration::from_secs(2 * 24 * 3600);
/// A week that was written more recently may be about to get more.
pub(super) const QUIET: Duration = Duration::from_secs(20);
/// While old weeks are being filled, packing waits for so long: both at once are twice the work for sled's small cache,
/// and reading back what was just written costs a write.
const PATIENCE: Duration = Duration::from_secs(3600);
/// When nothing was packed for so long, a backfill is over: a copy while it goes on would be the first of many.
const SETTLED: Duration = Duration::from_secs(300);
/// Fewer loose records take no memory that would be worth a rewrite of packs.
const LEAST_LOOSE: usize = 500;
/// So many loose records of a device are packed at once,
const MOST_RECORDS: usize = 300;
/// and with those of a pack that is there already they make at most so many packs.
const MOST_PACKS: usize = 30;
/// A commit of about so many bytes holds nobody up; in tests less, so that a week has several.
const PIECE_BYTES: usize = if cfg!(test) { 1024 } else { 64 * 1024 };

type Records = BTreeMap<UplinkKey, Vec<u8>>;

impl Store {
    /// Packs the weeks that are over, and when that is done copies a database that holds much more than it needs:
    /// sled's memory grows with what it once had. Blocks; may be stopped between any two pieces.
    pub(super) fn tidy(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        self.tidy_by(QUIET, SETTLED, SMALL_BYTES, stop)
    }

    /// As `tidy`, by these measures.
    pub(super) fn tidy_by(
        &self,
        quiet: Duration,
        settled: Duration,
        small_bytes: u64,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let packed = self.pack_quiet(quiet, stop)?;
        let is_settled = {
            let mut untidy = self.inner.untidy.lock().unwrap_or_else(PoisonError::into_inner);
            if packed > 0 {
                *untidy = Some(Instant::now());
            }
            untidy.take_if(|since| packed == 0 && since.elapsed() >= settled).is_some()
        };
        if is_settled && !stop.is_cancelled() {
            let size = self.database().size_on_disk()?;
            if size > small_bytes && size / WASTE > self.living()? {
                self.copy_all()?;
            }
        }
        Ok(())
    }

    /// Packs the weeks that are over and were not written for some time, and says how many those were.
    pub(super) fn pack_quiet(&self, quiet: Duration, stop: &CancellationToken) -> Result<usize, StoreError> {
        self.database().drop_retired()?;
        let newest = self.memory().devices.values().filter_map(|known| known.device.last_seen).max();
        // No clock is asked: where nothing new comes, nothing is over.
        let Some(newest) = newest else { return Ok(0) };
        let open = Week::of(seconds(newest.minus(GRACE)));
        let since = Instant::now().checked_sub(quiet);
        {
            let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let is_filled = self.database().buckets.is_written_since(since, open);
            if is_filled && waiting.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
                return Ok(0);
            }
            *waiting = None;
        }
        let mut packed = 0;
        for (week, written) in self.database().buckets.quiet_since(since) {
            if week >= open || stop.is_cancelled() {
                break;
            }
            let database = self.database();
            let loose = database.week(week).map(|bucket| bucket.all_loose());
            if loose.into_iter().flatten().take(LEAST_LOOSE).count() == LEAST_LOOSE {
                if !self.pack_week(week, stop)? {
                    continue;
                }
                packed += 1;
            }
            database.buckets.looked_at(week, written);
        }
        Ok(packed)
    }

    /// Packs what a week has loose, and says whether that was done.
    pub(super) fn pack_week(&self, week: Week, stop: &CancellationToken) -> Result<bool, StoreError> {
        let moving = self.moving();
        let database = self.database();
        if database.is_broken() || database.buckets.has_retired(week) {
            return Ok(false);
        }
        let frozen = {
            // Who holds the lock is the only one who writes.
            let _memory = self.memory();
            database.buckets.freeze(week)
        };
        let Some(frozen) = frozen else { return Ok(false) };
        self.step(&database, "frozen");
        if !self.pack_pieces(&database, week, &frozen, stop)? {
            return Ok(false);
        }
        self.step(&database, "packed");
        database.sync_blocking()?;
        self.step(&database, "durable");
        if let Some(key) = missing(&database, week, &frozen)? {
            tracing::error!(
                ?key,
                week = Place::Week(week).name(),
                "history is not packed: a record is missing"
            );
            return Ok(false);
        }
        drop(frozen);
        {
            let _memory = self.memory();
            database.buckets.retire_frozen(week);
        }
        self.step(&database, "retired");
        database.drop_retired()?;
        self.step(&database, "dropped");
        // Before sled writes anything else where they were.
        database.sync_blocking()?;
        drop(moving);
        tracing::debug!(week = Place::Week(week).name(), "history packed");
        Ok(true)
    }

    fn pack_pieces(
        &self,
        database: &Database,
        week: Week,
        frozen: &Bucket,
        stop: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let mut loose = frozen.all_loose().peekable();
        let mut piece = Piece::default();
        while let Some(entry) = loose.next() {
            if stop.is_cancelled() {
                return Ok(false);
            }
            let (first, value) = entry?;
            if piece.is_full() || piece.is_of_device(&first) {
                self.write_piece(database, &mut piece)?;
            }
            let home = Home::find(database, week, &first)?;
            let mut records = Records::from([(first, value)]);
            while records.len() < MOST_RECORDS {
                let Some(Ok((key, value))) =
                    loose.next_if(|entry| matches!(entry, Ok((key, _)) if home.has(key)))
                else {
                    break;
                };
                records.insert(key, value);
            }
            piece.take(week, home, records)?;
        }
        self.write_piece(database, &mut piece)?;
        Ok(true)
    }

    fn write_piece(&self, database: &Database, piece: &mut Piece) -> Result<(), StoreError> {
        let Piece { commit, .. } = std::mem::take(piece);
        if commit.operations() > 0 {
            let held = database.buckets.moving();
            database.apply(&commit)?;
            drop(held);
            self.step(database, "piece");
        }
        Ok(())
    }

    #[cfg(not(test))]
    fn step(&self, _database: &Database, _name: &'static str) {}

    /// Tells a test which step was made.
    #[cfg(test)]
    fn step(&self, _database: &Database, name: &'static str) {
        if let Some(on_step) = self.inner.on_step.lock().unwrap().as_mut() {
            (on_step.0)(name);
        }
    }
}

/// Where records from one key on belong: before the next pack of the device, and with the pack that they fall into.
struct Home {
    device: [u8; 4],
    /// The pack that is made anew with them.
    pack: Option<(UplinkKey, Records)>,
    /// The first key of the pack after it.
    next: Option<UplinkKey>,
}

impl Home {
    fn find(database: &Database, week: Week, first: &UplinkKey) -> Result<Self, StoreError> {
        let [a, b, c, d, ..] = *first;
        let mut home = Self { device: [a, b, c, d], pack: None, next: None };
        let Some(packs) = database.week(week).and_then(|bucket| bucket.packed) else { return Ok(home) };
        home.next = packs.next_first(first)?;
        if let Some((key, value)) = packs.around(first)? {
            let pack = Pack::decode(&key, &value)?;
            if pack.has_room() || Pack::last_key(&key, &value).is_some_and(|last| last >= *first) {
                let records = pack.records().map(|(key, value)| (key, value.to_vec()));
                home.pack = Some((key, records.collect()));
            }
        }
        Ok(home)
    }

    fn has(&self, key: &UplinkKey) -> bool {
        key.starts_with(&self.device) && self.next.is_none_or(|next| *key < next)
    }
}

/// Packs on their way to one commit: each commit costs a write to the disk, however little is in it.
#[derive(Default)]
struct Piece {
    commit: Commit,
    bytes: usize,
    device: Option<[u8; 4]>,
}

impl Piece {
    /// Whether the packs of some more records might be too much.
    fn is_full(&self) -> bool {
        self.commit.operations() + MOST_PACKS > LARGEST_COMMIT || self.bytes > PIECE_BYTES
    }

    /// Whether it holds packs of the device of a key, which must be written before others of it are looked for.
    fn is_of_device(&self, key: &UplinkKey) -> bool {
        self.device.is_some_and(|device| key.starts_with(&device))
    }

    /// Takes the packs of some loose records and of those of the pack that they fall into, where that is news.
    fn take(&mut self, week: Week, home: Home, mut records: Records) -> Result<(), StoreError> {
        self.device = Some(home.device);
        if let Some((key, known)) = home.pack {
            if records.iter().all(|(key, value)| known.get(key) == Some(value)) {
                return Ok(());
            }
            self.commit.write(Place::Packed(week), key.to_vec(), None);
            let loose = std::mem::replace(&mut records, known);
            records.extend(loose);
        }
        let records: Vec<_> = records.into_iter().collect();
        for (key, value) in Pack::divide(&records)? {
            self.bytes += value.len();
            self.commit.write(Place::Packed(week), key.to_vec(), Some(value));
        }
        Ok(())
    }
}

/// The first of some loose records that is not packed as it is.
fn missing(database: &Database, week: Week, frozen: &Bucket) -> Result<Option<UplinkKey>, StoreError> {
    let packed = database.week(week).map(|bucket| Bucket { loose: BTreeMap::new(), ..bucket });
    let Some(packed) = packed else { return Ok(None) };
    let mut of_device: Option<([u8; 4], super::bucket::Entries)> = None;
    for entry in frozen.all_loose() {
        let (key, value) = entry?;
        let [a, b, c, d, ..] = key;
        let device = [a, b, c, d];
        let packed = match &mut of_device {
            Some((known, packed)) if *known == device => packed,
            other => {
                let span = (key, [a, b, c, d, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX]);
                &mut other.insert((device, packed.entries(span, false))).1
            }
        };
        let same = loop {
            match packed.next().transpose()? {
                Some((known, _)) if known < key => {}
                found => break found.is_some_and(|(known, packed)| known == key && packed == value),
            }
        };
        if !same {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

//! sled as this room uses it: the trees of the layout, commits over several of them at once, our own fsync, and
//! what the disk said last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sled::transaction::TransactionError;

use super::bucket::{Bucket, NamedTree};
use super::buckets::Buckets;
use super::commit::{Commit, Place};
use super::error::StoreError;
use super::flush::{WAKING, flush};
use super::layout::{Table, Week};

const SCHEMA_KEY: &str = "schema";

/// New data is refused when the disk has less left than this: sled cannot write on after a write that failed.
const RESERVE_BYTES: u64 = 8 << 20;
/// What gives up more than it takes (the outbox emptied) may use the reserve up to this part of it.
const LAST_RESERVE: u64 = 4;
/// A copy that sees more keys change under it than this is given up.
const MOST_TOUCHED: usize = 200_000;

/// How often and how long a lock is waited for.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A key that was written while a copy was being made.
pub(super) type Touched = BTreeSet<(Place, Vec<u8>)>;

/// The open database.
#[derive(Debug)]
pub(super) struct Database {
    db: sled::Db,
    tables: BTreeMap<Table, Arc<NamedTree>>,
    pub(super) buckets: Buckets,
    version: u32,
    path: PathBuf,
    file: Arc<File>,
    commits: AtomicU64,
    touched: Mutex<Option<Touched>>,
    trouble: Mutex<Option<StoreError>>,
    /// Whether a write or a sync has failed: sled takes no more writes then.
    broken: AtomicBool,
    /// New data is refused when the disk has less left than this.
    reserve: AtomicU64,
    #[cfg(test)]
    pub(super) on_sync: Mutex<Option<super::tests::OnSync>>,
}

impl Database {
    /// Opens the database in a folder; a new one gets a version of the layout.
    pub(super) fn open(path: &Path, cache: u64, new: Option<u32>) -> Result<Self, OpenFailure> {
        let db = open_sled(path, cache)?;
        let meta = db.open_tree(Table::Meta.name())?;
        if let Some(version) = new {
            meta.insert(SCHEMA_KEY, &version.to_be_bytes())?;
        }
        let found = meta.get(SCHEMA_KEY)?.and_then(|value| value.first_chunk::<4>().copied());
        let Some(version) = found.map(u32::from_be_bytes).filter(|version| *version > 0) else {
            return Err(OpenFailure::Damaged(format!("its version cannot be read ({found:?})")));
        };
        let mut tables = BTreeMap::new();
        for table in Table::ALL {
            let tree = db.open_tree(table.name())?;
            tables.insert(table, Arc::new(NamedTree { name: table.name().to_owned(), tree }));
        }
        db.drop_tree(WAKING)?;
        let buckets = Buckets::load(&db)?;
        let file = File::open(path.join("db"))?;
        Ok(Self {
            db,
            tables,
            buckets,
            version,
            path: path.to_owned(),
            file: Arc::new(file),
            commits: AtomicU64::new(0),
            touched: Mutex::new(None),
            trouble: Mutex::new(None),
            broken: AtomicBool::new(false),
            reserve: AtomicU64::new(RESERVE_BYTES),
            #[cfg(test)]
            on_sync: Mutex::new(None),
        })
    }

    /// The version of its layout.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// A tree.
    pub(super) fn table(&self, table: Table) -> Result<&sled::Tree, StoreError> {
        let named = self.tables.get(&table);
        named
            .map(|named| &named.tree)
            .ok_or_else(|| StoreError::Damaged(format!("no tree `{}`", table.name())))
    }

    /// A week, if anything was ever kept in it.
    pub(super) fn week(&self, week: Week) -> Option<Bucket> {
        self.buckets.week(week)
    }

    /// All weeks, oldest first.
    pub(super) fn weeks(&self) -> Vec<(Week, Bucket)> {
        self.buckets.all()
    }

    /// Drops the trees that are on their way out and that nobody reads; their space is used again.
    pub(super) fn drop_retired(&self) -> Result<(), StoreError> {
        let dropped = self.buckets.drop_retired(&self.db)?;
        self.commits.fetch_add(dropped, Ordering::SeqCst);
        Ok(())
    }

    /// Every tree; of what is in several of a week's, the last counts.
    pub(super) fn places(&self) -> Vec<(Place, Arc<NamedTree>)> {
        let tables = self.tables.iter().map(|(table, named)| (Place::Table(*table), Arc::clone(named)));
        let weeks = self.weeks().into_iter().flat_map(|(week, bucket)| {
            let packed = bucket.packed.map(|packs| (Place::Packed(week), packs.named));
            packed.into_iter().chain(bucket.loose.into_values().map(move |named| (Place::Week(week), named)))
        });
        tables.chain(weeks).collect()
    }

    fn tree_for_writing(&self, place: Place) -> Result<sled::Tree, StoreError> {
        match place {
            Place::Table(table) => Ok(self.table(table)?.clone()),
            Place::Week(week) => self.buckets.loose_for_writing(&self.db, week),
            Place::Packed(week) => self.buckets.packed_for_writing(&self.db, week),
        }
    }

    /// Writes everything of a commit or nothing; an empty one writes nothing. Not durable before a `sync`.
    pub(super) fn apply(&self, commit: &Commit) -> Result<(), StoreError> {
        if commit.operations() == 0 {
            return Ok(());
        }
        self.try_apply(commit).map_err(|error| self.refused(error))?;
        // That the last of the reserve was enough says nothing about the next uplink.
        if !commit.releases() {
            self.taken();
        }
        Ok(())
    }

    fn try_apply(&self, commit: &Commit) -> Result<(), StoreError> {
        let reserve = self.reserve.load(Ordering::SeqCst);
        self.check_space(if commit.releases() { reserve / LAST_RESERVE } else { reserve })?;
        let places = commit.writes().keys();
        let trees = places.map(|place| self.tree_for_writing(*place)).collect::<Result<Vec<_>, _>>()?;
        let written = commit.write_to(&trees);
        self.commits.fetch_add(1, Ordering::SeqCst);
        match written {
            Ok(()) => self.note_touched(commit),
            Err(TransactionError::Storage(error)) => return Err(self.broken_by(error.into())),
            Err(TransactionError::Abort(())) => {
                return Err(StoreError::Failing("a commit was refused".to_owned()));
            }
        }
        Ok(())
    }

    fn check_space(&self, reserve: u64) -> Result<(), StoreError> {
        let found = rustix::fs::statvfs(&self.path).map_err(|error| match error {
            // Its open files take writes all the same, and nobody would ever find them.
            rustix::io::Errno::NOENT => self.broken_by(StoreError::Gone),
            other => StoreError::from(io::Error::from(other)),
        })?;
        if found.f_bavail.saturating_mul(found.f_frsize) < reserve {
            return Err(StoreError::Full);
        }
        Ok(())
    }

    /// How many commits were made, by this database and those that it took over from.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Goes on counting where another database stopped.
    pub(super) fn take_over(&self, from: &Self) {
        self.commits.store(from.commits().saturating_add(1), Ordering::SeqCst);
    }

    /// Makes every commit so far durable. sled's flush hands its buffers to the system but does not wait for the
    /// disk, so the file is synced by ourselves.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        let (db, file) = (self.db.clone(), Arc::clone(&self.file));
        let synced = tokio::task::spawn_blocking(move || flush_and_sync(&db, &file)).await;
        self.synced(synced.unwrap_or_else(|error| Err(StoreError::Failing(error.to_string()))))
    }

    /// As `sync`, for who may block.
    pub(super) fn sync_blocking(&self) -> Result<(), StoreError> {
        self.synced(flush_and_sync(&self.db, &self.file))
    }

    /// After a failed sync the system may forget what it could not write: nothing of it is to be trusted.
    fn synced(&self, synced: Result<(), StoreError>) -> Result<(), StoreError> {
        #[cfg(test)]
        if let (Ok(()), Some(on_sync)) =
            (&synced, self.on_sync.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
        {
            (on_sync.0)();
        }
        synced.map_err(|error| self.refused(self.broken_by(error)))
    }

    /// Bytes of the database's files.
    pub(super) fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(self.db.size_on_disk()?)
    }

    /// From now on keys that are written are noted, for the copy that is being made. One copy at a time.
    pub(super) fn begin_copy(&self) -> Result<(), StoreError> {
        let mut touched = self.touched();
        if touched.is_some() {
            return Err(StoreError::Busy);
        }
        *touched = Some(Touched::new());
        Ok(())
    }

    /// The keys that were written since the copy began.
    pub(super) fn end_copy(&self) -> Result<Touched, StoreError> {
        let touched = self.touched().take().unwrap_or_default();
        // As many as are noted at most: some may be missing.
        if touched.len() >= MOST_TOUCHED { Err(StoreError::Busy) } else { Ok(touched) }
    }

    fn note_touched(&self, commit: &Commit) {
        if let Some(touched) = self.touched().as_mut().filter(|touched| touched.len() < MOST_TOUCHED) {
            let keys = commit.writes().iter();
            touched.extend(keys.flat_map(|(place, writes)| writes.keys().map(|key| (*place, key.clone()))));
        }
    }

    fn touched(&self) -> MutexGuard<'_, Option<Touched>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken_by(&self, error: StoreError) -> StoreError {
        self.broken.store(true, Ordering::SeqCst);
        error
    }

    /// Acts as if the disk had less or more left.
    #[cfg(test)]
    pub(super) fn set_reserve(&self, bytes: u64) {
        self.reserve.store(bytes, Ordering::SeqCst);
    }

    /// What sled calls a flush, without our sync.
    #[cfg(test)]
    pub(super) fn flush_unsynced(&self) {
        self.db.flush().unwrap();
    }

    /// Acts as if a write had failed.
    #[cfg(test)]
    pub(super) fn fail(&self, error: StoreError) {
        self.refused(self.broken_by(error));
    }

    /// Whether it takes no more writes, so that it must be copied into a new one.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Why writes fail at present, if they do.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.trouble_now().clone()
    }

    /// Looks whether there is room again.
    pub(super) fn look_again(&self) {
        if self.check_space(self.reserve.load(Ordering::SeqCst)).is_ok() {
            self.taken();
        }
    }

    /// Remembers that the disk took what is new, and says so once.
    fn taken(&self) {
        if !self.is_broken() && self.trouble_now().take().is_some() {
            tracing::info!("the disk takes writes again");
        }
    }

    /// Remembers why the disk took nothing, and says so once.
    fn refused(&self, error: StoreError) -> StoreError {
        let mut trouble = self.trouble_now();
        if trouble.as_ref() != Some(&error) {
            tracing::error!(%error, "nothing new can be kept");
            *trouble = Some(error.clone());
        }
        error
    }

    fn trouble_now(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Database {
    /// sled flushes what is dropped, and would wait for good if that failed.
    fn drop(&mut self) {
        if let Err(error) = flush(&self.db) {
            tracing::debug!(%error, "what is dropped is not written");
        }
    }
}

fn flush_and_sync(db: &sled::Db, file: &File) -> Result<(), StoreError> {
    flush(db)?;
    Ok(file.sync_all()?)
}

/// The directory is ours, so a lock on the database is what a handle of this process, just dropped, has left to
/// sled's threads.
fn open_sled(path: &Path, cache: u64) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache)
        .flush_every_ms(None)
        .print_profile_on_drop(false);
    let mut tries = 0;
    loop {
        match config.open() {
            // sled 0.34.7, `Config::try_lock`: only the text says what it is.
            Err(sled::Error::Io(error))
                if tries < LOCK_TRIES && error.to_string().contains("acquire lock") =>
            {
                tries += 1;
                std::thread::park_timeout(LOCK_PAUSE);
            }
            other => return other,
        }
    }
}

/// Why a database cannot be opened.
#[derive(Debug)]
pub(super) enum OpenFailure {
    /// A newer program has written it.
    Newer(u32),
    /// Its files cannot be read as a database.
    Damaged(String),
    /// The disk refused.
    Io(io::Error),
}

impl From<sled::Error> for OpenFailure {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<io::Error> for OpenFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A file that ends too soon, or whose bytes make no sense.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

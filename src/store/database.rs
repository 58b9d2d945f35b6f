//! sled as this room uses it: the trees of the layout, commits over several of them at once, and our own fsync.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use super::error::{OpenError, StoreError};
use super::layout::{SCHEMA, Table, Week};

const FOLDER: &str = "store";
const SCHEMA_KEY: &str = "schema";

/// The open database.
#[derive(Debug)]
pub(super) struct Database {
    db: sled::Db,
    tables: BTreeMap<Table, sled::Tree>,
    weeks: RwLock<BTreeMap<Week, sled::Tree>>,
    file: Arc<File>,
    commits: AtomicU64,
}

impl Database {
    /// Opens or creates the database in a data directory.
    pub(super) fn open(dir: &Path, cache: u64) -> Result<Self, OpenError> {
        let created = make_folder(dir)?;
        let path = dir.join(FOLDER);
        let db = sled::Config::new()
            .path(&path)
            .cache_capacity(cache)
            .flush_every_ms(None)
            .print_profile_on_drop(false)
            .open()
            .map_err(|error| refused(dir, error))?;
        let refuse = |error| refused(dir, error);
        let fresh = check_schema(dir, &db)?;
        let mut tables = BTreeMap::new();
        for table in Table::ALL {
            tables.insert(table, db.open_tree(table.name()).map_err(refuse)?);
        }
        let mut weeks = BTreeMap::new();
        for name in db.tree_names() {
            if let Some(week) = Week::of_tree(&name) {
                weeks.insert(week, db.open_tree(&name).map_err(refuse)?);
            }
        }
        let file = File::open(path.join("db")).map_err(|source| io_refused(dir, source))?;
        let database =
            Self { db, tables, weeks: RwLock::new(weeks), file: Arc::new(file), commits: AtomicU64::new(0) };
        if fresh {
            // Once: a file that was synced in a folder that was not may be gone after a loss of power.
            database.db.flush().map_err(refuse)?;
            sync_folders(dir, &path, created).map_err(|source| io_refused(dir, source))?;
        }
        Ok(database)
    }

    /// Whether a data directory has a database.
    pub(super) fn exists(dir: &Path) -> bool {
        dir.join(FOLDER).join("db").is_file()
    }

    /// A tree.
    pub(super) fn table(&self, table: Table) -> Result<&sled::Tree, StoreError> {
        self.tables.get(&table).ok_or_else(|| StoreError::Damaged(format!("no tree `{}`", table.name())))
    }

    /// The tree of a week, if anything was ever kept in it.
    pub(super) fn week(&self, week: Week) -> Option<sled::Tree> {
        self.weeks.read().unwrap_or_else(PoisonError::into_inner).get(&week).cloned()
    }

    /// All weeks, oldest first.
    pub(super) fn weeks(&self) -> Vec<(Week, sled::Tree)> {
        let weeks = self.weeks.read().unwrap_or_else(PoisonError::into_inner);
        weeks.iter().map(|(week, tree)| (*week, tree.clone())).collect()
    }

    fn week_for_writing(&self, week: Week) -> Result<sled::Tree, StoreError> {
        if let Some(tree) = self.week(week) {
            return Ok(tree);
        }
        let tree = self.db.open_tree(week.tree())?;
        self.weeks.write().unwrap_or_else(PoisonError::into_inner).insert(week, tree.clone());
        Ok(tree)
    }

    /// Writes everything of a commit or nothing; an empty one writes nothing. Not durable before a `sync`.
    pub(super) fn apply(&self, commit: Commit) -> Result<(), StoreError> {
        let mut trees = Vec::new();
        let mut batches = Vec::new();
        for (place, batch) in commit.batches {
            trees.push(match place {
                Place::Table(table) => self.table(table)?.clone(),
                Place::Week(week) => self.week_for_writing(week)?,
            });
            batches.push(batch);
        }
        if trees.is_empty() {
            return Ok(());
        }
        let written: Result<(), TransactionError<()>> = trees.as_slice().transaction(|views| {
            for (view, batch) in views.iter().zip(&batches) {
                view.apply_batch(batch)?;
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        self.commits.fetch_add(1, Ordering::SeqCst);
        match written {
            Ok(()) => Ok(()),
            Err(TransactionError::Storage(error)) => Err(error.into()),
            Err(TransactionError::Abort(())) => Err(StoreError::Failing("a commit was refused".to_owned())),
        }
    }

    /// How many commits were made since the opening.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Makes every commit so far durable. sled's flush hands its buffers to the system but does not wait for the
    /// disk, so the file is synced by ourselves.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        self.db.flush_async().await?;
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || file.sync_all())
            .await
            .map_err(|error| StoreError::Failing(error.to_string()))??;
        Ok(())
    }

    /// Bytes of the database's files.
    pub(super) fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(self.db.size_on_disk()?)
    }
}

/// Writes that belong together.
#[derive(Debug, Default)]
pub(super) struct Commit {
    batches: BTreeMap<Place, sled::Batch>,
    operations: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Table(Table),
    Week(Week),
}

impl Commit {
    /// Sets a key of a tree.
    pub(super) fn put(&mut self, table: Table, key: impl Into<sled::IVec>, value: Vec<u8>) {
        self.batch(Place::Table(table)).insert(key, value);
    }

    /// Removes a key of a tree.
    pub(super) fn remove(&mut self, table: Table, key: impl Into<sled::IVec>) {
        self.batch(Place::Table(table)).remove(key);
    }

    /// Sets a key of a week's history.
    pub(super) fn put_uplink(&mut self, week: Week, key: impl Into<sled::IVec>, value: Vec<u8>) {
        self.batch(Place::Week(week)).insert(key, value);
    }

    /// How many writes it holds.
    pub(super) fn operations(&self) -> usize {
        self.operations
    }

    fn batch(&mut self, place: Place) -> &mut sled::Batch {
        self.operations += 1;
        self.batches.entry(place).or_default()
    }
}

fn make_folder(dir: &Path) -> Result<bool, OpenError> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(false),
        Ok(_) => Err(OpenError::NotAFolder { dir: dir.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(dir).map_err(|source| io_refused(dir, source))?;
            Ok(true)
        }
        Err(source) => Err(io_refused(dir, source)),
    }
}

/// Writes the version into a new database and says whether it is one; refuses a newer version.
fn check_schema(dir: &Path, db: &sled::Db) -> Result<bool, OpenError> {
    let refuse = |error| refused(dir, error);
    let meta = db.open_tree(Table::Meta.name()).map_err(refuse)?;
    let Some(version) = meta.get(SCHEMA_KEY).map_err(refuse)? else {
        // New, or a crash came before this line and nothing was ever kept.
        meta.insert(SCHEMA_KEY, &SCHEMA.to_be_bytes()).map_err(refuse)?;
        return Ok(true);
    };
    let found = version.first_chunk::<4>().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes));
    if found > SCHEMA {
        return Err(OpenError::Newer { dir: dir.to_owned(), found, known: SCHEMA });
    }
    Ok(false)
}

fn sync_folders(dir: &Path, path: &Path, created: bool) -> io::Result<()> {
    for file in ["db", "conf"] {
        File::open(path.join(file))?.sync_all()?;
    }
    File::open(path)?.sync_all()?;
    File::open(dir)?.sync_all()?;
    match dir.parent() {
        Some(parent) if created && !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn refused(dir: &Path, error: sled::Error) -> OpenError {
    match error {
        // sled 0.34.7, `Config::try_lock`: the kind is `Other`, only the text says what it is.
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            OpenError::Locked { dir: dir.to_owned() }
        }
        sled::Error::Io(error) => io_refused(dir, error),
        other => OpenError::Damaged { dir: dir.to_owned(), reason: other.to_string() },
    }
}

fn io_refused(dir: &Path, source: io::Error) -> OpenError {
    let dir = dir.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Permission { dir },
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => OpenError::NotAFolder { dir },
        _ => OpenError::Io { dir, source },
    }
}

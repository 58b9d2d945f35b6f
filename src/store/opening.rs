//! Opening the store whatever state it is in: a ladder from the plain opening to a new start, never a crash loop.
//!
//! 1. Open.
//! 2. Remove a snapshot that was being made when the process ended; open.
//! 3. Remove all snapshots, so that the whole log is read; open.
//! 4. Set the database aside, restore the newest backup that can be read; without one, start empty. The clouds are
//!    asked again for what they still have.
//!
//! A process that dies while it opens begins a rung lower at the next start.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;

use super::backup;
use super::database::{Database, OpenFailure};
use super::error::{OpenError, StoreError};
use super::folder::{Folder, refused};
use super::memory::Memory;
use super::migration::{self, Layout};
use crate::clock;
use crate::model::Event;

/// An open database and what had to be done for it.
pub(super) struct Opened {
    pub(super) folder: Folder,
    pub(super) database: Database,
    pub(super) memory: Memory,
    /// To be told when something was lost, mended or migrated.
    pub(super) told: Option<Event>,
}

/// Opens or creates the store of a data directory.
pub(super) fn open(dir: &Path, cache: u64, backups: Option<&Path>) -> Result<Opened, OpenError> {
    open_as(migration::CURRENT, dir, cache, backups)
}

/// As `open`, for a program that writes this layout.
pub(super) fn open_as(
    layout: Layout,
    dir: &Path,
    cache: u64,
    backups: Option<&Path>,
) -> Result<Opened, OpenError> {
    let folder = Folder::take(dir)?;
    let refuse = |source| refused(dir, source);
    let Some(path) = folder.current().map_err(refuse)? else {
        let (database, memory) =
            create(&folder, cache, layout).map_err(|failure| failed(dir, layout, failure))?;
        return Ok(Opened { folder, database, memory, told: None });
    };
    folder.remove_leftovers().map_err(refuse)?;
    let begun_before = folder.begin_opening();
    let ladder = Ladder { folder: &folder, layout, cache, backups };
    let climbed = ladder.climb(&path, begun_before);
    // Not before: a process that dies up to here has not opened it.
    folder.end_opening().map_err(refuse)?;
    let (database, memory, told) = climbed.map_err(|failure| failed(dir, layout, failure))?;
    Ok(Opened { folder, database, memory, told })
}

type Climbed = (Database, Memory, Option<Event>);

struct Ladder<'a> {
    folder: &'a Folder,
    layout: Layout,
    cache: u64,
    /// Where backups lie besides the data directory.
    backups: Option<&'a Path>,
}

impl Ladder<'_> {
    fn climb(&self, path: &Path, begun_before: u32) -> Result<Climbed, OpenFailure> {
        let mut why = "the process ended while it was opened".to_owned();
        for (rung, mend) in (0_u32..).zip([Mend::Nothing, Mend::Unfinished, Mend::Snapshots]) {
            if rung < begun_before {
                continue;
            }
            let removed = mend.remove_from(path)?;
            match self.load(path) {
                Ok((database, memory, migrated)) => {
                    let done = format!("{removed} snapshots removed, all is there");
                    let repaired = (rung > 0).then(|| repaired(&why, &done));
                    return Ok((database, memory, repaired.or(migrated)));
                }
                Err(OpenFailure::Damaged(reason)) => {
                    tracing::error!(reason, rung, "the store is damaged");
                    why = reason;
                }
                Err(other) => return Err(other),
            }
        }
        self.start_anew(path, &why)
    }

    fn start_anew(&self, path: &Path, why: &str) -> Result<Climbed, OpenFailure> {
        let stamp: String = clock::now().to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        let aside = self.folder.set_aside(path, &stamp)?;
        let kept = aside.map(|path| path.display().to_string());
        for file in self.folder.backups(self.backups) {
            match self.restored(&file) {
                Ok((database, memory, _migrated)) => {
                    let done = format!(
                        "the backup {} was restored, the old files are kept in {kept:?}",
                        file.display()
                    );
                    return Ok((database, memory, Some(repaired(why, &done))));
                }
                Err(failure) => {
                    tracing::error!(?failure, file = %file.display(), "the backup cannot be restored")
                }
            }
        }
        let (database, memory) = create(self.folder, self.cache, self.layout)?;
        let done = format!("a new store was begun, the old files are kept in {kept:?}");
        Ok((database, memory, Some(repaired(why, &done))))
    }

    fn restored(&self, file: &Path) -> Result<Climbed, OpenFailure> {
        let path = self.folder.next()?;
        let read = self.read_backup(file, &path);
        if read.is_err() {
            // What was read of it takes room that the next one needs.
            fs::remove_dir_all(&path).ok();
        }
        read
    }

    fn read_backup(&self, file: &Path, path: &Path) -> Result<Climbed, OpenFailure> {
        let database = Database::open(path, self.cache, Some(self.layout.version))?;
        backup::read_into(file, &database).map_err(|error| OpenFailure::Damaged(error.to_string()))?;
        database.sync_blocking().map_err(|error| unwritable(&error))?;
        drop(database);
        self.folder.switch(path)?;
        // The backup may be of an older version.
        self.load(path)
    }

    /// Opens a database that was there before.
    fn load(&self, path: &Path) -> Result<Climbed, OpenFailure> {
        // sled would make an empty one in its place.
        if fs::metadata(path.join("db")).map_or(0, |file| file.len()) == 0 {
            return Err(OpenFailure::Damaged("its file is missing or empty".to_owned()));
        }
        let database = Database::open(path, self.cache, None)?;
        let (database, migrated) = match database.version() {
            found if found > self.layout.version => return Err(OpenFailure::Newer(found)),
            found if found < self.layout.version => {
                let (migrated, snapshot) =
                    migration::migrate(&database, self.layout, self.folder, self.cache)?;
                let event = migration_event(found, self.layout.version, &snapshot);
                (migrated, Some(event))
            }
            _ => (database, None),
        };
        let memory = Memory::load(&database).map_err(|error| OpenFailure::Damaged(error.to_string()))?;
        Ok((database, memory, migrated))
    }
}

fn migration_event(from: u32, to: u32, snapshot: &Path) -> Event {
    let detail = json!({ "from": from, "to": to, "snapshot": snapshot }).to_string();
    Event::Bridge { time: clock::now(), kind: "store_migrated".to_owned(), detail }
}

/// What is removed from a database's folder before it is opened.
#[derive(Debug, Clone, Copy)]
enum Mend {
    Nothing,
    /// A snapshot that was being made.
    Unfinished,
    /// All snapshots: sled reads the whole log then.
    Snapshots,
}

impl Mend {
    fn remove_from(self, path: &Path) -> io::Result<u32> {
        let goes = |name: &str| match self {
            Self::Nothing => false,
            Self::Unfinished => name.starts_with("snap.") && name.ends_with(".generating"),
            Self::Snapshots => name.starts_with("snap."),
        };
        let mut removed = 0;
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(goes) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn create(folder: &Folder, cache: u64, layout: Layout) -> Result<(Database, Memory), OpenFailure> {
    let path = folder.next()?;
    let database = Database::open(&path, cache, Some(layout.version))?;
    database.sync_blocking().map_err(|error| unwritable(&error))?;
    folder.switch(&path)?;
    let memory = Memory::load(&database).map_err(|error| unwritable(&error))?;
    Ok((database, memory))
}

fn repaired(why: &str, done: &str) -> Event {
    tracing::error!(why, done, "the store was repaired");
    let detail = json!({ "reason": why, "done": done }).to_string();
    Event::Bridge { time: clock::now(), kind: "store_repaired".to_owned(), detail }
}

fn unwritable(error: &StoreError) -> OpenFailure {
    OpenFailure::Io(io::Error::other(error.to_string()))
}

fn failed(dir: &Path, layout: Layout, failure: OpenFailure) -> OpenError {
    match failure {
        OpenFailure::Newer(found) => OpenError::Newer { dir: dir.to_owned(), found, known: layout.version },
        OpenFailure::Damaged(reason) => OpenError::Damaged { dir: dir.to_owned(), reason },
        OpenFailure::Io(error) => refused(dir, error),
    }
}

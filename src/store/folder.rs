//! The data directory: who may use it, which of its databases is the current one, and what is left over.
//!
//! ```text
//! lock          held by the process that uses the directory
//! current       the name of the current database's folder
//! store-N       a database; a copy gets the next number, and becomes current when it is whole and on the disk
//! opening       there while a database is being opened, with how often that was tried
//! damaged-…     databases that could not be opened, kept for who wants to look
//! marks/        what a process leaves for the next one when it is killed
//! backups/      files made by `store backup`; the newest whole one is restored when the database is damaged
//! ```

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::OpenError;

const LOCK: &str = "lock";
const CURRENT: &str = "current";
const OPENING: &str = "opening";
const BACKUPS: &str = "backups";
const MARKS: &str = "marks";
const DATABASE_PREFIX: &str = "store-";
const DAMAGED_PREFIX: &str = "damaged-";
/// More than so many damaged databases are not kept, the oldest go: the disk has an end.
const DAMAGED_KEPT: usize = 3;

/// The data directory, for as long as this process holds it.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Closing it gives the directory back.
    _lock: File,
}

impl Folder {
    /// Takes the directory, made if it is not there.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let created = make(dir)?;
        let refuse = |source| refused(dir, source);
        let lock =
            File::options().create(true).truncate(false).write(true).open(dir.join(LOCK)).map_err(refuse)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked { dir: dir.to_owned() }),
            Err(error) => return Err(refused(dir, error.into())),
        }
        let folder = Self { dir: dir.to_owned(), _lock: lock };
        if created {
            // Once: what is synced in a folder that was not may be gone after a loss of power.
            match dir.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => sync(parent).map_err(refuse)?,
                _ => {}
            }
        }
        Ok(folder)
    }

    /// Whether a directory ever had a database.
    pub(super) fn has_database(dir: &Path) -> bool {
        dir.join(CURRENT).is_file()
    }

    /// The folder of the current database; none in a new directory.
    pub(super) fn current(&self) -> io::Result<Option<PathBuf>> {
        match fs::read_to_string(self.dir.join(CURRENT)) {
            Ok(name) if number(name.trim()).is_some() => Ok(Some(self.dir.join(name.trim()))),
            Ok(_) => self.oldest_database(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.oldest_database(),
            Err(error) => Err(error),
        }
    }

    /// Without its pointer a directory was damaged, or died in its first moment. A later database may be half a copy.
    fn oldest_database(&self) -> io::Result<Option<PathBuf>> {
        let oldest = self.names()?.iter().filter_map(|name| number(name)).min();
        Ok(oldest.map(|number| self.dir.join(format!("{DATABASE_PREFIX}{number}"))))
    }

    /// Where the next database is to be made.
    pub(super) fn next(&self) -> io::Result<PathBuf> {
        let newest = self.names()?.iter().filter_map(|name| number(name)).max().unwrap_or(0);
        Ok(self.dir.join(format!("{DATABASE_PREFIX}{}", newest.saturating_add(1))))
    }

    /// Makes a database the current one. Its files are on the disk before its name is: a crash on any line leaves
    /// either the old one or the new one current, whole.
    pub(super) fn switch(&self, database: &Path) -> io::Result<()> {
        for file in ["db", "conf"] {
            sync(&database.join(file))?;
        }
        sync(database)?;
        let name = database.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let fresh = self.dir.join(format!("{CURRENT}.new"));
        let mut file = File::create(&fresh)?;
        writeln!(file, "{name}")?;
        file.sync_all()?;
        fs::rename(&fresh, self.dir.join(CURRENT))?;
        sync(&self.dir)
    }

    /// Removes databases that are not current: a copy that a crash cut short, or what a copy has replaced.
    pub(super) fn remove_leftovers(&self) -> io::Result<()> {
        let Some(current) = self.current()? else {
            return Ok(());
        };
        for name in self.names()?.iter().filter(|name| number(name).is_some()) {
            let path = self.dir.join(name);
            if path != current {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }

    /// Notes that a database is about to be opened, and says how often that was begun and not ended before.
    pub(super) fn begin_opening(&self) -> u32 {
        let path = self.dir.join(OPENING);
        let before =
            fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u32);
        // On a full disk the store is opened all the same.
        if let Err(error) = fs::write(&path, format!("{}\n", before.saturating_add(1))) {
            tracing::warn!(%error, "cannot note that the store is being opened");
        }
        before
    }

    /// Notes that the opening has ended, one way or the other.
    pub(super) fn end_opening(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(OPENING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts a database aside under a name of its own.
    pub(super) fn set_aside(&self, database: &Path, stamp: &str) -> io::Result<Option<PathBuf>> {
        if !database.exists() {
            return Ok(None);
        }
        let mut kept = self.names()?;
        kept.retain(|name| name.starts_with(DAMAGED_PREFIX));
        kept.sort();
        let excess = (kept.len() + 1).saturating_sub(DAMAGED_KEPT);
        for name in kept.iter().take(excess) {
            fs::remove_dir_all(self.dir.join(name))?;
        }
        let aside = self.dir.join(format!("{DAMAGED_PREFIX}{stamp}"));
        fs::rename(database, &aside)?;
        Ok(Some(aside))
    }

    /// Where the snapshot of a store of an older version goes, before it is migrated.
    pub(super) fn snapshot(&self, version: u32) -> io::Result<PathBuf> {
        let backups = self.dir.join(BACKUPS);
        fs::create_dir_all(&backups)?;
        Ok(backups.join(format!("version-{version}.backup")))
    }

    /// The files that may be backups, in the directory and in another folder, the newest first.
    pub(super) fn backups(&self, elsewhere: Option<&Path>) -> Vec<PathBuf> {
        let own = self.dir.join(BACKUPS);
        let folders = [Some(own.as_path()), elsewhere.filter(|folder| *folder != own)];
        let entries = folders.into_iter().flatten().filter_map(|folder| fs::read_dir(folder).ok());
        let files =
            entries.flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut dated: Vec<_> =
            files.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
        dated.sort();
        dated.into_iter().rev().map(|(_, path)| path).collect()
    }

    /// Whether the directory takes writes at present.
    pub(super) fn takes_writes(&self) -> io::Result<()> {
        let path = self.dir.join("probe");
        let mut file = File::create(&path)?;
        file.write_all(b"probe\n")?;
        file.sync_all()?;
        fs::remove_file(path)
    }

    /// Where marks are left.
    pub(super) fn marks(&self) -> PathBuf {
        self.dir.join(MARKS)
    }

    /// Makes the directory again that somebody has removed, where we may.
    pub(super) fn make_again(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix(DATABASE_PREFIX)?.parse().ok()
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn make(dir: &Path) -> Result<bool, OpenError> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(false),
        Ok(_) => Err(OpenError::NotAFolder { dir: dir.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(dir).map_err(|source| refused(dir, source))?;
            Ok(true)
        }
        Err(source) => Err(refused(dir, source)),
    }
}

/// What the system's refusal means for people.
pub(super) fn refused(dir: &Path, source: io::Error) -> OpenError {
    let dir = dir.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Permission { dir },
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => OpenError::NotAFolder { dir },
        _ => OpenError::Io { dir, source },
    }
}

//! What a database that takes no more writes cannot read either: sled rewrites long pages while it reads them, so that one
//! failed write hides what was durable long before. That is read from a copy of the files, as after a crash.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::Store;
use super::commit::{Commit, Place};
use super::copy::{Copied, Target, copy};
use super::database::Database;
use super::error::StoreError;

impl Store {
    /// Completes the copy of a broken database of which trees could not be read to their end.
    pub(super) fn salvage(
        &self,
        old: &Database,
        new: &Database,
        copied: Copied,
    ) -> Result<Copied, StoreError> {
        if copied.unread == 0 || !old.is_broken() {
            return Ok(copied);
        }
        let is_torn = |tree: &sled::Tree| tree.iter().any(|entry| entry.is_err());
        let torn = old.places().into_iter().filter(|(_, named)| is_torn(&named.tree)).map(|(place, _)| place);
        let found = self.complete(old, new, torn.collect())?;
        Ok(Copied { unread: found.unread, ..copied })
    }

    /// Puts into these trees of a copy what is on disk of them, and over it what the broken database still reads: where
    /// both have it, that is newer.
    fn complete(&self, old: &Database, new: &Database, torn: BTreeSet<Place>) -> Result<Copied, StoreError> {
        let current = self.folder().current()?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        // With the other leftovers it is removed when the copy is in use, or was given up.
        let image = self.folder().next()?;
        copy_files(&current, &image)?;
        let durable = Database::open(&image, self.cache(), None)?;
        let mut target = Torn { to: new, torn };
        let found = copy(&durable, &mut target)?;
        copy(old, &mut target)?;
        Ok(found)
    }
}

/// A database of which only some trees are written.
struct Torn<'a> {
    to: &'a Database,
    torn: BTreeSet<Place>,
}

impl Target for Torn<'_> {
    fn take(&mut self, records: Commit) -> Result<(), StoreError> {
        let mut taken = Commit::default();
        for (place, writes) in records.writes().iter().filter(|(place, _)| self.torn.contains(place)) {
            for (key, value) in writes {
                taken.write(*place, key.clone(), value.clone());
            }
        }
        self.to.apply(&taken)
    }
}

/// Nobody writes to the files of a broken database any more.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout::{SCHEMA, Table};
    use super::super::tests::Rig;
    use super::*;

    #[test]
    fn what_is_on_disk_completes_what_can_be_read_and_older_values_do_not_come_back() {
        let Rig { store, dir } = Rig::new();
        let old = store.database();
        let notes = Place::Table(Table::Notes);
        let write = |database: &Database, key: &str, value: &str| {
            let mut commit = Commit::default();
            commit.write(notes, key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()));
            database.apply(&commit).unwrap();
        };
        for (key, value) in [("a", "durable"), ("b", "durable"), ("other", "durable")] {
            write(&old, key, value);
        }
        old.sync_blocking().unwrap();
        write(&old, "b", "newer");
        // As a copy would be that read nothing of the notes.
        let new = Database::open(&dir.path().join("store-7"), 1 << 20, Some(SCHEMA)).unwrap();
        let found = store.complete(&old, &new, BTreeSet::from([notes])).unwrap();
        assert_eq!(found.unread, 0);
        let read = |key: &str| new.table(Table::Notes).unwrap().get(key).unwrap().map(|value| value.to_vec());
        assert_eq!(read("a"), Some(b"durable".to_vec()));
        assert_eq!(read("b"), Some(b"newer".to_vec()));
        let untouched = store.complete(&old, &new, BTreeSet::new()).unwrap();
        assert!(untouched.records > 0 && new.table(Table::Meta).unwrap().len() == 1);
    }
}

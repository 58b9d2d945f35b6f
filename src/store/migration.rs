//! From an older layout to this program's: record by record into a new database, after a snapshot of the old one.
//!
//! A crash on any line leaves the old database current or the new one, whole; the snapshot stays for who goes back.

use std::fs;
use std::path::PathBuf;

use super::backup;
use super::commit::{Commit, Place};
use super::copy::{Target, copy};
use super::database::{Database, OpenFailure};
use super::error::StoreError;
use super::folder::Folder;
use super::layout::{SCHEMA, Table};

/// A record: its tree, key and value.
pub(super) type Stored = (Place, Vec<u8>, Vec<u8>);

/// What becomes of a record in the next version: its key and value, or nothing.
pub(super) type Step = fn(Place, &[u8], &[u8]) -> Result<Option<Stored>, StoreError>;

/// A version of the layout and the way to it: the first step leads from version 1 to 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) version: u32,
    pub(super) steps: &'static [Step],
}

/// Each version but the first has its step.
const STEPS: [Step; SCHEMA as usize - 1] = [as_it_is];

/// 1 to 2: history that is over may be packed from now on.
fn as_it_is(place: Place, key: &[u8], value: &[u8]) -> Result<Option<Stored>, StoreError> {
    Ok(Some((place, key.to_vec(), value.to_vec())))
}

/// The layout that this program writes.
pub(super) const CURRENT: Layout = Layout { version: SCHEMA, steps: &STEPS };

impl Layout {
    /// The steps from an older version on, in order.
    fn steps_from(&self, version: u32) -> &'static [Step] {
        let done = usize::try_from(version.saturating_sub(1)).unwrap_or(usize::MAX);
        self.steps.get(done..).unwrap_or_default()
    }
}

/// Brings an older database to this layout; gives the new one, which is current now, and where the snapshot is.
pub(super) fn migrate(
    old: &Database,
    layout: Layout,
    folder: &Folder,
    cache: u64,
) -> Result<(Database, PathBuf), OpenFailure> {
    let (from, to) = (old.version(), layout.version);
    let snapshot = folder.snapshot(from)?;
    tracing::info!(from, to, snapshot = %snapshot.display(), "the store is of an older version; it is migrated");
    // Made anew when an earlier attempt was cut short: nothing has changed the old database since.
    backup::write(old, &snapshot).map_err(failed)?;
    let path = folder.next()?;
    let migrated = copy_through(old, layout, folder, &path, cache);
    match migrated {
        Ok(new) => Ok((new, snapshot)),
        Err(error) => {
            // It takes room that the next attempt needs.
            fs::remove_dir_all(&path).ok();
            Err(failed(error))
        }
    }
}

fn copy_through(
    old: &Database,
    layout: Layout,
    folder: &Folder,
    path: &std::path::Path,
    cache: u64,
) -> Result<Database, StoreError> {
    let new = Database::open(path, cache, Some(layout.version))?;
    let copied = copy(old, &mut Migrated { to: &new, steps: layout.steps_from(old.version()) })?;
    if copied.unread > 0 {
        return Err(StoreError::Damaged(format!("{} trees cannot be read", copied.unread)));
    }
    new.sync_blocking()?;
    folder.switch(path)?;
    tracing::info!(records = copied.records, version = layout.version, "the store is migrated");
    Ok(new)
}

/// A damaged database climbs down the ladder, any other trouble is for a person.
fn failed(error: StoreError) -> OpenFailure {
    match error {
        StoreError::Damaged(reason) => OpenFailure::Damaged(reason),
        other => OpenFailure::Io(std::io::Error::other(other.to_string())),
    }
}

/// The new database behind the steps.
struct Migrated<'a> {
    to: &'a Database,
    steps: &'static [Step],
}

impl Target for Migrated<'_> {
    fn take(&mut self, records: Commit) -> Result<(), StoreError> {
        let mut taken = Commit::default();
        for (place, writes) in records.writes() {
            // The new database has its version already.
            for (key, value) in writes.iter().filter(|_| *place != Place::Table(Table::Meta)) {
                let Some(value) = value else { continue };
                if let Some((place, key, value)) = self.through((*place, key.clone(), value.clone()))? {
                    taken.write(place, key, Some(value));
                }
            }
        }
        self.to.apply(&taken)
    }
}

impl Migrated<'_> {
    fn through(&self, record: Stored) -> Result<Option<Stored>, StoreError> {
        let mut record = Some(record);
        for step in self.steps {
            let Some((place, key, value)) = &record else { break };
            record = step(*place, key, value)?;
        }
        Ok(record)
    }
}

//! A new database with the living records of the old one: sled gives no space back, and takes no writes after one
//! that failed.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Store;
use super::copy::{copy, copy_touched};
use super::database::{Database, OpenFailure};
use super::error::StoreError;
use super::layout::SCHEMA;

/// What a compaction has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// How many records live.
    pub records: u64,
    /// How many trees could not be read to their end; their rest is lost.
    pub unread: u64,
    /// Bytes on disk before.
    pub before_bytes: u64,
    /// Bytes on disk after.
    pub after_bytes: u64,
}

impl Store {
    /// Packs what is over, copies what lives into a new database and goes on with that one. Blocks, for about a second
    /// each 100,000 records; other verbs wait only at its end.
    pub fn compact(&self) -> Result<Compacted, StoreError> {
        if !self.database().is_broken() {
            self.pack_quiet(Duration::ZERO, &CancellationToken::new())?;
        }
        self.copy_all()
    }

    /// As `compact`, of everything as it lies.
    pub(super) fn copy_all(&self) -> Result<Compacted, StoreError> {
        let moving = self.moving();
        let old = self.database();
        old.begin_copy()?;
        let compacted = self.copy_and_switch(&old);
        if compacted.is_err() {
            old.end_copy().ok();
        }
        drop(old);
        drop(moving);
        // Either the old one, or what was copied before the copy failed.
        if let Err(error) = self.folder().remove_leftovers() {
            tracing::warn!(%error, "a database that is not used any more is still there");
        }
        compacted
    }

    fn copy_and_switch(&self, old: &Database) -> Result<Compacted, StoreError> {
        // Nothing, where its folder is gone.
        let before_bytes = old.size_on_disk().unwrap_or(0);
        let path = self.folder().next()?;
        let new = Database::open(&path, self.cache(), Some(SCHEMA))?;
        let copied = copy(old, &mut &new)?;
        let copied = self.salvage(old, &new, copied)?;
        new.sync_blocking()?;
        drop(new);
        // sled notes where everything lies when it opens a database, and only then; the next opening need not look.
        let new = Database::open(&path, self.cache(), None)?;
        // Who holds the lock is the only one who writes.
        let memory = self.memory();
        copy_touched(old, old.end_copy()?, &mut &new)?;
        new.sync_blocking()?;
        // A crash before this line leaves the old database current, after it the new one; both are whole.
        self.folder().switch(&path)?;
        new.take_over(old);
        let after_bytes = new.size_on_disk()?;
        *self.inner.database.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        drop(memory);
        Ok(Compacted { records: copied.records, unread: copied.unread, before_bytes, after_bytes })
    }

    /// Looks whether writes that failed would succeed now. A database that takes no more of them is replaced by a
    /// copy, with all that it has in memory.
    pub(super) fn recover(&self) -> Result<(), StoreError> {
        let database = self.database();
        if !database.is_broken() {
            if database.trouble().is_some() {
                database.look_again();
            }
            return Ok(());
        }
        let is_gone = database.trouble() == Some(StoreError::Gone);
        drop(database);
        if is_gone && self.folder().make_again().is_err() || self.folder().takes_writes().is_err() {
            return Ok(());
        }
        let compacted = self.copy_all()?;
        tracing::warn!(records = compacted.records, unread = compacted.unread, "went on with a new database");
        Ok(())
    }

    /// Why nothing new can be kept at present, if so: the disk is full, read-only or failing.
    #[must_use]
    pub fn trouble(&self) -> Option<StoreError> {
        self.database().trouble()
    }
}

impl From<OpenFailure> for StoreError {
    fn from(failure: OpenFailure) -> Self {
        match failure {
            OpenFailure::Io(error) => error.into(),
            OpenFailure::Damaged(reason) => Self::Damaged(reason),
            OpenFailure::Newer(version) => Self::from(io::Error::other(format!("version {version}"))),
        }
    }
}

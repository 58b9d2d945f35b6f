//! Tenants: who else than the broker gets every event of a device, each by a name, in its own order and at its own
//! pace. A tenant begins with what comes after it was named; what it has not taken is dropped with the history.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::commit::Commit;
use super::database::Database;
use super::error::StoreError;
use super::layout::{LARGEST_COMMIT, Table, Week};
use super::outbox::Reader;
use super::{OutboxEntry, OutboxKey, Store};
use crate::clock;
use crate::model::{Event, Timestamp};

/// Longer names are refused.
const LONGEST_NAME: usize = 64;

/// What the store keeps for one reader besides the broker. Events that are about a device are put here in the commit
/// that keeps them; what is taken leaves as the broker's does, and nobody waits for anybody else.
#[derive(Debug, Clone)]
pub struct Tenant {
    store: Store,
    name: String,
    reader: Reader,
    arrived: Arc<Notify>,
}

impl Store {
    /// The tenant of a name, known from now on also over restarts.
    pub fn tenant(&self, name: &str) -> Result<Tenant, StoreError> {
        if name.len() > LONGEST_NAME {
            return Err(StoreError::TooLarge {
                what: "name of a tenant",
                bytes: name.len(),
                most: LONGEST_NAME,
            });
        }
        let mut memory = self.memory();
        let database = self.database();
        let named = names(&database)?;
        let reader = match named.iter().find(|(_, known)| known == name) {
            Some((number, _)) => Reader::Tenant(*number),
            None => {
                let next = named.last().map_or(Some(0), |(last, _)| last.checked_add(1));
                let number = next.ok_or_else(|| StoreError::Failing("too many tenants".to_owned()))?;
                let mut commit = Commit::default();
                commit.put(Table::Tenants, number.to_be_bytes(), name.as_bytes().to_vec());
                database.apply(&commit)?;
                memory.outbox.add(Reader::Tenant(number));
                Reader::Tenant(number)
            }
        };
        let arrived = memory.outbox.arrived(reader);
        Ok(Tenant { store: self.clone(), name: name.to_owned(), reader, arrived })
    }

    /// How many events wait for the tenant of a name, and the time of the oldest; none wait for one that is not known.
    pub fn tenant_depth(&self, name: &str) -> Result<(u64, Option<Timestamp>), StoreError> {
        let known = names(&self.database())?.into_iter().find(|(_, known)| known == name);
        known.map_or(Ok((0, None)), |(number, _)| self.depth_of(Reader::Tenant(number)))
    }

    /// Forgets every tenant but these, with all that waits for them, and says which went.
    pub fn retain_tenants(&self, kept: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut gone = Vec::new();
        for (number, name) in names(&self.database())? {
            if kept.contains(&name.as_str()) {
                continue;
            }
            let mut memory = self.memory();
            let reader = Reader::Tenant(number);
            let events = memory.outbox.depth(reader);
            memory.outbox.remove(reader);
            self.remove_tenant(reader, number)?;
            tracing::info!(
                tenant = name,
                events,
                "dropped what was kept for a tenant that is no longer configured"
            );
            gone.push(name);
        }
        Ok(gone)
    }

    /// The name goes last: after a crash in between the tenant is dropped once more.
    fn remove_tenant(&self, reader: Reader, number: u16) -> Result<(), StoreError> {
        let database = self.database();
        let mut commit = Commit::releasing();
        for key in database.table(reader.table())?.scan_prefix(reader.prefix()).keys() {
            commit.remove(reader.table(), key?.to_vec());
            if commit.operations() >= LARGEST_COMMIT {
                database.apply(&std::mem::replace(&mut commit, Commit::releasing()))?;
            }
        }
        database.apply(&commit)?;
        let mut commit = Commit::releasing();
        commit.remove(Table::Tenants, number.to_be_bytes());
        database.apply(&commit)
    }

    /// Drops what tenants have not taken of a week that is about to go, or of before it, and tells of it.
    pub(super) fn give_up_for_tenants(&self, week: Week) -> Result<(), StoreError> {
        for (number, name) in names(&self.database())? {
            let events = self.give_up_before(Reader::Tenant(number), week.end())?;
            if events > 0 {
                let detail = serde_json::json!({ "tenant": name, "events": events, "before": week.end() });
                tracing::error!(tenant = name, events, before = %week.end(), "events lost: not taken in time");
                let time = clock::now();
                self.tell(&Event::Bridge { time, kind: "gap".to_owned(), detail: detail.to_string() })?;
            }
        }
        Ok(())
    }
}

/// The tenants by number.
fn names(database: &Database) -> Result<Vec<(u16, String)>, StoreError> {
    let mut names = Vec::new();
    for entry in database.table(Table::Tenants)? {
        let (key, name) = entry?;
        if let Some(number) = key.first_chunk::<2>() {
            names.push((u16::from_be_bytes(*number), String::from_utf8_lossy(&name).into_owned()));
        }
    }
    Ok(names)
}

impl Tenant {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The oldest events that wait for it and are not in `skip`.
    pub fn head(&self, skip: &BTreeSet<OutboxKey>, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        self.store.head_of(self.reader, skip, limit)
    }

    /// Forgets events that it has; on the disk within a second. A crash before that gives them out again.
    pub fn done(&self, keys: &[OutboxKey]) -> Result<(), StoreError> {
        self.store.done_of(self.reader, keys, Vec::new())
    }

    /// How many events wait for it, and the time of the oldest.
    pub fn depth(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        self.store.depth_of(self.reader)
    }

    /// Is notified when something new waits for it; register before looking.
    #[must_use]
    pub fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }
}

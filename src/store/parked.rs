//! Events that the broker will not take: out of the way of the others, kept with a reason until somebody decides.
//!
//! An uplink is parked as a reference into the history; when retention takes the uplink, its parking ends too.

use super::commit::Commit;
use super::error::StoreError;
use super::layout::{Table, last_u64};
use super::memory::Memory;
use super::record::{EntryRecord, ParkedRecord, Record};
use super::{Change, Store};
use crate::model::{Event, Timestamp};

/// More than so many are not kept, the oldest go: a broker that refuses everything must not fill the disk.
const MOST: usize = 1000;

/// An event that was parked.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// Its name, given in the order of parking.
    pub number: u64,
    /// What was to be published.
    pub event: Event,
    /// Where.
    pub topic: String,
    /// What the broker, or the link to it, said.
    pub reason: String,
    /// When it was parked.
    pub since: Timestamp,
}

impl Store {
    /// Keeps an event aside; one that is parked already gets the newer reason. It stays in the outbox until that is
    /// told: a crash in between parks it again.
    pub fn park(&self, event: &Event, topic: &str, reason: &str, now: Timestamp) -> Result<(), StoreError> {
        let _memory = self.memory();
        let parked = self.load_parked()?;
        let record = ParkedRecord {
            time: event.time().as_millis(),
            entry: EntryRecord::new(event),
            topic: topic.to_owned(),
            reason: reason.to_owned(),
            since: now.as_millis(),
        };
        let same =
            parked.iter().find(|(_, other)| (other.time, &other.entry) == (record.time, &record.entry));
        let next = parked.last().map_or(1, |(number, _)| number.saturating_add(1));
        let number = same.map_or(next, |(number, _)| *number);
        let mut commit = Commit::default();
        commit.put(Table::Parked, number.to_be_bytes(), record.encode()?);
        let excess = (parked.len() + 1).saturating_sub(MOST);
        for (number, _) in parked.iter().take(excess) {
            tracing::error!(number, "too many events are parked; the oldest is given up");
            commit.remove(Table::Parked, number.to_be_bytes());
        }
        self.database().apply(&commit)
    }

    /// What is parked, oldest parking first.
    pub fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        let mut memory = self.memory();
        let mut parked = Vec::new();
        for (number, record) in self.load_parked()? {
            if let Some(event) = self.parked_event(&mut memory, &record)? {
                let since = Timestamp::from_millis(record.since).unwrap_or_default();
                parked.push(Parked { number, event, topic: record.topic, reason: record.reason, since });
            }
        }
        Ok(parked)
    }

    /// Puts one event, or all that are parked, back into the outbox; says how many. Durable when this returns.
    pub async fn retry_parked(&self, only: Option<u64>) -> Result<usize, StoreError> {
        let mut retried = 0;
        // One commit each: a crash between two leaves the rest parked.
        for (number, record) in self.chosen(only)? {
            retried += usize::from(self.retry_one(number, &record)?);
        }
        self.durable().await?;
        self.announce([Change::Outbox]);
        Ok(retried)
    }

    fn retry_one(&self, number: u64, record: &ParkedRecord) -> Result<bool, StoreError> {
        let mut memory = self.memory();
        let mut commit = Commit::default();
        commit.remove(Table::Parked, number.to_be_bytes());
        let Some(event) = self.parked_event(&mut memory, record)? else {
            self.database().apply(&commit)?;
            return Ok(false);
        };
        let staged = memory.outbox.stage_for_broker(&self.database(), &mut commit, &event)?;
        self.database().apply(&commit)?;
        memory.outbox.keep(&staged);
        Ok(true)
    }

    /// Forgets one event, or all that are parked; says how many. Uplinks stay in the history. Durable when this
    /// returns.
    pub async fn drop_parked(&self, only: Option<u64>) -> Result<usize, StoreError> {
        let chosen = self.chosen(only)?;
        for part in chosen.chunks(super::layout::LARGEST_COMMIT) {
            let _memory = self.memory();
            let mut commit = Commit::releasing();
            for (number, _) in part {
                commit.remove(Table::Parked, number.to_be_bytes());
            }
            self.database().apply(&commit)?;
        }
        self.durable().await?;
        Ok(chosen.len())
    }

    fn chosen(&self, only: Option<u64>) -> Result<Vec<(u64, ParkedRecord)>, StoreError> {
        let mut parked = self.load_parked()?;
        parked.retain(|(number, _)| only.is_none_or(|only| only == *number));
        Ok(parked)
    }

    fn load_parked(&self) -> Result<Vec<(u64, ParkedRecord)>, StoreError> {
        let mut parked = Vec::new();
        for entry in self.database().table(Table::Parked)? {
            let (key, value) = entry?;
            match (last_u64(&key), ParkedRecord::decode(&value)) {
                (Some(number), Ok(record)) => parked.push((number, record)),
                (_, record) => tracing::error!(?key, error = ?record.err(), "a parked event cannot be read"),
            }
        }
        Ok(parked)
    }

    fn parked_event(&self, memory: &mut Memory, record: &ParkedRecord) -> Result<Option<Event>, StoreError> {
        let Some(time) = Timestamp::from_millis(record.time) else { return Ok(None) };
        self.event_of(memory, time, record.entry.clone())
    }
}

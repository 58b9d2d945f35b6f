//! Copying every record of a database somewhere else, while it goes on taking writes.

use super::commit::{Commit, Place};
use super::database::{Database, Touched};
use super::error::StoreError;
use super::layout::LARGEST_COMMIT;

/// Fewer records go into a part where they are so many bytes.
const LARGEST_PART: usize = 64 * 1024;

/// What takes copied records: another database, or a backup file.
pub(super) trait Target {
    /// Takes some records; of a key that comes twice, the later counts.
    fn take(&mut self, records: Commit) -> Result<(), StoreError>;
}

impl Target for &Database {
    fn take(&mut self, records: Commit) -> Result<(), StoreError> {
        self.apply(&records)
    }
}

/// What a copy has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// How many records were copied.
    pub(super) records: u64,
    /// How many trees could not be read to their end.
    pub(super) unread: u64,
}

/// Copies everything. What is written meanwhile is to be copied afterwards by `copy_touched`.
pub(super) fn copy(from: &Database, to: &mut impl Target) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    for (place, tree) in from.places() {
        let (mut records, mut bytes) = (Commit::default(), 0);
        for entry in &tree.tree {
            let (key, value) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::error!(tree = place.name(), %error, "the rest of a tree cannot be read");
                    copied.unread += 1;
                    break;
                }
            };
            bytes += key.len() + value.len();
            records.write(place, key.to_vec(), Some(value.to_vec()));
            copied.records += 1;
            if records.operations() >= LARGEST_COMMIT || bytes >= LARGEST_PART {
                to.take(std::mem::take(&mut records))?;
                bytes = 0;
            }
        }
        to.take(records)?;
    }
    Ok(copied)
}

/// Copies the keys that were written during a copy. Nobody may write meanwhile.
pub(super) fn copy_touched(
    from: &Database,
    touched: Touched,
    to: &mut impl Target,
) -> Result<(), StoreError> {
    let mut records = Commit::default();
    for (place, key) in touched {
        let week = place.week().and_then(|week| from.week(week));
        let value = match place {
            Place::Table(table) => from.table(table)?.get(&key)?,
            Place::Week(_) => week.map(|week| week.get_loose(&key)).transpose()?.flatten(),
            Place::Packed(_) => {
                let packs = week.and_then(|week| week.packed);
                packs.map(|packs| packs.named.tree.get(&key)).transpose()?.flatten()
            }
        };
        records.write(place, key, value.map(|value| value.to_vec()));
        if records.operations() >= LARGEST_COMMIT {
            to.take(std::mem::take(&mut records))?;
        }
    }
    to.take(records)
}

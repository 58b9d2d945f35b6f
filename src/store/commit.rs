//! Writes that belong together, by the tree that they go to.

use std::collections::BTreeMap;

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use super::layout::{Part, Table, Week};

/// Where a record lies: in one of the tables, or loose or packed in a week of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Table(Table),
    /// Its newest loose tree.
    Week(Week),
    Packed(Week),
}

impl Place {
    /// The name of the tree.
    pub(super) fn name(self) -> String {
        match self {
            Self::Table(table) => table.name().to_owned(),
            Self::Week(week) => week.tree(Part::Loose(0)),
            Self::Packed(week) => week.tree(Part::Packed),
        }
    }

    /// The week whose history it is.
    pub(super) fn week(self) -> Option<Week> {
        match self {
            Self::Table(_) => None,
            Self::Week(week) | Self::Packed(week) => Some(week),
        }
    }

    /// The place of the tree with this name.
    pub(super) fn of_name(name: &[u8]) -> Option<Self> {
        let table = Table::ALL.into_iter().find(|table| table.name().as_bytes() == name);
        table.map(Self::Table).or_else(|| {
            Week::of_tree(name).map(|(week, part)| match part {
                Part::Loose(_) => Self::Week(week),
                Part::Packed => Self::Packed(week),
            })
        })
    }
}

/// The writes to one tree: a value, or nothing for a key that is removed.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes that belong together.
#[derive(Debug, Default)]
pub(super) struct Commit {
    writes: BTreeMap<Place, Writes>,
    releases: bool,
}

impl Commit {
    /// A commit that gives up more than it takes, and so may still be made when the disk is nearly full.
    pub(super) fn releasing() -> Self {
        Self { releases: true, ..Self::default() }
    }

    /// Sets a key of a table.
    pub(super) fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.write(Place::Table(table), key.into(), Some(value));
    }

    /// Removes a key of a table.
    pub(super) fn remove(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.write(Place::Table(table), key.into(), None);
    }

    /// Sets or removes a key of any tree.
    pub(super) fn write(&mut self, place: Place, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.writes.entry(place).or_default().insert(key, value);
    }

    /// How many writes it holds.
    pub(super) fn operations(&self) -> usize {
        self.writes.values().map(BTreeMap::len).sum()
    }

    /// Writes all of it or nothing to the trees of its places.
    pub(super) fn write_to(&self, trees: &[sled::Tree]) -> Result<(), TransactionError<()>> {
        let batches: Vec<sled::Batch> = self.writes.values().map(batch).collect();
        trees.transaction(|views| {
            for (view, batch) in views.iter().zip(&batches) {
                view.apply_batch(batch)?;
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        })
    }

    /// Whether it gives up more than it takes.
    pub(super) fn releases(&self) -> bool {
        self.releases
    }

    /// The writes, tree by tree.
    pub(super) fn writes(&self) -> &BTreeMap<Place, Writes> {
        &self.writes
    }
}

fn batch(writes: &Writes) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, value) in writes {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    batch
}

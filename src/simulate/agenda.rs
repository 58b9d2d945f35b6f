//! What is to happen, and when: a queue by time that keeps the order of equals.

use std::collections::BTreeMap;

use crate::model::Timestamp;

/// So many entries are kept; one more is refused.
const LONGEST: usize = 100_000;

/// Things to come, by their time.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    entries: BTreeMap<(Timestamp, u64), T>,
    added: u64,
}

impl<T> Agenda<T> {
    /// Writes an entry down; a full agenda drops it, which the network would call an overload.
    pub(super) fn add(&mut self, due: Timestamp, entry: T) {
        if self.entries.len() >= LONGEST {
            tracing::warn!(entries = LONGEST, "the simulated network is overloaded, an event is dropped");
            return;
        }
        self.added += 1;
        self.entries.insert((due, self.added), entry);
    }

    /// The time of the next entry.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the next entry, if its time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.entries.pop_first().map(|(_, entry)| entry)
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), added: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_by_time_and_equals_in_the_order_they_were_added() {
        let at = |seconds: i64| Timestamp::from_cloud(seconds).unwrap();
        let mut agenda = Agenda::default();
        for (due, entry) in [(20, "later"), (10, "first"), (10, "second")] {
            agenda.add(at(due), entry);
        }
        assert_eq!(agenda.take_due(at(9)), None);
        assert_eq!(agenda.take_due(at(10)), Some("first"));
        assert_eq!(agenda.take_due(at(10)), Some("second"));
        assert_eq!((agenda.take_due(at(10)), agenda.next_due(), agenda.len()), (None, Some(at(20)), 1));
    }
}

//! Counts by key since the start, for the metrics. Rooms count into it and know nothing of who reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts by key. Clones share them; there are no more than there are keys, which must be few.
#[derive(Debug, Clone)]
pub struct Tally<K>(Arc<Mutex<BTreeMap<K, u64>>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone> Tally<K> {
    /// One more of this key.
    pub fn count(&self, key: K) {
        self.add(key, 1);
    }

    /// So many more of this key.
    pub fn add(&self, key: K, more: u64) {
        let mut counts = self.lock();
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(more);
    }

    /// How many there are of this key.
    #[must_use]
    pub fn of(&self, key: &K) -> u64 {
        self.lock().get(key).copied().unwrap_or_default()
    }

    /// All counts at this moment.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<K, u64> {
        self.lock().clone()
    }

    /// How many there are of all keys together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.lock().values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, u64>> {
        // A panic under the lock leaves whole counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together() {
        let tally = Tally::default();
        let other = tally.clone();
        for word in ["a", "b", "a"] {
            other.count(word);
        }
        assert_eq!(tally.counts(), BTreeMap::from([("a", 2), ("b", 1)]));
        assert_eq!(tally.sum(), 3);
    }
}

//! Signs of life of the parts that all others hang on: the store, the connection to the broker, the sources' schedule.
//!
//! A part that stands still without ending is seen here; what follows from it is `systemd`'s business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Where a part notes its last sign of life. It may end: then it is no longer looked after.
pub type Pulse = watch::Sender<Option<Instant>>;

/// The parts that give signs of life. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    parts: Arc<Mutex<Vec<Part>>>,
}

#[derive(Debug)]
struct Part {
    name: String,
    last: watch::Receiver<Option<Instant>>,
}

/// A sign of life.
pub fn beat(pulse: &Pulse) {
    pulse.send_replace(Some(Instant::now()));
}

impl Vitals {
    /// A part that is looked after from now on, and gives its first sign of life when it does what it is for.
    #[must_use]
    pub fn part(&self, name: impl Into<String>) -> Pulse {
        let (pulse, last) = watch::channel(None);
        self.lock().push(Part { name: name.into(), last });
        pulse
    }

    /// Waits until each of the parts that there are now has given a sign of life, or has ended.
    pub async fn all_alive(&self) {
        let parts: Vec<_> = self.lock().iter().map(|part| part.last.clone()).collect();
        for mut last in parts {
            // An error: it has ended, and takes the process with it unless that was wanted.
            last.wait_for(Option::is_some).await.ok();
        }
    }

    /// The parts that have given no sign of life for so long; one that only begins has time.
    #[must_use]
    pub fn still(&self, now: Instant, patience: Duration) -> Vec<String> {
        let mut parts = self.lock();
        parts.retain(|part| part.last.has_changed().is_ok());
        let is_still = |part: &&Part| {
            part.last.borrow().is_some_and(|last| now.saturating_duration_since(last) > patience)
        };
        parts.iter().filter(is_still).map(|part| part.name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_stands_still_is_named_until_it_moves_or_ends() {
        let (vitals, patience) = (Vitals::default(), Duration::from_secs(30));
        let (store, mqtt) = (vitals.part("store"), vitals.part("mqtt"));
        let begin = Instant::now();
        let later = begin + patience + Duration::from_secs(1);
        assert_eq!(vitals.still(later, patience), [""; 0], "a part that begins has time");
        store.send_replace(Some(begin));
        mqtt.send_replace(Some(begin + patience));
        assert_eq!(vitals.still(begin + patience, patience), [""; 0]);
        assert_eq!(vitals.still(later, patience), ["store"]);
        store.send_replace(Some(later));
        assert_eq!(vitals.still(later, patience), [""; 0]);
        drop(store);
        assert_eq!(vitals.still(later + patience, patience), ["mqtt"]);
    }

    #[tokio::test]
    async fn all_are_alive_when_the_last_one_is() {
        let vitals = Vitals::default();
        let (store, mqtt, gone) = (vitals.part("store"), vitals.part("mqtt"), vitals.part("gone"));
        drop(gone);
        beat(&store);
        let mut all = std::pin::pin!(vitals.all_alive());
        assert!(futures_util::poll!(&mut all).is_pending());
        beat(&mqtt);
        all.await;
    }
}

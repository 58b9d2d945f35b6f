//! When Home Assistant's birth is answered: soon, but never so often that nothing else gets through. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// After an answer, births wait for so many times as long as it took: answers take a fifth of the time at most.
const REST: u32 = 4;

/// The longest that a birth waits for an earlier answer's sake.
const LONGEST_REST: Duration = Duration::from_secs(120);

/// The births that are not answered, and the answer under way.
#[derive(Debug, Default)]
pub(super) struct Births {
    due: Option<Instant>,
    /// Since when everything is being sent.
    begun: Option<Instant>,
    /// Whether there was another birth meanwhile.
    again: bool,
    rest_until: Option<Instant>,
}

impl Births {
    /// Home Assistant said `online`; a birth before the last one is answered is answered with it.
    pub(super) fn born(&mut self, now: Instant, pause: Duration) {
        if self.begun.is_some() {
            self.again = true;
            return;
        }
        let at = self.rest_until.map_or(now + pause, |rest| rest.max(now + pause));
        self.due.get_or_insert(at);
    }

    /// When everything is to be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether that time has come; everything is being sent from now on.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
            self.begun = Some(now);
        }
        is_due
    }

    /// Nothing is left to be sent.
    pub(super) fn done(&mut self, now: Instant) {
        let Some(begun) = self.begun.take() else { return };
        let rest_until = now + (now - begun).saturating_mul(REST).min(LONGEST_REST);
        self.rest_until = Some(rest_until);
        if std::mem::take(&mut self.again) {
            self.due = Some(rest_until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn births_are_answered_together_and_leave_time_for_the_rest() {
        let start = Instant::now();
        let at = |seconds: u32| start + SECOND * seconds;
        let mut births = Births::default();
        births.born(at(0), SECOND);
        births.born(at(0), SECOND * 3);
        assert_eq!(births.due(), Some(at(1)), "one answer for both");
        assert!(!births.begin(at(0)) && births.begin(at(1)));
        // Sending takes ten seconds, and it is born again meanwhile, and then every ten seconds.
        births.born(at(5), SECOND);
        assert_eq!(births.due(), None);
        births.done(at(11));
        assert_eq!(births.due(), Some(at(51)));
        for seconds in [15, 25, 35, 45] {
            births.born(at(seconds), SECOND);
            assert!(!births.begin(at(seconds)));
        }
        assert!(births.begin(at(51)), "no birth is forgotten");
        births.done(at(51));
        births.born(at(60), SECOND);
        assert_eq!(births.due(), Some(at(61)), "a small site answers at once");
        births.done(at(61));
        assert_eq!(births.due(), Some(at(61)), "what is done was not for this one");
    }
}

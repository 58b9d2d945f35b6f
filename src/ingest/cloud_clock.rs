//! What time it is by a cloud's clock. It stamps the messages, so windows of time are asked for by it: a clock of ours
//! that is an hour off, or jumps by a day, loses nothing and reads nothing twice.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::model::Timestamp;

/// A difference up to this is the answer's way to us and its date's missing digits.
const SAME: i64 = 60_000;

/// How far a cloud's clock is from ours, by the `Date` of its latest answer.
#[derive(Debug, Default)]
pub(super) struct CloudClock {
    ahead_ms: AtomicI64,
}

impl CloudClock {
    /// Takes down what the cloud's clock said when ours said `now`.
    pub(super) fn set(&self, date: Timestamp, now: Timestamp) {
        let ahead = date.as_millis() - now.as_millis();
        self.ahead_ms.store(if ahead.abs() <= SAME { 0 } else { ahead }, Ordering::Relaxed);
    }

    /// What it says when ours says `now`.
    pub(super) fn at(&self, now: Timestamp) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let span = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { now.minus(span) } else { now.plus(span) }
    }
}

/// How far a sweep that was asked for at `asked_at` has read: not beyond what the cloud's clock said, and not beyond
/// ours either unless a message shows that the cloud's is right. A cursor too far ahead would hide what comes
/// meanwhile.
pub(super) fn reached(asked_at: Timestamp, date: Option<Timestamp>, newest: Option<Timestamp>) -> Timestamp {
    date.map_or(asked_at, |date| date.min(newest.map_or(asked_at, |newest| newest.max(asked_at))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_cloud(1_789_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_minute_is_no_difference_and_more_is_taken_over() {
        let clock = CloudClock::default();
        for (date, said) in [(0, 10), (59, 10), (-60, 10), (3600, 3610), (-86_400, -86_390), (1, 10)] {
            clock.set(at(date), at(0));
            assert_eq!(clock.at(at(10)), at(said), "{date}");
        }
    }

    #[test]
    fn a_cursor_goes_ahead_of_our_clock_only_with_a_message() {
        for (date, newest, expected) in [
            (None, None, 0),
            (None, Some(50), 0),
            (Some(-5), None, -5),
            (Some(3600), None, 0),
            (Some(3600), Some(-10), 0),
            (Some(3600), Some(3500), 3500),
            (Some(3600), Some(9000), 3600),
        ] {
            assert_eq!(reached(at(0), date.map(at), newest.map(at)), at(expected), "{date:?} {newest:?}");
        }
    }
}

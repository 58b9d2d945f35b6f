//! The one place that reads the wall clock; everything that judges time takes it as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// The earliest time that can be true: when this program was built, as far as whoever built it said so.
const EARLIEST_S: &str = match option_env!("SOURCE_DATE_EPOCH") {
    Some(seconds) => seconds,
    // 2025-01-01
    None => "1735689600",
};

/// Whether a clock that says this was ever set. A machine without a clock of its own, such as a Raspberry Pi, begins
/// in 1970 or at its last shutdown; nothing may be judged by the former.
#[must_use]
pub fn is_set(now: Timestamp) -> bool {
    EARLIEST_S.parse().map_or(true, |earliest: i64| now.as_seconds() >= earliest)
}

/// The wall clock's time; 1970 where the clock stands before it.
#[must_use]
pub fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_1970)
}

/// The wall clock's time, once it was set.
#[must_use]
pub fn now_if_set() -> Option<Timestamp> {
    Some(now()).filter(|now| is_set(*now))
}

/// The latest time that it can be: the wall clock's, and any time at all where that was never set.
#[must_use]
pub fn latest() -> Timestamp {
    let now = now();
    if is_set(now) { now } else { Timestamp::default().plus(Duration::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_known() {
        for (seconds, set) in [(0, false), (1_700_000_000, false), (1_789_000_000, true)] {
            assert_eq!(is_set(Timestamp::from_millis(seconds * 1000).unwrap()), set, "{seconds}");
        }
        assert!(is_set(now()), "the clock of this machine");
    }
}

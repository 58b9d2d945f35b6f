//! Points in time, as the clouds give them and as we print them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From here on a bare number is milliseconds, below it seconds: the clouds mix both, even within one API
/// version, and no plausible time of one unit looks like the other.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// 2100-01-01: nothing that a cloud says lies beyond.
const LATEST_MS: i64 = 4_102_444_800_000;

/// A point in time: milliseconds since 1970-01-01 UTC, between then and 2100; printed as RFC 3339 with
/// milliseconds and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time so many milliseconds after 1970; none outside 1970 to 2100.
    #[must_use]
    pub fn from_millis(milliseconds: i64) -> Option<Self> {
        (0..=LATEST_MS).contains(&milliseconds).then_some(Self(milliseconds))
    }

    /// The time that a cloud wrote as a bare number, in seconds or milliseconds by its magnitude.
    #[must_use]
    pub fn from_cloud(number: i64) -> Option<Self> {
        if number >= MILLISECONDS_FROM {
            Self::from_millis(number)
        } else {
            Self::from_millis(number.checked_mul(1000)?)
        }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// This time and a duration more, at most the year 2100.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let more = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(more).min(LATEST_MS))
    }

    /// This time and a duration less, at least 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let less = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(less).max(0))
    }
}

/// Why a text is not a point in time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a time between 1970 and 2100 (expected RFC 3339, such as 2026-09-09T22:26:40.123Z)")]
pub struct ParseTimestampError {
    text: String,
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|time| Self::from_millis(time.as_millisecond()))
            .ok_or_else(|| ParseTimestampError { text: text.chars().take(40).collect() })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_out_of_range| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds_or_milliseconds_by_its_magnitude() {
        for (number, printed) in [
            (1_565_081_856, Some("2019-08-06T08:57:36.000Z")),
            (1_565_081_856_123, Some("2019-08-06T08:57:36.123Z")),
            (0, Some("1970-01-01T00:00:00.000Z")),
            (-1, None),
            (-9_007_199_254_740_991, None),
            (i64::MAX, None),
            (99_999_999_999, None),
        ] {
            assert_eq!(Timestamp::from_cloud(number).map(|t| t.to_string()).as_deref(), printed, "{number}");
        }
    }

    #[test]
    fn printed_times_are_read_back() {
        let time: Timestamp = "2026-09-09T22:26:40.123Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-09-09T22:26:40.123Z");
        assert_eq!("2026-09-10T00:26:40.123+02:00".parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let time = Timestamp::from_millis(1000).unwrap();
        assert_eq!(time.minus(Duration::from_secs(60)).as_millis(), 0);
        assert_eq!(time.plus(Duration::MAX).as_millis(), LATEST_MS);
        assert_eq!(time.since(time.plus(Duration::from_secs(1))), Duration::ZERO);
    }
}

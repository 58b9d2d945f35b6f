//! How much faster than the wall clock the simulated world lives: by a clock of its own, or by shorter waits.
//!
//! A world with a pace stays on the clock that it is told; what shrinks is every wait: between two uplinks, before a
//! retry, the life of a token, the day of a quota.

use std::time::Duration;

use crate::model::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The speed of the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    speed: f64,
}

/// Why a number is no speed.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{0} is not a speed (expected 0.01 to 100000; 60 makes a minute of a device last a second)")]
pub struct SpeedError(f64);

impl Pace {
    /// The world at this multiple of the wall clock, 0.01 to 100,000.
    ///
    /// # Errors
    /// A number outside that range.
    pub fn new(speed: f64) -> Result<Self, SpeedError> {
        if (0.01..=100_000.0).contains(&speed) { Ok(Self { speed }) } else { Err(SpeedError(speed)) }
    }

    /// How long on the wall clock a span of the world lasts.
    #[must_use]
    pub fn real(self, simulated: Duration) -> Duration {
        Duration::try_from_secs_f64(simulated.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    fn simulated(self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(real.as_secs_f64() * self.speed).unwrap_or(Duration::MAX)
    }

    /// The number of the world's day that this moment of the wall clock falls into.
    #[must_use]
    pub fn day(self, now: Timestamp) -> i64 {
        let length = i64::try_from(self.real(DAY).as_millis()).unwrap_or(i64::MAX).max(1);
        now.as_millis().div_euclid(length)
    }
}

/// The world's own clock: right when the simulator starts, then as much faster as its pace says.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorldClock {
    begun: Timestamp,
    pace: Pace,
}

impl WorldClock {
    pub(super) fn new(begun: Timestamp, pace: Pace) -> Self {
        Self { begun, pace }
    }

    /// What it shows at this moment of the wall clock.
    pub(super) fn at(self, wall: Timestamp) -> Timestamp {
        self.begun.plus(self.pace.simulated(wall.since(self.begun)))
    }

    /// How long on the wall clock a span of the world lasts.
    pub(super) fn real(self, simulated: Duration) -> Duration {
        self.pace.real(simulated)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { speed: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_speed_sixty_a_minute_lasts_a_second_and_a_day_twenty_four_minutes() {
        let pace = Pace::new(60.0).unwrap();
        assert_eq!(pace.real(Duration::from_secs(60)), Duration::from_secs(1));
        let now = Timestamp::from_millis(0).unwrap();
        assert_eq!(pace.day(now.plus(Duration::from_secs(24 * 60 - 1))), pace.day(now));
        assert_eq!(pace.day(now.plus(Duration::from_secs(24 * 60))), pace.day(now) + 1);
    }

    #[test]
    fn a_clock_at_speed_sixty_shows_an_hour_after_a_minute() {
        let begun = Timestamp::from_cloud(1_789_000_000).unwrap();
        let clock = WorldClock::new(begun, Pace::new(60.0).unwrap());
        let minute = Duration::from_secs(60);
        assert_eq!(clock.at(begun), begun);
        assert_eq!(clock.at(begun.plus(minute)), begun.plus(60 * minute));
        assert_eq!(clock.real(60 * minute), minute);
    }

    #[test]
    fn what_is_no_speed_is_refused() {
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(Pace::new(speed).is_err(), "{speed}");
        }
    }
}

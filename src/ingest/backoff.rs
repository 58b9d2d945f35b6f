//! How long to leave a cloud alone after an error: longer with every failure in a row, up to a cap, with
//! jitter, and never shorter than the cloud asked for. Values in, durations out.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::cloud::Error;

/// Even a cloud that asks for a year is asked again tomorrow.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How fast the waits grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The cloud may be back any moment: 1 s to 5 min.
    Passing,
    /// The cloud wants fewer requests and says no time: 2 s to 5 min.
    Crowded,
    /// The request is wrong for this cloud: 10 s to 15 min.
    Refused,
    /// A person must act, and failed logins may lock an account: 1 min to 15 min.
    Locked,
}

impl Pace {
    fn of(error: &Error) -> Self {
        match error {
            Error::Unauthorized { .. } | Error::Forbidden { .. } | Error::Setup(_) => Self::Locked,
            Error::RateLimited { .. } => Self::Crowded,
            Error::NotFound { .. } | Error::Refused { .. } | Error::Unsupported { .. } => Self::Refused,
            Error::Retry { .. } | Error::Malformed { .. } | Error::Circle { .. } => Self::Passing,
        }
    }

    fn bounds(self) -> (Duration, Duration) {
        let (shortest, longest) = match self {
            Self::Passing => (1, 300),
            Self::Crowded => (2, 300),
            Self::Refused => (10, 900),
            Self::Locked => (60, 900),
        };
        (Duration::from_secs(shortest), Duration::from_secs(longest))
    }
}

/// The waits of one job that fails; a success begins a new one.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    waits: Option<(Pace, ExponentialBackoff)>,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(crate) fn after(&mut self, error: &Error) -> Duration {
        let pace = Pace::of(error);
        let (shortest, longest) = pace.bounds();
        let begin = || {
            let waits = ExponentialBuilder::new()
                .with_min_delay(shortest)
                .with_max_delay(longest)
                .with_factor(2.0)
                .without_max_times()
                .with_jitter();
            (pace, waits.build())
        };
        let waits = match &mut self.waits {
            Some(waits) if waits.0 == pace => waits,
            waits => waits.insert(begin()),
        };
        let own = waits.1.next().unwrap_or(longest).min(longest);
        match error {
            // A little later than asked for, so that our clock being fast costs no second 429.
            Error::RateLimited { after: Some(after), .. } => {
                (*after).min(LONGEST) + Duration::from_millis(fastrand::u64(50..500))
            }
            Error::Retry { after: Some(after), .. } => own.max((*after).min(LONGEST)),
            _ => own,
        }
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        self.waits = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> String {
        "device types".to_owned()
    }

    fn down() -> Error {
        Error::Retry { asked: asked(), why: String::new(), after: None, answered: true }
    }

    #[test]
    fn waits_grow_to_a_cap() {
        for (error, first, cap) in [
            (down(), 1, 300),
            (Error::Unauthorized { asked: asked() }, 60, 900),
            (Error::RateLimited { asked: asked(), after: None }, 2, 300),
            (Error::NotFound { asked: asked() }, 10, 900),
        ] {
            let mut backoff = Backoff::default();
            let waits: Vec<u64> = (0..20).map(|_| backoff.after(&error).as_secs()).collect();
            assert!((first..=2 * first).contains(&waits[0]), "{error}: {waits:?}");
            assert!(waits.iter().all(|wait| *wait <= cap), "{error}: {waits:?}");
            assert_eq!(waits[19], cap, "{error}: {waits:?}");
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.after(&down());
        }
        backoff.reset();
        assert!(backoff.after(&down()) <= Duration::from_secs(2));
    }

    #[test]
    fn what_the_cloud_asks_for_is_obeyed() {
        let seconds = Duration::from_secs;
        for (asks, least, most) in [(0, 0, 1), (7, 7, 8), (400, 400, 401), (u64::MAX, 86_400, 86_401)] {
            let error = Error::RateLimited { asked: asked(), after: Some(seconds(asks)) };
            let wait = Backoff::default().after(&error);
            assert!((seconds(least)..=seconds(most)).contains(&wait), "{asks}: {wait:?}");
        }
    }
}

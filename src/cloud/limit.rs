//! How often a cloud may be asked: the source's own ceiling, the documented ceilings of single paths, the pause that
//! a cloud asked for with its last 429, and the quotas that it says are used up.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use reqwest::Method;
use tokio::time::Instant;

/// A pause longer than this is reported to the caller rather than slept through in silence.
const SILENT_PAUSE: Duration = Duration::from_secs(5);

/// Soracom's quotas are those of a minute: nobody waits for one longer.
const LONGEST_REFRESH: Duration = Duration::from_secs(60);

/// A ceiling that the Sigfox documents set for one kind of path: method, how the path ends, requests, period in
/// seconds (support.sigfox.com, API rate limiting; in force since 2019-07-01).
type Ceiling = (Method, fn(&[&str]) -> bool, u32, u64);

const CEILINGS: [Ceiling; 5] = [
    (Method::GET, |path| matches!(path, [.., "devices", _, "messages"]), 1, 1),
    (Method::GET, |path| matches!(path, [.., "devices"]), 50, 10),
    (Method::POST, |path| matches!(path, [.., "devices", "bulk" | "transfer"]), 5, 600),
    (Method::GET, |path| matches!(path, [.., "coverages", "global", "predictions"]), 10, 60),
    (Method::POST, |path| matches!(path, [.., "coverages", "global", "predictions"]), 10, 60),
];

/// The ceilings of one source.
#[derive(Debug)]
pub(super) struct Limits {
    own: DefaultDirectRateLimiter,
    paths: Vec<(Ceiling, DefaultDirectRateLimiter)>,
    paused_until: Mutex<Option<Instant>>,
    /// Kinds of path whose quota is used up, until then; there are as many as the API has.
    used_up: Mutex<HashMap<String, Instant>>,
}

impl Limits {
    /// The documented ceilings and a source's own: so many requests in so long.
    pub(super) fn new((requests, period): (u32, Duration)) -> Self {
        let paths = CEILINGS
            .into_iter()
            .map(|ceiling| {
                let bucket = bucket(ceiling.2, Duration::from_secs(ceiling.3));
                (ceiling, bucket)
            })
            .collect();
        Self {
            own: bucket(requests, period),
            paths,
            paused_until: Mutex::new(None),
            used_up: Mutex::default(),
        }
    }

    /// Waits until a request may be made; says how long the cloud's own pause still is if that is long.
    pub(super) async fn admit(&self, method: &Method, path: &str) -> Result<(), Duration> {
        if let Some(pause) = self.pause_left() {
            if pause > SILENT_PAUSE {
                return Err(pause);
            }
            tokio::time::sleep(pause).await;
        }
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        for ((limited, ends, ..), bucket) in &self.paths {
            if limited == method && ends(&segments) {
                take(bucket).await;
            }
        }
        let refreshed =
            self.used_up.lock().unwrap_or_else(PoisonError::into_inner).get(&kind(&segments)).copied();
        if let Some(refreshed) = refreshed {
            tokio::time::sleep_until(refreshed).await;
        }
        take(&self.own).await;
        Ok(())
    }

    /// Keeps requests of this kind of path back until its quota is fresh: asked for sooner, they would be refused.
    pub(super) fn used_up(&self, path: &str, refresh: Duration) {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let refreshed = Instant::now() + refresh.min(LONGEST_REFRESH);
        self.used_up.lock().unwrap_or_else(PoisonError::into_inner).insert(kind(&segments), refreshed);
    }

    /// Keeps every request back for as long as the cloud asked for.
    pub(super) fn pause(&self, after: Duration) {
        let until = Instant::now().checked_add(after);
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn pause_left(&self) -> Option<Duration> {
        let until = (*self.paused_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

/// A path without the identifiers in it: a quota is that of an operation, whichever device it is about.
fn kind(segments: &[&str]) -> String {
    let is_id = |place: usize| {
        place
            .checked_sub(1)
            .and_then(|before| segments.get(before))
            .is_some_and(|before| matches!(*before, "sigfox_devices" | "tags"))
    };
    let named = segments.iter().enumerate().map(|(place, name)| if is_id(place) { "*" } else { *name });
    named.collect::<Vec<_>>().join("/")
}

fn bucket(requests: u32, period: Duration) -> DefaultDirectRateLimiter {
    let requests = NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
    let each = (period / requests.get()).max(Duration::from_nanos(1));
    let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(requests));
    DefaultDirectRateLimiter::direct(quota.allow_burst(requests))
}

async fn take(bucket: &DefaultDirectRateLimiter) {
    while let Err(full) = bucket.check() {
        tokio::time::sleep(full.wait_time_from(DefaultClock::default().now())).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Whether a request may be made without any wait, however slow the machine.
    fn at_once(limits: &Limits, path: &str) -> bool {
        limits.admit(&Method::GET, path).now_or_never() == Some(Ok(()))
    }

    #[tokio::test]
    async fn a_burst_passes_at_once_and_the_next_request_waits() {
        let limits = Limits::new((3, Duration::from_millis(300)));
        let start = Instant::now();
        for _ in 0..3 {
            assert!(at_once(&limits, "/v2/device-types"));
        }
        limits.admit(&Method::GET, "/v2/device-types").await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(90));
    }

    #[tokio::test]
    async fn messages_of_one_device_are_asked_for_once_a_second() {
        let limits = Limits::new((1000, Duration::from_secs(1)));
        let start = Instant::now();
        for path in ["/v2/devices/1A2B/messages", "/v2/devices/1A2B/messages"] {
            limits.admit(&Method::GET, path).await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(900));
    }

    #[tokio::test]
    async fn a_quota_that_is_used_up_is_waited_for_and_no_other_is() {
        let limits = Limits::new((1000, Duration::from_secs(1)));
        let start = Instant::now();
        limits.used_up("/v1/sigfox_devices/1A2B/data", Duration::from_millis(500));
        for path in ["/v1/sigfox_devices", "/v1/sigfox_devices/1A2B"] {
            assert!(at_once(&limits, path), "{path}");
        }
        limits.admit(&Method::GET, "/v1/sigfox_devices/FFFF/data").await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(490), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_long_pause_is_told_and_a_short_one_is_waited_for() {
        let limits = Limits::new((1000, Duration::from_secs(1)));
        limits.pause(Duration::from_secs(60));
        assert!(limits.admit(&Method::GET, "/").await.is_err_and(|left| left > Duration::from_secs(50)));
        limits.pause(Duration::from_millis(50));
        let start = Instant::now();
        limits.admit(&Method::GET, "/").await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(40));
    }
}

//! Whether a device is there: what is expected of it, and until when it has time. Pure.
//!
//! Judged from facts only, so that it survives a restart by being judged again.

use std::time::Duration;

use serde::Serialize;

use crate::model::{CloudState, Timestamp};

/// How often a device sends of which nothing is known.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(25 * 3600);

/// Gaps that are looked at, and from how many on a habit is believed.
pub(super) const GAPS: usize = 64;
const FEWEST_GAPS: usize = 8;

/// A device is given at least so long beyond what it missed.
const LEAST_SLACK: Duration = Duration::from_secs(600);

/// What is known of a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts<'a> {
    pub(super) last_seen: Option<Timestamp>,
    /// `expected_interval` of the device, else of its type.
    pub(super) configured: Option<Duration>,
    /// The cloud's own keep-alive of its type.
    pub(super) keep_alive: Option<Duration>,
    /// The times of its last uplinks, in any order.
    pub(super) times: &'a [Timestamp],
    pub(super) cloud: Option<CloudState>,
    /// For how long since it was last seen its source could not tell.
    pub(super) blind: Duration,
}

/// Whether a device is there, and why that is believed (`device/<id>/availability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Availability {
    v: u8,
    /// Whether it is there.
    pub state: Presence,
    /// Why.
    pub reason: Reason,
    /// When it was last heard.
    pub last_seen: Option<Timestamp>,
    /// How often it is expected to send, in seconds.
    pub expected_interval_s: u64,
    /// Where that expectation comes from.
    pub basis: Basis,
    /// When it counts as missing; none where that is decided already by something else.
    pub deadline: Option<Timestamp>,
}

/// Whether a device is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Presence {
    /// It is.
    Online,
    /// It is not.
    Offline,
}

/// Why a device counts as there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Reason {
    /// It sends as expected.
    OnSchedule,
    /// It missed two intervals.
    Missed,
    /// It was never heard.
    NeverSeen,
    /// Its contract ended.
    OffContract,
    /// It was switched off in its cloud.
    Disabled,
}

/// Where the expected interval comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Basis {
    /// The configuration.
    Configured,
    /// The device type's keep-alive.
    Keepalive,
    /// The device's habit.
    Learned,
    /// Nothing is known.
    Default,
}

impl Availability {
    /// What the facts say at a time.
    #[must_use]
    pub(super) fn judge(facts: &Facts<'_>, now: Timestamp) -> Self {
        let (basis, interval) = expected_interval(facts);
        let slack = LEAST_SLACK.max(interval / 10);
        let patience = interval.saturating_mul(2).saturating_add(slack).saturating_add(facts.blind);
        let deadline = facts.last_seen.map(|seen| seen.plus(patience));
        let (state, reason, deadline) = match (facts.cloud, deadline) {
            (Some(CloudState::OffContract), _) => (Presence::Offline, Reason::OffContract, None),
            (Some(CloudState::Disabled | CloudState::Suspended | CloudState::Deleted), _) => {
                (Presence::Offline, Reason::Disabled, None)
            }
            (_, None) => (Presence::Offline, Reason::NeverSeen, None),
            (_, Some(deadline)) if deadline < now => (Presence::Offline, Reason::Missed, Some(deadline)),
            (_, Some(deadline)) => (Presence::Online, Reason::OnSchedule, Some(deadline)),
        };
        let expected_interval_s = interval.as_secs();
        Self { v: 1, state, reason, last_seen: facts.last_seen, expected_interval_s, basis, deadline }
    }
}

fn expected_interval(facts: &Facts<'_>) -> (Basis, Duration) {
    if let Some(configured) = facts.configured {
        return (Basis::Configured, configured);
    }
    if let Some(keep_alive) = facts.keep_alive.filter(|interval| !interval.is_zero()) {
        return (Basis::Keepalive, keep_alive);
    }
    match habit(facts.times) {
        Some(interval) => (Basis::Learned, interval),
        None => (Basis::Default, DEFAULT_INTERVAL),
    }
}

/// The gap that 95 of 100 of the last gaps do not exceed, by nearest rank.
fn habit(times: &[Timestamp]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let gaps = times.iter().zip(times.iter().skip(1)).map(|(earlier, later)| later.since(*earlier));
    // Repetitions within a second are one message to a person.
    let mut gaps: Vec<Duration> = gaps.filter(|gap| *gap >= Duration::from_secs(1)).collect();
    if gaps.len() > GAPS {
        gaps.drain(..gaps.len() - GAPS);
    }
    if gaps.len() < FEWEST_GAPS {
        return None;
    }
    gaps.sort_unstable();
    let rank = (gaps.len() * 95).div_ceil(100);
    gaps.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(hours: f64) -> Timestamp {
        let origin = Timestamp::from_cloud(1_789_000_000).unwrap();
        let distance = Duration::from_secs_f64(hours.abs() * 3600.0);
        if hours < 0.0 { origin.minus(distance) } else { origin.plus(distance) }
    }

    #[test]
    fn cases() {
        let seen = Facts { last_seen: Some(at(0.0)), ..Facts::default() };
        let configured = Facts { configured: Some(6 * HOUR), ..seen.clone() };
        let steady: Vec<Timestamp> = (0..20).map(|n| at(f64::from(n) / 2.0 - 9.5)).collect();
        let few: Vec<Timestamp> = steady.iter().take(8).copied().collect();
        let learned = Facts { times: &steady, ..seen.clone() };
        let kept_alive = Facts { keep_alive: Some(24 * HOUR), times: &steady, ..seen.clone() };
        let short = Facts { configured: Some(HOUR / 60), ..seen.clone() };
        let says = |cloud| Facts { cloud: Some(cloud), ..configured.clone() };
        for (name, facts, now_h, expected) in [
            (
                "configured, in time",
                configured.clone(),
                12.5,
                ("online", "on_schedule", "configured", 21_600),
            ),
            (
                "configured, last moment",
                configured.clone(),
                12.6,
                ("online", "on_schedule", "configured", 21_600),
            ),
            ("configured, missed", configured.clone(), 12.7, ("offline", "missed", "configured", 21_600)),
            ("ten minutes at least", short.clone(), 0.19, ("online", "on_schedule", "configured", 60)),
            ("and not more", short, 0.21, ("offline", "missed", "configured", 60)),
            ("keep-alive before habit", kept_alive, 50.0, ("online", "on_schedule", "keepalive", 86_400)),
            ("habit", learned.clone(), 1.1, ("online", "on_schedule", "learned", 1_800)),
            ("habit missed", learned, 1.2, ("offline", "missed", "learned", 1_800)),
            (
                "no habit yet",
                Facts { times: &few, ..seen.clone() },
                50.0,
                ("online", "on_schedule", "default", 90_000),
            ),
            ("default missed", seen.clone(), 53.0, ("offline", "missed", "default", 90_000)),
            ("never seen", Facts::default(), 0.0, ("offline", "never_seen", "default", 90_000)),
            (
                "off contract",
                says(CloudState::OffContract),
                0.0,
                ("offline", "off_contract", "configured", 21_600),
            ),
            ("disabled", says(CloudState::Disabled), 0.0, ("offline", "disabled", "configured", 21_600)),
            ("warned about", says(CloudState::Warn), 0.0, ("online", "on_schedule", "configured", 21_600)),
            (
                "dead to its cloud, but heard",
                says(CloudState::Dead),
                1.0,
                ("online", "on_schedule", "configured", 21_600),
            ),
            (
                "the cloud was away",
                Facts { blind: 5 * HOUR, ..configured.clone() },
                17.0,
                ("online", "on_schedule", "configured", 21_600),
            ),
            (
                "but not for ever",
                Facts { blind: 5 * HOUR, ..configured.clone() },
                18.0,
                ("offline", "missed", "configured", 21_600),
            ),
            (
                "a clock that went back",
                configured.clone(),
                -24.0,
                ("online", "on_schedule", "configured", 21_600),
            ),
            (
                "a clock that was never set",
                configured,
                -496_900.0,
                ("online", "on_schedule", "configured", 21_600),
            ),
        ] {
            let printed = serde_json::to_value(Availability::judge(&facts, at(now_h))).unwrap();
            let (state, reason, basis, interval) = expected;
            assert_eq!(printed["state"], state, "{name}");
            assert_eq!(printed["reason"], reason, "{name}");
            assert_eq!(printed["basis"], basis, "{name}");
            assert_eq!(printed["expected_interval_s"], interval, "{name}");
        }
    }

    #[test]
    fn one_long_silence_in_twenty_is_no_habit() {
        let mut hours: Vec<f64> = (0..20).map(f64::from).collect();
        hours.push(60.0);
        let times: Vec<Timestamp> = hours.into_iter().map(at).collect();
        assert_eq!(habit(&times), Some(HOUR));
    }

    proptest! {
        #[test]
        fn a_device_goes_offline_once_and_stays_so(
            times in proptest::collection::vec(0..5_000_000_i64, 0..80),
            blind_s in 0..100_000_u64,
            nows in proptest::collection::vec(0..20_000_000_i64, 2..10),
        ) {
            let times: Vec<Timestamp> = times.into_iter().filter_map(Timestamp::from_cloud).collect();
            let last_seen = times.iter().max().copied();
            let facts = Facts { last_seen, times: &times, blind: Duration::from_secs(blind_s), ..Facts::default() };
            let mut nows: Vec<_> = nows.into_iter().filter_map(Timestamp::from_cloud).collect();
            nows.sort_unstable();
            let states: Vec<_> = nows.iter().map(|now| Availability::judge(&facts, *now).state).collect();
            let first_offline = states.iter().position(|state| *state == Presence::Offline).unwrap_or(states.len());
            prop_assert!(states.iter().skip(first_offline).all(|state| *state == Presence::Offline));
        }
    }
}

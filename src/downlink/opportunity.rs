//! When a device may next ask for a downlink, as far as its habit tells.

use std::time::Duration;

use crate::model::{DeviceId, Timestamp};
use crate::store::{Store, StoreError, UplinkQuery};

/// So many gaps make a habit, and so many are looked at.
const GAPS: (usize, usize) = (3, 64);

/// How many uplinks are looked at: not every one asks.
const LOOK_AT: usize = 256;

/// When a device may next ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opportunity {
    /// As likely before as after: the median of its gaps after the last.
    pub expected: Timestamp,
    /// Nine times in ten by then.
    pub by: Timestamp,
}

impl Opportunity {
    /// The next opportunity of a device: learned from its uplinks that asked, or from all where the cloud does not
    /// say which did.
    pub fn of(store: &Store, device: DeviceId, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let query = UplinkQuery {
            device: Some(device),
            limit: Some(LOOK_AT),
            newest_first: true,
            ..UplinkQuery::default()
        };
        let mut asked = Vec::new();
        for uplink in store.history(&query) {
            let uplink = uplink?;
            if uplink.ack != Some(false) {
                asked.push(uplink.time);
            }
            if asked.len() > GAPS.1 {
                break;
            }
        }
        Ok(Self::after(&asked, now))
    }

    /// The next opportunity by the times of the latest uplinks that asked, in any order; none for a device that has
    /// no habit yet, or has broken with it.
    fn after(asked: &[Timestamp], now: Timestamp) -> Option<Self> {
        let mut times = asked.to_vec();
        times.sort_unstable();
        times.dedup();
        let last = *times.last()?;
        let latest = times.get(times.len().saturating_sub(GAPS.1 + 1)..).unwrap_or_default();
        let mut gaps: Vec<Duration> =
            latest.iter().zip(latest.iter().skip(1)).map(|(one, next)| next.since(*one)).collect();
        if gaps.len() < GAPS.0 {
            return None;
        }
        gaps.sort_unstable();
        let at = |tenths: usize| gaps.get((gaps.len().saturating_sub(1)) * tenths / 10).copied();
        let (median, most) = (at(5)?, at(9)?);
        let expected = last.plus(median);
        let by = last.plus(most);
        if now <= by {
            return Some(Self { expected: expected.max(now), by });
        }
        // One missed turn is none of a habit; after a second one nothing is expected any more.
        let again = Self { expected: expected.plus(median).max(now), by: by.plus(most) };
        (now <= again.by).then_some(again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_789_000_000_000 + minutes * 60_000).unwrap()
    }

    #[test]
    fn the_next_opportunity_is_learned_from_the_gaps() {
        let hourly: Vec<_> = (0..10).map(|n| at(n * 60)).collect();
        let uneven = [at(0), at(10), at(20), at(30), at(40), at(140)];
        for (times, now, expected) in [
            (&hourly[..], at(541), Some((at(600), at(600)))),
            (&hourly[..3], at(121), None),
            (&uneven[..], at(141), Some((at(150), at(150)))),
            (&hourly[..], at(610), Some((at(660), at(660)))),
            (&hourly[..], at(700), None),
            (&[], at(0), None),
        ] {
            let got = Opportunity::after(times, now);
            assert_eq!(
                got.map(|next| (next.expected, next.by)),
                expected,
                "{} uplinks at {now}",
                times.len()
            );
        }
    }

    #[test]
    fn order_and_repeats_make_no_difference() {
        let times = [at(120), at(0), at(60), at(60), at(180)];
        assert_eq!(Opportunity::after(&times, at(181)), Some(Opportunity { expected: at(240), by: at(240) }));
    }
}

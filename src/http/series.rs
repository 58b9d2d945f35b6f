//! Thins measurements out to as many points as a chart can show, for the page and for the API. Pure.
//!
//! A point stands for a stretch of time: the mean with the least and the greatest value, so that a spike of one
//! message is seen over a year as well.

use std::time::Duration;

use crate::model::Timestamp;

/// Measurements over a time, in stretches of the same length.
#[derive(Debug, Clone)]
pub(super) struct Series {
    from: Timestamp,
    to: Timestamp,
    stretch_ms: u64,
    stretches: Vec<Stretch>,
}

/// What was measured in one stretch.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    count: u32,
    sum: f64,
    least: f64,
    greatest: f64,
    /// Milliseconds from the beginning of the series, of all measurements together.
    sum_ms: u64,
}

/// What is told of a stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Where the stretch begins.
    pub(super) begins: Timestamp,
    /// The mean of the times at which was measured: a single measurement stands where it was.
    pub(super) time: Timestamp,
    pub(super) mean: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
    pub(super) count: u32,
}

impl Series {
    /// No measurement yet, and no more than so many points ever.
    pub(super) fn new(from: Timestamp, to: Timestamp, most: usize) -> Self {
        let whole = u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
        let most = most.max(1);
        let count = u64::try_from(most).unwrap_or(u64::MAX);
        Self { from, to, stretch_ms: whole.div_ceil(count).max(1), stretches: vec![Stretch::default(); most] }
    }

    /// Takes a measurement; one outside of the time, or that is no number, is left out.
    pub(super) fn add(&mut self, time: Timestamp, value: f64) {
        if time < self.from || time >= self.to || !value.is_finite() {
            return;
        }
        let offset = u64::try_from(time.since(self.from).as_millis()).unwrap_or(u64::MAX);
        let place = usize::try_from(offset / self.stretch_ms).unwrap_or(usize::MAX);
        let Some(stretch) = self.stretches.get_mut(place) else { return };
        let is_first = stretch.count == 0;
        stretch.least = if is_first { value } else { stretch.least.min(value) };
        stretch.greatest = if is_first { value } else { stretch.greatest.max(value) };
        stretch.sum += value;
        stretch.sum_ms = stretch.sum_ms.saturating_add(offset);
        stretch.count = stretch.count.saturating_add(1);
    }

    /// How long a stretch is, in seconds.
    pub(super) fn stretch_s(&self) -> f64 {
        Duration::from_millis(self.stretch_ms).as_secs_f64()
    }

    /// What was measured, oldest first; nothing for a stretch without a measurement.
    pub(super) fn points(&self) -> impl Iterator<Item = Point> + '_ {
        let stretches = (0_u64..).map(|number| Duration::from_millis(number.saturating_mul(self.stretch_ms)));
        let stretches = stretches.zip(&self.stretches).filter(|(_, stretch)| stretch.count > 0);
        stretches.map(|(offset, stretch)| Point {
            begins: self.from.plus(offset),
            time: self.from.plus(Duration::from_millis(stretch.sum_ms / u64::from(stretch.count))),
            mean: stretch.sum / f64::from(stretch.count),
            least: stretch.least,
            greatest: stretch.greatest,
            count: stretch.count,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_789_000_000_000 + ms).unwrap()
    }

    #[test]
    fn a_stretch_keeps_its_mean_and_its_extremes() {
        let mut series = Series::new(at(0), at(1000), 10);
        for (ms, value) in
            [(0, 1.0), (50, 9.0), (99, 2.0), (999, 5.0), (-1, 77.0), (1000, 77.0), (500, f64::NAN)]
        {
            series.add(at(ms), value);
        }
        let points: Vec<_> = series.points().collect();
        assert_eq!(
            points,
            [
                Point { begins: at(0), time: at(49), mean: 4.0, least: 1.0, greatest: 9.0, count: 3 },
                Point { begins: at(900), time: at(999), mean: 5.0, least: 5.0, greatest: 5.0, count: 1 },
            ]
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_measured_lies_outside_of_what_is_drawn(
            measured in proptest::collection::vec((-10..2_000_000_i64, -1e9..1e9_f64), 0..200),
            most in 0..300_usize,
        ) {
            let mut series = Series::new(at(0), at(1_500_000), most);
            for (ms, value) in &measured {
                series.add(at(*ms), *value);
            }
            let points: Vec<_> = series.points().collect();
            prop_assert!(points.len() <= most.max(1));
            prop_assert!(points.iter().zip(points.iter().skip(1)).all(|(a, b)| a.time <= b.time));
            let within: Vec<_> = measured.iter().filter(|(ms, _)| (0..1_500_000).contains(ms)).collect();
            prop_assert_eq!(points.iter().map(|point| point.count as usize).sum::<usize>(), within.len());
            prop_assert!(points.iter().all(|point| point.begins <= point.time));
            for (_, value) in within {
                prop_assert!(points.iter().any(|point| point.least <= *value && *value <= point.greatest));
            }
        }
    }
}

//! One field of a device over time, for charts: the history is read as a stream into at most a thousand buckets, so
//! that a year takes no more memory than a day.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::ask::{Known, Query, limit};
use super::{Api, Refusal, aside};
use crate::clock;
use crate::model::{DeviceId, Timestamp};

/// How many buckets unless the query says otherwise, and the most.
const POINTS: (usize, usize) = (300, 1000);

/// What is shown unless the query says otherwise.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Which field, over which time, how finely.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The field's key.
    field: String,
    /// From this time on, in RFC 3339; a day before `to` by default.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this time; now by default.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// At most so many points.
    #[param(minimum = 1, maximum = 1000, default = 300)]
    points: Option<usize>,
}

/// A field over time, in columns of equal length; buckets without a value are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Series {
    /// Whose.
    #[schema(value_type = String)]
    device: DeviceId,
    /// Its key.
    field: String,
    /// From this time on.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Before this time.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// How long a bucket is.
    bucket_s: f64,
    #[serde(flatten)]
    columns: Columns,
}

/// A column a figure.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub(super) struct Columns {
    /// The beginning of each bucket in Unix seconds.
    time: Vec<f64>,
    /// Its smallest value.
    min: Vec<f64>,
    /// Its largest value.
    max: Vec<f64>,
    /// The mean of its values.
    mean: Vec<f64>,
    /// How many there are.
    count: Vec<u64>,
}

/// One field over time in at most a thousand buckets; true counts as 1, false as 0, text is left out.
#[utoipa::path(
    get, path = "/devices/{device}/series", tag = "devices",
    params(("device" = String, Path, description = "The id"), Wanted),
    responses((status = 200, body = Series), Refusal),
)]
pub(super) async fn series(
    State(api): State<Api>,
    Known(device): Known,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Series>, Refusal> {
    let points = limit(wanted.points, POINTS)?;
    let to = wanted.to.unwrap_or_else(clock::now);
    let from = wanted.from.unwrap_or_else(|| to.minus(A_DAY));
    if from >= to {
        return Err(Refusal::malformed("`from` is not before `to`"));
    }
    aside(move || {
        let field = wanted.field;
        let mut buckets = Buckets::new(from, to, points);
        let readings = api.view.readings(device, from, to).map_err(Refusal::unavailable)?;
        for reading in readings {
            let (time, fields) = reading.map_err(Refusal::unavailable)?;
            if let Some(value) = fields.get(&field).and_then(number) {
                buckets.add(time, value);
            }
        }
        let bucket_s = buckets.width as f64 / 1000.0;
        Ok(Json(Series { device, field, from, to, bucket_s, columns: buckets.finish() }))
    })
    .await
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        value => value.as_f64(),
    }
}

/// Gathers values that come in the order of time.
#[derive(Debug)]
struct Buckets {
    from: i64,
    /// In milliseconds.
    width: i64,
    open: Option<Bucket>,
    done: Columns,
}

#[derive(Debug)]
struct Bucket {
    begins: i64,
    min: f64,
    max: f64,
    sum: f64,
    count: u64,
}

impl Buckets {
    fn new(from: Timestamp, to: Timestamp, points: usize) -> Self {
        let span = to.as_millis().saturating_sub(from.as_millis());
        let points = i64::try_from(points).unwrap_or(i64::MAX).max(1);
        // Rounded up, so that the last bucket ends at `to` or after it and there are no more than asked for.
        let width = span.saturating_add(points - 1) / points;
        Self { from: from.as_millis(), width: width.max(1), open: None, done: Columns::default() }
    }

    fn add(&mut self, time: Timestamp, value: f64) {
        let after = time.as_millis().saturating_sub(self.from);
        let begins = self.from.saturating_add(after - after.rem_euclid(self.width));
        match &mut self.open {
            Some(open) if open.begins == begins => {
                open.min = open.min.min(value);
                open.max = open.max.max(value);
                open.sum += value;
                open.count = open.count.saturating_add(1);
            }
            _ => {
                self.close();
                self.open = Some(Bucket { begins, min: value, max: value, sum: value, count: 1 });
            }
        }
    }

    fn close(&mut self) {
        let Some(Bucket { begins, min, max, sum, count }) = self.open.take() else { return };
        self.done.time.push(begins as f64 / 1000.0);
        self.done.min.push(min);
        self.done.max.push(max);
        self.done.mean.push(sum / count as f64);
        self.done.count.push(count);
    }

    fn finish(mut self) -> Columns {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_cloud(seconds).unwrap()
    }

    fn columns(from: i64, to: i64, points: usize, values: &[(i64, f64)]) -> Columns {
        let mut buckets = Buckets::new(at(from), at(to), points);
        for (seconds, value) in values {
            buckets.add(at(*seconds), *value);
        }
        buckets.finish()
    }

    #[test]
    fn values_of_one_bucket_become_their_bounds_and_mean() {
        let values = [(100, 1.0), (109, 3.0), (110, 5.0), (130, 7.0)];
        let columns = columns(100, 140, 4, &values);
        assert_eq!(columns.time, [100.0, 110.0, 130.0]);
        assert_eq!(columns.min, [1.0, 5.0, 7.0]);
        assert_eq!(columns.max, [3.0, 5.0, 7.0]);
        assert_eq!(columns.mean, [2.0, 5.0, 7.0]);
        assert_eq!(columns.count, [2, 1, 1]);
    }

    proptest! {
        #[test]
        fn no_value_is_lost_and_no_more_points_come_than_asked_for(
            points in 1_usize..50,
            span in 1_i64..100_000,
            mut offsets in proptest::collection::vec(0_i64..100_000, 0..200),
        ) {
            offsets.retain(|offset| *offset < span);
            offsets.sort_unstable();
            let values: Vec<_> = offsets.iter().map(|offset| (1000 + offset, 1.0)).collect();
            let columns = columns(1000, 1000 + span, points, &values);
            prop_assert!(columns.time.len() <= points);
            prop_assert_eq!(columns.count.iter().sum::<u64>(), values.len() as u64);
            prop_assert!(columns.time.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}

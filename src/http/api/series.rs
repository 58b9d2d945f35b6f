//! One field of a device over time, for charts: the history is read as a stream into at most a thousand buckets, so
//! that a year takes no more memory than a day.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::{Known, Query, limit};
use super::{Api, Refusal, aside};
use crate::clock;
use crate::http::series::{Point, Series};
use crate::model::{DeviceId, Timestamp};

/// How many buckets unless the query says otherwise, and the most.
const POINTS: (usize, usize) = (300, 1000);

/// What is shown unless the query says otherwise.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Which field, over which time, how finely.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct Wanted {
    /// The field's key.
    field: String,
    /// From this time on, in RFC 3339; a day before `to` by default.
    #[cfg_attr(test, param(value_type = Option<String>, format = DateTime))]
    from: Option<Timestamp>,
    /// Before this time; now by default.
    #[cfg_attr(test, param(value_type = Option<String>, format = DateTime))]
    to: Option<Timestamp>,
    /// At most so many points.
    #[cfg_attr(test, param(minimum = 1, maximum = 1000, default = 300))]
    points: Option<usize>,
}

/// A field over time, in columns of equal length; buckets without a value are left out.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Series))]
pub(super) struct Told {
    /// Whose.
    #[cfg_attr(test, schema(value_type = String))]
    device: DeviceId,
    /// Its key.
    field: String,
    /// From this time on.
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    from: Timestamp,
    /// Before this time.
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    to: Timestamp,
    /// How long a bucket is.
    bucket_s: f64,
    #[serde(flatten)]
    columns: Columns,
}

/// A column a figure.
#[derive(Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
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
    count: Vec<u32>,
}

/// One field over time in at most a thousand buckets; true counts as 1, false as 0, text is left out.
#[cfg_attr(test, utoipa::path(
    get, path = "/devices/{device}/series", tag = "devices",
    params(("device" = String, Path, description = "The id"), Wanted),
    responses((status = 200, body = Told), Refusal),
))]
pub(super) async fn series(
    State(api): State<Api>,
    Known(device): Known,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Told>, Refusal> {
    let points = limit(wanted.points, POINTS)?;
    let to = wanted.to.unwrap_or_else(clock::now);
    let from = wanted.from.unwrap_or_else(|| to.minus(A_DAY));
    if from >= to {
        return Err(Refusal::malformed("`from` is not before `to`"));
    }
    aside(move || {
        let field = wanted.field;
        let mut series = Series::new(from, to, points);
        let readings = api.view.readings(device, from, to).map_err(Refusal::unavailable)?;
        for reading in readings {
            let (time, fields) = reading.map_err(Refusal::unavailable)?;
            if let Some(value) = fields.get(&field).and_then(number) {
                series.add(time, value);
            }
        }
        let (bucket_s, columns) = (series.stretch_s(), Columns::of(&series));
        Ok(Json(Told { device, field, from, to, bucket_s, columns }))
    })
    .await
}

impl Columns {
    fn of(series: &Series) -> Self {
        let mut columns = Self::default();
        for Point { begins, mean, least, greatest, count, .. } in series.points() {
            columns.time.push(begins.as_millis() as f64 / 1000.0);
            columns.min.push(least);
            columns.max.push(greatest);
            columns.mean.push(mean);
            columns.count.push(count);
        }
        columns
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        value => value.as_f64(),
    }
}

//! Messages, locations and status events of the API v1.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use crate::model::Timestamp;
use crate::simulate::answer::{Answer, Question, Refusal, clamped};
use crate::simulate::shared::Shared;
use crate::simulate::sigfox_v2::{existing, metric_of};
use crate::simulate::variables::{hundredths, lqi_word};
use crate::simulate::world::{Cut, Of, Trouble, Uplink, World};

/// `GET /devicetypes/{id}/messages`.
pub(super) async fn of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let world = shared.world();
    world.device_type(&id).ok_or_else(Refusal::not_found)?;
    page(&world, Of::Type(&id), &question, shared.now(), message)
}

/// `GET /devices/{id}/messages`.
pub(super) async fn of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    page(&shared.world(), Of::Device(device), &question, shared.now(), message)
}

/// `GET /devices/{id}/locations`: asked in seconds, answered in milliseconds.
pub(super) async fn locations(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    page(&shared.world(), Of::Device(device), &question, shared.now(), |uplink, now| {
        let time = uplink.time.as_millis();
        match uplink.position.filter(|position| position.known <= now) {
            Some(position) => json!({
                "time": time, "valid": true, "lat": position.latitude, "lng": position.longitude,
                "radius": position.radius,
            }),
            None => json!({ "time": time, "valid": false }),
        }
    })
}

/// A second of the query as the span of milliseconds that it is.
fn second(question: &Question, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    Ok(question.number(name)?.map(|seconds| clamped(seconds.saturating_mul(1000))))
}

fn page(
    world: &World,
    of: Of<'_>,
    question: &Question,
    now: Timestamp,
    row: impl Fn(&Uplink, Timestamp) -> Value,
) -> Answer {
    let whole_second = Duration::from_millis(999);
    let before = second(question, "before")?;
    let before = before.map_or_else(|| clamped(i64::MAX), |before| before.plus(whole_second));
    let since = second(question, "since")?.unwrap_or_default();
    let cut = Cut { since, before, offset: question.offset()?, limit: question.limit(100, 100)? };
    let (rows, after) = world.history().newest_first(of, cut);
    let data: Vec<Value> = rows.iter().map(|uplink| row(uplink, now)).collect();
    let mut answer = Map::from_iter([("data".to_owned(), json!(data))]);
    if let Some(after) = after {
        let limit = ("limit", cut.limit.to_string());
        let next = if after.time.as_seconds() == before.as_seconds() {
            // A whole page of one second: its time alone would name the same page for ever.
            question.again_with(&[limit, ("offset", (cut.offset + cut.limit).to_string())])
        } else {
            question.again_with(&[
                limit,
                ("before", after.time.as_seconds().to_string()),
                ("offset", String::new()),
            ])
        };
        answer.insert("paging".to_owned(), json!({ "next": next }));
    }
    Ok(Json(Value::Object(answer)))
}

/// One message; absent values are absent keys.
fn message(uplink: &Uplink, now: Timestamp) -> Value {
    let mut message = Map::new();
    let mut put = |key: &str, value: Value| message.insert(key.to_owned(), value);
    put("device", json!(uplink.device));
    put("time", json!(uplink.time.as_seconds()));
    put("data", json!(uplink.payload));
    if let Some(best) = uplink.receptions.first() {
        put("snr", json!(hundredths(best.snr_centi)));
    }
    put("linkQuality", json!(lqi_word(uplink.lqi)));
    if let Some(seq) = uplink.seq {
        put("seqNumber", json!(seq));
    }
    put("nbFrames", json!(3));
    let station = |reception: &crate::simulate::world::Reception| {
        let (lat, lng) = reception.degrees;
        json!({
            "tap": reception.station, "delay": f64::from(reception.delay_ms) / 1000.0,
            "lat": format!("{lat}.0"), "lng": format!("{lng}.0"),
        })
    };
    put("rinfos", uplink.receptions.iter().map(station).collect());
    if let Some(position) = uplink.position.filter(|position| position.known <= now) {
        let place = json!({ "lat": position.latitude, "lng": position.longitude, "radius": position.radius });
        put("computedLocation", place);
    }
    if let Some(answer) = uplink.answer {
        put("downlinkAnswerStatus", json!({ "data": answer }));
    }
    Value::Object(message)
}

/// `GET /devices/{id}/messages/metric`.
pub(super) async fn metric(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let device = existing(&shared, &id)?;
    Ok(Json(metric_of(&shared.world(), device, shared.now())))
}

/// `GET /devices/{id}/consumptions/{year}`.
pub(super) async fn consumptions(
    State(shared): State<Arc<Shared>>,
    Path((id, year)): Path<(String, i16)>,
) -> Answer {
    let device = existing(&shared, &id)?;
    let world = shared.world();
    let everything =
        Cut { since: Timestamp::default(), before: clamped(i64::MAX), offset: 0, limit: usize::MAX };
    let frames = world.history().newest_first(Of::Device(device), everything).0.len();
    let row = json!({ "frameCount": frames, "downlinkFrameCount": world.received(device).len() });
    Ok(Json(json!({ "consumption": { "id": format!("{device}_{year}"), "consumptions": [row] } })))
}

/// `GET /devices/{id}/status/error`.
pub(super) async fn errors_of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    troubles(&shared, &question, |trouble| trouble.device == device && trouble.is_error())
}

/// `GET /devices/{id}/status/warn`.
pub(super) async fn warnings_of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    troubles(&shared, &question, |trouble| trouble.device == device && !trouble.is_error())
}

/// `GET /devicetypes/{id}/status/error`.
pub(super) async fn errors_of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    troubles(&shared, &question, |trouble| trouble.device_type == id && trouble.is_error())
}

/// `GET /devicetypes/{id}/status/warn`.
pub(super) async fn warnings_of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    troubles(&shared, &question, |trouble| trouble.device_type == id && !trouble.is_error())
}

/// Status events, newest first; `since`, `before` and `time` are milliseconds, unlike everywhere else.
fn troubles(shared: &Shared, question: &Question, wanted: impl Fn(&Trouble) -> bool) -> Answer {
    let since = question.millis("since")?.unwrap_or_default();
    let before = question.millis("before")?.unwrap_or_else(|| clamped(i64::MAX));
    let (offset, limit) = (question.offset()?, question.limit(100, 100)?);
    let world = shared.world();
    let shown = |trouble: &&Trouble| wanted(trouble) && (since..=before).contains(&trouble.time);
    let row = |trouble: &Trouble| {
        json!({
            "deviceId": trouble.device, "deviceTypeId": trouble.device_type, "time": trouble.time.as_millis(),
            "message": trouble.info, "severity": trouble.severity, "callbacks": [],
        })
    };
    let mut rows: Vec<Value> =
        world.troubles().filter(shown).skip(offset).take(limit.saturating_add(1)).map(row).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut answer = Map::from_iter([("data".to_owned(), json!(rows))]);
    if more {
        let next =
            question.again_with(&[("limit", limit.to_string()), ("offset", (offset + limit).to_string())]);
        answer.insert("paging".to_owned(), json!({ "next": next }));
    }
    Ok(Json(Value::Object(answer)))
}

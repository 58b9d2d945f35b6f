//! Harvest Data: entries by the time when Soracom stored them, whose content is JSON in a string.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::device::{limit, millis_or, with_next};
use super::{not_found, refusal};
use crate::model::{DeviceId, Timestamp};
use crate::simulate::answer::{Answer, Question, Refusal, clamped};
use crate::simulate::shared::Shared;
use crate::simulate::variables::hundredths;
use crate::simulate::world::{Cut, Generation, Of, Uplink, World};

/// How long after the message Soracom stores it.
const STORED_AFTER: Duration = Duration::from_millis(400);
/// Entries a page unless asked otherwise (`getDataFromSigfoxDevice`).
const DEFAULT_LIMIT: usize = 10;

/// `GET /sigfox_devices/{id}/data`.
pub(super) async fn of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Result<Response, Refusal> {
    let world = shared.world();
    let (device, generation) = harvested(&world, &id)?;
    let limit = limit(&question, DEFAULT_LIMIT, 1000)?;
    let (mut since, mut before) =
        (millis_or(&question, "from", Timestamp::default())?, millis_or(&question, "to", clamped(i64::MAX))?);
    let oldest_first = match question.parameter("sort") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(refusal(StatusCode::BAD_REQUEST, "SEM0001", "sort must be asc or desc.")),
    };
    // The key is the time of the last entry that was shown.
    if let Some(last) = question.millis("last_evaluated_key").ok().flatten() {
        let step = Duration::from_millis(1);
        if oldest_first { since = since.max(last.plus(step)) } else { before = before.min(last.minus(step)) }
    }
    let cut = Cut { since: since.minus(STORED_AFTER), before: before.minus(STORED_AFTER), offset: 0, limit };
    let (rows, after) = if oldest_first {
        world.history().oldest_first(Of::Device(device), cut)
    } else {
        world.history().newest_first(Of::Device(device), cut)
    };
    let next = rows.last().filter(|_| after.is_some()).map(|last| stored(last).as_millis().to_string());
    let rows: Vec<Value> = rows.into_iter().map(|uplink| entry_row(uplink, generation)).collect();
    Ok(with_next(Json(Value::Array(rows)), &question, next))
}

/// `GET /data/{kind}/{id}`.
pub(super) async fn of_resource(
    shared: State<Arc<Shared>>,
    Path((kind, id)): Path<(String, String)>,
    question: Question,
) -> Result<Response, Refusal> {
    if kind != "SigfoxDevice" {
        return Err(refusal(StatusCode::BAD_REQUEST, "SEM0001", "resource_type is invalid."));
    }
    of_device(shared, Path(id), question).await
}

/// `GET /data/{kind}/{id}/{time}`.
pub(super) async fn entry(
    State(shared): State<Arc<Shared>>,
    Path((_kind, id, time)): Path<(String, String, i64)>,
) -> Answer {
    let world = shared.world();
    let (device, generation) = harvested(&world, &id)?;
    let time = clamped(time).minus(STORED_AFTER);
    let cut = Cut { since: time, before: time, offset: 0, limit: 1 };
    let (rows, _) = world.history().newest_first(Of::Device(device), cut);
    rows.first().map(|uplink| Json(entry_row(uplink, generation))).ok_or_else(not_found)
}

/// `GET /data/metadata/resources`: who has data at all.
pub(super) async fn resources(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let rows = world.devices().filter(|device| device.registration.is_some()).filter_map(|device| {
        let last = world.history().last(device.id)?;
        let attributes = ["device", "time", "data", "seqNumber"];
        Some(json!({
            "resourceType": "SigfoxDevice", "resourceId": device.id, "attributeNames": attributes,
            "lastModifiedTime": stored(last).as_millis(),
        }))
    });
    Json(Value::Array(rows.collect()))
}

fn harvested(world: &World, id: &str) -> Result<(DeviceId, Generation), Refusal> {
    let device = id.parse().ok().and_then(|id| world.device(id)).ok_or_else(not_found)?;
    let registration = device.registration.as_ref().ok_or_else(not_found)?;
    Ok((device.id, registration.harvest))
}

fn stored(uplink: &Uplink) -> Timestamp {
    uplink.time.plus(STORED_AFTER)
}

fn entry_row(uplink: &Uplink, generation: Generation) -> Value {
    let mut entry = json!({
        "resourceType": "SigfoxDevice",
        "resourceId": uplink.device,
        "time": stored(uplink).as_millis(),
        "contentType": "application/json",
        "content": content(uplink, generation).to_string(),
    });
    if let (Generation::First, Some(entry)) = (generation, entry.as_object_mut()) {
        entry.insert("category".to_owned(), json!(""));
    }
    entry
}

/// Everything is a string, the time in seconds.
fn content(uplink: &Uplink, generation: Generation) -> Value {
    let mut content = Map::new();
    let mut put = |key: &str, text: String| content.insert(key.to_owned(), Value::String(text));
    put("device", uplink.device.to_string());
    put("time", uplink.time.as_seconds().to_string());
    put("data", uplink.payload.to_string());
    if let Some(seq) = uplink.seq {
        put("seqNumber", seq.to_string());
    }
    match (generation, uplink.receptions.first()) {
        (Generation::First, Some(best)) => {
            put("station", best.station.clone());
            put("lat", format!("{}.0", best.degrees.0));
            put("lng", format!("{}.0", best.degrees.1));
            put("rssi", hundredths(best.rssi_centi));
        }
        (Generation::First, None) => {}
        (Generation::Second, _) => {
            let word = match uplink.lqi {
                0 => "Limit",
                1 => "Average",
                2 => "Good",
                _ => "Excellent",
            };
            put("lqi", word.to_owned());
            put("operatorName", "SIGFOX_Japan_KCCS".to_owned());
            put("countryCode", "392".to_owned());
        }
    }
    Value::Object(content)
}

//! Callbacks that were not delivered, as the API v2 lists them at four levels.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::inventory::{GROUP, existing, page_of};
use crate::simulate::answer::{Answer, Question, Refusal, clamped};
use crate::simulate::shared::Shared;
use crate::simulate::world::Undelivered;

/// `GET /devices/{id}/callbacks-not-delivered`.
pub(super) async fn of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    undelivered(&shared, &question, |entry| entry.device == device, row_of)
}

/// `GET /device-types/{id}/callbacks-not-delivered`.
pub(super) async fn of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    shared.world().device_type(&id).map(|_| ()).ok_or_else(Refusal::not_found)?;
    undelivered(&shared, &question, |entry| entry.device_type == id, row_of)
}

/// `GET /device-types/{id}/callbacks/{callback}/callbacks-not-delivered`.
pub(super) async fn of_callback(
    State(shared): State<Arc<Shared>>,
    Path((_device_type, id)): Path<(String, String)>,
    question: Question,
) -> Answer {
    undelivered(&shared, &question, |entry| entry.callback.id == id, row_of)
}

/// `GET /groups/{id}/callbacks-not-delivered`: other keys, and `time` in seconds.
pub(super) async fn of_group(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    if id != GROUP {
        return Err(Refusal::not_found());
    }
    undelivered(&shared, &question, |_| true, group_row_of)
}

/// One row of the group's list.
pub(in crate::simulate) fn group_row_of(entry: &Undelivered) -> Value {
    json!({
        "device": entry.device,
        "deviceUrl": format!("https://backend.sigfox.com/device/{}/info", entry.device),
        "deviceType": entry.device_type,
        "time": entry.time.as_seconds(),
        "data": entry.data,
        "snr": "18.50",
        "status": entry.status.to_string(),
        "message": entry.message,
        "callback": { "url": entry.url, "method": entry.callback.method },
        "parameters": {},
    })
}

fn undelivered(
    shared: &Shared,
    question: &Question,
    wanted: impl Fn(&Undelivered) -> bool,
    row: impl Fn(&Undelivered) -> Value,
) -> Answer {
    let since = question.millis("since")?.unwrap_or_default();
    let before = question.millis("before")?.unwrap_or_else(|| clamped(i64::MAX));
    let world = shared.world();
    let shown = |entry: &&Undelivered| wanted(entry) && (since..=before).contains(&entry.time);
    page_of(question, world.undelivered().newest_first().filter(shown).collect(), row)
}

fn row_of(entry: &Undelivered) -> Value {
    let parameters: Map<String, Value> =
        entry.parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "deviceId": entry.device,
        "deviceTypeId": entry.device_type,
        "time": entry.time.as_millis(),
        "data": entry.data,
        "status": entry.status.to_string(),
        "message": entry.message,
        "callback": {
            "url": entry.url,
            "headers": entry.callback.headers,
            "body": entry.body,
            "contentType": entry.callback.content_type,
            "method": entry.callback.method,
        },
        "parameters": parameters,
    })
}

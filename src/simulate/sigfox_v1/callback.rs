//! Callback definitions of the API v1 and its one list of those that were not delivered.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::inventory::page_of;
use crate::model::DeviceId;
use crate::simulate::answer::{Answer, Question, Refusal, clamped};
use crate::simulate::callback::Callback;
use crate::simulate::shared::Shared;
use crate::simulate::sigfox_v2::{add_callback, enabled_by, group_row_of, with_callback};
use crate::simulate::world::Undelivered;

/// `GET` (and, as the document prints it, `POST`) `/devicetypes/{id}/callbacks`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let kind = world.device_type(&id).ok_or_else(Refusal::not_found)?;
    let (data, service): (Vec<&Callback>, Vec<&Callback>) =
        kind.callbacks.iter().partition(|callback| callback.kind.codes().0 == 0);
    let rows = |callbacks: Vec<&Callback>| callbacks.into_iter().map(row).collect::<Vec<_>>();
    Ok(Json(json!({ "data": rows(data), "service": rows(service) })))
}

/// The address is called `urlPattern` here, and `url` where a callback is made.
fn row(callback: &Callback) -> Value {
    let (callback_type, subtype) = callback.kind.codes();
    json!({
        "id": callback.id, "channel": if callback.line_pattern.is_some() { "BATCH_URL" } else { "URL" },
        "callbackType": callback_type, "callbackSubtype": subtype, "urlPattern": callback.url,
        "httpMethod": callback.method, "enabled": callback.enabled, "dead": callback.dead,
        "downlinkHook": callback.downlink_hook,
    })
}

/// `POST /devicetypes/{id}/callbacks/new`: several at once, answered by their ids.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(bodies): Json<Vec<Map<String, Value>>>,
) -> Answer {
    let mut world = shared.world();
    let ids = bodies.iter().map(|body| add_callback(&mut world, &id, body)).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!(ids)))
}

/// `POST /devicetypes/{id}/callbacks/{callback}/delete`.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    with_callback(&shared, &device_type, &id, |callbacks, place| {
        callbacks.remove(place);
        Ok(())
    })?;
    Ok(StatusCode::OK)
}

/// `POST /devicetypes/{id}/callbacks/{callback}/enable?enabled=`.
pub(super) async fn enable(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
    question: Question,
) -> Result<StatusCode, Refusal> {
    enabled_by(&shared, &device_type, &id, &question)?;
    Ok(StatusCode::OK)
}

/// `POST /devicetypes/{id}/callbacks/{callback}/downlink`.
pub(super) async fn downlink(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    with_callback(&shared, &device_type, &id, |callbacks, place| {
        for (index, callback) in callbacks.iter_mut().enumerate() {
            callback.downlink_hook = index == place;
        }
        Ok(())
    })?;
    Ok(StatusCode::OK)
}

/// `GET /callbacks/messages/error`: asked in milliseconds, answered in seconds.
pub(super) async fn undelivered(State(shared): State<Arc<Shared>>, question: Question) -> Answer {
    let since = question.millis("since")?.unwrap_or_default();
    let before = question.millis("before")?.unwrap_or_else(|| clamped(i64::MAX));
    let device: Option<DeviceId> = question.parameter("hexId").and_then(|id| id.parse().ok());
    let shown = |entry: &&Undelivered| {
        (since..=before).contains(&entry.time)
            && device.is_none_or(|device| device == entry.device)
            && question.parameter("deviceTypeId").is_none_or(|kind| kind == entry.device_type)
    };
    let world = shared.world();
    page_of(&question, world.undelivered().newest_first().filter(shown).collect(), group_row_of)
}

//! Callback definitions of the API v2, and the lists of those that were not delivered.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::inventory::{GROUP, existing, page_of};
use crate::simulate::answer::{Answer, Question, Refusal, clamped};
use crate::simulate::callback::{Callback, CallbackKind};
use crate::simulate::shared::Shared;
use crate::simulate::world::Undelivered;

/// `GET /device-types/{id}/callbacks`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let kind = world.device_type(&id).ok_or_else(Refusal::not_found)?;
    Ok(Json(json!({ "data": kind.callbacks.iter().map(row).collect::<Vec<_>>() })))
}

fn row(callback: &Callback) -> Value {
    let (callback_type, subtype) = callback.kind.codes();
    let mut row = json!({
        "id": callback.id,
        "channel": if callback.line_pattern.is_some() { "BATCH_URL" } else { "URL" },
        "callbackType": callback_type,
        "callbackSubtype": subtype,
        "enabled": callback.enabled,
        "dead": callback.dead,
        "url": callback.url,
        "httpMethod": callback.method,
    });
    if let Some(row) = row.as_object_mut() {
        match &callback.line_pattern {
            Some(pattern) => {
                row.insert("linePattern".to_owned(), json!(pattern));
            }
            None => {
                row.insert("downlinkHook".to_owned(), json!(callback.downlink_hook));
                row.insert("headers".to_owned(), json!(callback.headers));
                row.insert("sendSni".to_owned(), json!(true));
                row.insert("bodyTemplate".to_owned(), json!(callback.body));
                row.insert("contentType".to_owned(), json!(callback.content_type));
            }
        }
    }
    row
}

/// `POST /device-types/{id}/callbacks`: 201 with the new id.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Refusal> {
    let mut world = shared.world();
    world.device_type(&id).ok_or_else(Refusal::not_found)?;
    for required in ["channel", "callbackType", "callbackSubtype", "enabled", "url", "httpMethod"] {
        if !body.contains_key(required) {
            return Err(Refusal::body(required, "is required"));
        }
    }
    let code = |key: &str| body.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
    let kind = CallbackKind::from_codes(code("callbackType"), code("callbackSubtype"))
        .ok_or_else(|| Refusal::body("callbackSubtype", "unknown value"))?;
    let new_id = world.new_id();
    let mut callback =
        Callback { body: None, downlink_hook: false, ..Callback::post(&new_id, kind, "", None) };
    change(&mut callback, &body)?;
    let kind = world.device_type_mut(&id).ok_or_else(Refusal::not_found)?;
    // The first BIDIR callback of a type is the one that is asked; others must be chosen.
    callback.downlink_hook =
        callback.kind == CallbackKind::Bidir && !kind.callbacks.iter().any(|other| other.downlink_hook);
    kind.callbacks.push(callback);
    let mut response = (StatusCode::CREATED, Json(json!({ "id": new_id }))).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/v2/device-types/{id}/callbacks/{new_id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Takes over the keys that are there.
fn change(callback: &mut Callback, body: &Map<String, Value>) -> Result<(), Refusal> {
    for (key, value) in body {
        let text =
            || value.as_str().map(ToOwned::to_owned).ok_or_else(|| Refusal::body(key, "must be a string"));
        match key.as_str() {
            "url" => callback.url = text()?,
            "httpMethod" => callback.method = text()?,
            "contentType" => callback.content_type = text()?,
            "bodyTemplate" if value.is_null() => callback.body = None,
            "bodyTemplate" => callback.body = Some(text()?),
            "linePattern" => callback.line_pattern = Some(text()?),
            "enabled" => {
                callback.enabled = value.as_bool().ok_or_else(|| Refusal::body(key, "must be a boolean"))?;
            }
            "headers" => {
                let headers = serde_json::from_value(value.clone()).ok();
                callback.headers =
                    headers.ok_or_else(|| Refusal::body(key, "must be an object of strings"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn with_callback(
    shared: &Shared,
    device_type: &str,
    id: &str,
    change: impl FnOnce(&mut Vec<Callback>, usize) -> Result<(), Refusal>,
) -> Result<StatusCode, Refusal> {
    let mut world = shared.world();
    let kind = world.device_type_mut(device_type).ok_or_else(Refusal::not_found)?;
    let place =
        kind.callbacks.iter().position(|callback| callback.id == id).ok_or_else(Refusal::not_found)?;
    change(&mut kind.callbacks, place)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /device-types/{id}/callbacks/{callback}`.
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
    Json(body): Json<Map<String, Value>>,
) -> Result<StatusCode, Refusal> {
    with_callback(&shared, &device_type, &id, |callbacks, place| {
        callbacks.get_mut(place).map_or(Ok(()), |callback| change(callback, &body))
    })
}

/// `DELETE /device-types/{id}/callbacks/{callback}`.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    with_callback(&shared, &device_type, &id, |callbacks, place| {
        callbacks.remove(place);
        Ok(())
    })
}

/// `PUT /device-types/{id}/callbacks/{callback}/enable?enabled=`.
pub(super) async fn enable(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
    question: Question,
) -> Result<StatusCode, Refusal> {
    let enabled = question.parameter("enabled").and_then(|enabled| enabled.parse().ok());
    let enabled = enabled.ok_or_else(|| Refusal::parameter("enabled", "must be true or false"))?;
    with_callback(&shared, &device_type, &id, |callbacks, place| {
        if let Some(callback) = callbacks.get_mut(place) {
            callback.enabled = enabled;
            callback.dead = callback.dead && !enabled;
        }
        Ok(())
    })
}

/// `PUT /device-types/{id}/callbacks/{callback}/downlink`: exactly one callback of a type is asked.
pub(super) async fn downlink(
    State(shared): State<Arc<Shared>>,
    Path((device_type, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    with_callback(&shared, &device_type, &id, |callbacks, place| {
        for (index, callback) in callbacks.iter_mut().enumerate() {
            callback.downlink_hook = index == place;
        }
        Ok(())
    })
}

/// `GET /devices/{id}/callbacks-not-delivered`.
pub(super) async fn undelivered_of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    undelivered(&shared, &question, |entry| entry.device == device, undelivered_row)
}

/// `GET /device-types/{id}/callbacks-not-delivered`.
pub(super) async fn undelivered_of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    shared.world().device_type(&id).map(|_| ()).ok_or_else(Refusal::not_found)?;
    undelivered(&shared, &question, |entry| entry.device_type == id, undelivered_row)
}

/// `GET /device-types/{id}/callbacks/{callback}/callbacks-not-delivered`.
pub(super) async fn undelivered_of_callback(
    State(shared): State<Arc<Shared>>,
    Path((_device_type, id)): Path<(String, String)>,
    question: Question,
) -> Answer {
    undelivered(&shared, &question, |entry| entry.callback.id == id, undelivered_row)
}

/// `GET /groups/{id}/callbacks-not-delivered`: other keys, and `time` in seconds.
pub(super) async fn undelivered_of_group(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    if id != GROUP {
        return Err(Refusal::not_found());
    }
    undelivered(
        &shared,
        &question,
        |_| true,
        |entry| {
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
        },
    )
}

fn undelivered(
    shared: &Shared,
    question: &Question,
    wanted: impl Fn(&Undelivered) -> bool,
    row: impl Fn(&Undelivered) -> Value,
) -> Answer {
    let since = question.millis("since")?.unwrap_or_default();
    let before = question.millis("before")?.unwrap_or_else(|| clamped(i64::MAX));
    let rows = {
        let world = shared.world();
        let shown = |entry: &&Undelivered| wanted(entry) && (since..=before).contains(&entry.time);
        world.undelivered().newest_first().filter(shown).map(row).collect()
    };
    page_of(question, rows)
}

fn undelivered_row(entry: &Undelivered) -> Value {
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

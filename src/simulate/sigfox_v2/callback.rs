//! Callback definitions of the API v2.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::callback::{Callback, CallbackKind};
use crate::simulate::shared::Shared;
use crate::simulate::world::World;

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
    let new_id = add_callback(&mut shared.world(), &id, &body)?;
    let mut response = (StatusCode::CREATED, Json(json!({ "id": new_id }))).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/v2/device-types/{id}/callbacks/{new_id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Adds a callback to a device type and names it.
pub(in crate::simulate) fn add_callback(
    world: &mut World,
    device_type: &str,
    body: &Map<String, Value>,
) -> Result<String, Refusal> {
    world.device_type(device_type).ok_or_else(Refusal::not_found)?;
    for required in ["channel", "callbackType", "callbackSubtype", "enabled", "url", "httpMethod"] {
        if !body.contains_key(required) {
            return Err(Refusal::in_body(required, "is required"));
        }
    }
    let code = |key: &str| body.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
    let kind = CallbackKind::from_codes(code("callbackType"), code("callbackSubtype"))
        .ok_or_else(|| Refusal::in_body("callbackSubtype", "unknown value"))?;
    let new_id = world.new_id();
    let mut callback =
        Callback { body: None, downlink_hook: false, ..Callback::post(&new_id, kind, "", None) };
    change(&mut callback, body)?;
    let kind = world.device_type_mut(device_type).ok_or_else(Refusal::not_found)?;
    // The first BIDIR callback of a type is the one that is asked; others must be chosen.
    callback.downlink_hook =
        callback.kind == CallbackKind::Bidir && !kind.callbacks.iter().any(|other| other.downlink_hook);
    kind.callbacks.push(callback);
    Ok(new_id)
}

/// Takes over the keys that are there.
fn change(callback: &mut Callback, body: &Map<String, Value>) -> Result<(), Refusal> {
    for (key, value) in body {
        let text =
            || value.as_str().map(ToOwned::to_owned).ok_or_else(|| Refusal::in_body(key, "must be a string"));
        match key.as_str() {
            "url" => callback.url = text()?,
            "httpMethod" => callback.method = text()?,
            "contentType" => callback.content_type = text()?,
            "bodyTemplate" if value.is_null() => callback.body = None,
            "bodyTemplate" => callback.body = Some(text()?),
            "linePattern" => callback.line_pattern = Some(text()?),
            "enabled" => {
                callback.enabled =
                    value.as_bool().ok_or_else(|| Refusal::in_body(key, "must be a boolean"))?;
            }
            "headers" => {
                let headers = serde_json::from_value(value.clone()).ok();
                callback.headers =
                    headers.ok_or_else(|| Refusal::in_body(key, "must be an object of strings"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Does something to one callback of a device type: 204.
pub(in crate::simulate) fn with_callback(
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
    enabled_by(&shared, &device_type, &id, &question)
}

/// Switches a callback on or off by the query's `enabled`.
pub(in crate::simulate) fn enabled_by(
    shared: &Shared,
    device_type: &str,
    id: &str,
    question: &Question,
) -> Result<StatusCode, Refusal> {
    let enabled = question.parameter("enabled").and_then(|enabled| enabled.parse().ok());
    let enabled = enabled.ok_or_else(|| Refusal::parameter("enabled", "must be true or false"))?;
    with_callback(shared, device_type, id, |callbacks, place| {
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

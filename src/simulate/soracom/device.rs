//! Sigfox devices at Soracom, and the one downlink that may wait for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{OPERATOR, not_found, refusal};
use crate::model::{DeviceId, DownlinkPayload, Timestamp};
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;
use crate::simulate::world::{Device, Registration, World};

const DEFAULT_LIMIT: usize = 100;

/// `GET /sigfox_devices`. A tag is looked for in a page after it was cut, so that a page may be short or empty
/// while more follow.
pub(super) async fn list(State(shared): State<Arc<Shared>>, question: Question) -> Result<Response, Refusal> {
    let limit = limit(&question, DEFAULT_LIMIT, 1000)?;
    let after: Option<DeviceId> = question.parameter("last_evaluated_key").and_then(|key| key.parse().ok());
    let world = shared.world();
    let listed = world.devices().filter(|device| device.registration.is_some());
    let mut page: Vec<&Device> =
        listed.filter(|device| after.is_none_or(|after| device.id > after)).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| last.id.to_string());
    let rows: Vec<Value> = page
        .iter()
        .filter(|device| has_tag(device, &question))
        .filter_map(|device| device_row(&world, device))
        .collect();
    Ok(with_next(Json(Value::Array(rows)), &question, next))
}

/// `limit` with Soracom's own refusal.
pub(super) fn limit(question: &Question, default: usize, most: usize) -> Result<usize, Refusal> {
    let wrong = |_| refusal(StatusCode::BAD_REQUEST, "SEM0001", "limit is out of range.");
    question.limit(default, most).map_err(wrong)
}

/// The answer with the key of the next page in both of its headers.
pub(super) fn with_next(rows: Json<Value>, question: &Question, next: Option<String>) -> Response {
    let mut response = rows.into_response();
    if let Some(next) = next {
        let link =
            format!("<{}>; rel=\"next\"", question.again_with(&[("last_evaluated_key", next.clone())]));
        let headers = response.headers_mut();
        for (name, value) in [("x-soracom-next-key", next), ("link", link)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
    response
}

fn has_tag(device: &Device, question: &Question) -> bool {
    let Some(name) = question.parameter("tag_name") else { return true };
    let value = question.parameter("tag_value").unwrap_or_default();
    let tag = device.registration.as_ref().and_then(|registration| registration.tags.get(name));
    tag.is_some_and(|tag| match question.parameter("tag_value_match_mode") {
        Some("prefix") => tag.starts_with(value),
        _ => tag == value,
    })
}

/// `device_id` is the one key in snake case; what is not known is not there.
fn device_row(world: &World, device: &Device) -> Option<Value> {
    let registration = device.registration.as_ref()?;
    let mut row = json!({
        "device_id": device.id,
        "groupId": registration.group,
        "lastModifiedTime": registration.modified,
        "operatorId": OPERATOR,
        "status": registration.status,
        "tags": registration.tags,
        "terminationEnabled": registration.termination_enabled,
    });
    if let (Some(row), Some(last)) = (row.as_object_mut(), world.history().last(device.id)) {
        let best = last.receptions.first();
        let whole = |of: Option<i32>| of.map(|value| value / 100);
        let (rssi, snr) = (whole(best.map(|best| best.rssi_centi)), whole(best.map(|best| best.snr_centi)));
        row.insert("lastSeen".to_owned(), json!({ "rssi": rssi, "snr": snr, "time": last.time }));
    }
    Some(row)
}

/// `GET /sigfox_devices/{id}`.
pub(super) async fn device(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let found = id.parse().ok().and_then(|id| world.device(id));
    found.and_then(|device| device_row(&world, device)).map(Json).ok_or_else(not_found)
}

/// Changes a registration; the answer is the device as it is then.
fn changed(
    shared: &Shared,
    id: &str,
    change: impl FnOnce(&mut Registration) -> Result<(), Refusal>,
) -> Answer {
    let mut world = shared.world();
    let id: DeviceId = id.parse().ok().ok_or_else(not_found)?;
    let device = world.device_mut(id).ok_or_else(not_found)?;
    let registration = device.registration.as_mut().ok_or_else(not_found)?;
    change(registration)?;
    registration.modified = shared.now();
    let device = world.device(id).ok_or_else(not_found)?;
    device_row(&world, device).map(Json).ok_or_else(not_found)
}

/// `POST /sigfox_devices/{id}/data`: 202, whatever becomes of it; one that waits already is silently discarded.
pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Result<StatusCode, Refusal> {
    let data = body.get("data").and_then(Value::as_str).and_then(|data| data.parse::<DownlinkPayload>().ok());
    let data = data.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "SGF0003", "data must be 8 octets."))?;
    let id: DeviceId = id.parse().ok().ok_or_else(not_found)?;
    if shared.world().fill_slot(id, data) { Ok(StatusCode::ACCEPTED) } else { Err(not_found()) }
}

/// `POST /sigfox_devices/{id}/register`: a device that Soracom does not have yet.
pub(super) async fn register(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    let wrong = |message| refusal(StatusCode::BAD_REQUEST, "SGF0001", message);
    let id: DeviceId = id.parse().ok().ok_or_else(|| wrong("device_id is invalid."))?;
    let secret = body.get("registrationSecret").and_then(Value::as_str).unwrap_or_default();
    if secret.is_empty() {
        return Err(wrong("registrationSecret is required."));
    }
    let tags: BTreeMap<String, String> = match body.get("tags") {
        None => BTreeMap::new(),
        Some(tags) => serde_json::from_value(tags.clone()).ok().ok_or_else(|| wrong("tags is invalid."))?,
    };
    let registration = Registration { tags, group: None, modified: shared.now(), ..Registration::default() };
    let mut world = shared.world();
    match world.device_mut(id) {
        Some(device) if device.registration.is_some() => {
            return Err(wrong("the device is registered already."));
        }
        Some(device) => device.registration = Some(registration),
        None => {
            let device = Device { registration: Some(registration), ..Device::new(id, "").soracom_only() };
            world.add_device(device);
        }
    }
    let device = world.device(id).ok_or_else(not_found)?;
    device_row(&world, device).map(Json).ok_or_else(not_found)
}

/// The body of `set_group`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetGroup {
    group_id: String,
}

/// `POST /sigfox_devices/{id}/set_group`.
pub(super) async fn set_group(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<SetGroup>,
) -> Answer {
    changed(&shared, &id, |registration| {
        registration.group = Some(body.group_id);
        Ok(())
    })
}

/// `POST /sigfox_devices/{id}/unset_group`.
pub(super) async fn unset_group(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    changed(&shared, &id, |registration| {
        registration.group = None;
        Ok(())
    })
}

/// One tag of the body of `tags`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tag {
    tag_name: String,
    tag_value: String,
}

/// `PUT /sigfox_devices/{id}/tags`: adds and replaces, takes none away.
pub(super) async fn put_tags(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(tags): Json<Vec<Tag>>,
) -> Answer {
    changed(&shared, &id, |registration| {
        registration.tags.extend(tags.into_iter().map(|tag| (tag.tag_name, tag.tag_value)));
        Ok(())
    })
}

/// `DELETE /sigfox_devices/{id}/tags/{tag}`.
pub(super) async fn delete_tag(
    State(shared): State<Arc<Shared>>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    changed(&shared, &id, |registration| registration.tags.remove(&tag).map(|_| ()).ok_or_else(not_found))
        .map(|_device| StatusCode::NO_CONTENT)
}

/// `POST /sigfox_devices/{id}/enable_termination`.
pub(super) async fn enable_termination(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    changed(&shared, &id, |registration| {
        registration.termination_enabled = true;
        Ok(())
    })
}

/// `POST /sigfox_devices/{id}/disable_termination`.
pub(super) async fn disable_termination(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    changed(&shared, &id, |registration| {
        registration.termination_enabled = false;
        Ok(())
    })
}

/// `POST /sigfox_devices/{id}/terminate`: only where termination was enabled before.
pub(super) async fn terminate(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    changed(&shared, &id, |registration| {
        if !registration.termination_enabled {
            return Err(refusal(StatusCode::BAD_REQUEST, "SGF0004", "termination is not enabled."));
        }
        registration.status = "terminated".to_owned();
        Ok(())
    })
}

/// The time that a question names in milliseconds, or this one.
pub(super) fn millis_or(
    question: &Question,
    name: &'static str,
    default: Timestamp,
) -> Result<Timestamp, Refusal> {
    let wrong = |_| refusal(StatusCode::BAD_REQUEST, "SEM0001", "the time is invalid.");
    Ok(question.millis(name).map_err(wrong)?.unwrap_or(default))
}

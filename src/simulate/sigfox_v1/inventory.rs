//! Groups, users, device types, devices and coverage of the API v1.

use std::convert::identity;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;
use crate::simulate::sigfox_v2::{CONTRACT, GROUP, change_device_type, existing};
use crate::simulate::world::{Device, DeviceType, World};

/// `GET /groups`.
pub(super) async fn groups(question: Question) -> Answer {
    page_of(&question, vec![group_row()], identity)
}

/// `GET /groups/{id}`.
pub(super) async fn group(Path(id): Path<String>) -> Answer {
    if id == GROUP { Ok(Json(group_row())) } else { Err(Refusal::not_found()) }
}

fn group_row() -> Value {
    json!({
        "id": GROUP, "name": "Simulated", "nameCI": "simulated", "description": "",
        "path": ["5f00000000000000000000a0"], "billable": false,
    })
}

/// `GET /users`.
pub(super) async fn users(question: Question) -> Answer {
    let user = json!({
        "firstName": "Sim", "lastName": "Ulator", "email": "simulator@example.org", "timezone": "Etc/UTC",
        "creationTime": 1_511_000_000_000_i64, "lastLoginTime": 1_511_000_000_000_i64,
        "userRoles": [{
            "group": { "id": GROUP, "name": "Simulated" },
            "customRole": { "id": "5f00000000000000000000f1", "name": "LIMITED ADMIN" },
        }],
    });
    page_of(&question, vec![user], identity)
}

/// `GET /devicetypes/geolocs-config`.
pub(super) async fn geolocs_config(question: Question) -> Answer {
    page_of(&question, vec![json!({ "id": "5f00000000000000000000e1", "name": "Wi-Fi" })], identity)
}

/// `GET /devicetypes`.
pub(super) async fn device_types(State(shared): State<Arc<Shared>>, question: Question) -> Answer {
    page_of(&question, shared.world().device_types().collect(), device_type_row)
}

/// `GET /devicetypes/{id}`.
pub(super) async fn device_type(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    shared.world().device_type(&id).map(|kind| Json(device_type_row(kind))).ok_or_else(Refusal::not_found)
}

/// `payloadType` is a word, `group` and `contract` are bare ids.
fn device_type_row(kind: &DeviceType) -> Value {
    let payload_type = match kind.payload_type {
        3 => "Custom",
        4 => "Geolocation",
        5 => "String",
        _ => "None",
    };
    let mut row = json!({
        "id": kind.id, "name": kind.name, "group": GROUP, "description": "", "keepAlive": kind.keep_alive_s,
        "payloadType": payload_type, "contract": CONTRACT, "downlinkMode": kind.downlink_mode,
    });
    if let Some(row) = row.as_object_mut() {
        for (key, value) in
            [("payloadConfig", &kind.payload_config), ("downlinkDataString", &kind.downlink_data)]
        {
            if let Some(value) = value {
                row.insert(key.to_owned(), json!(value));
            }
        }
    }
    row
}

/// `POST /devicetypes/edit`: the id is in the body.
pub(super) async fn edit_device_type(
    State(shared): State<Arc<Shared>>,
    Json(mut changes): Json<Map<String, Value>>,
) -> Result<StatusCode, Refusal> {
    let id = changes.remove("id");
    let id = id.as_ref().and_then(Value::as_str).ok_or_else(|| Refusal::in_body("id", "is required"))?;
    let mut world = shared.world();
    change_device_type(world.device_type_mut(id).ok_or_else(Refusal::not_found)?, &changes)?;
    Ok(StatusCode::OK)
}

/// `GET /devicetypes/{id}/devices`.
pub(super) async fn devices_of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let world = shared.world();
    world.device_type(&id).ok_or_else(Refusal::not_found)?;
    let listed = |device: &&Device| device.in_sigfox && device.device_type == id;
    page_of(&question, world.devices().filter(listed).collect(), |device| device_row(&world, device))
}

/// `GET /devices/{id}`.
pub(super) async fn device(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let id = existing(&shared, &id)?;
    let world = shared.world();
    world.device(id).map(|device| Json(device_row(&world, device))).ok_or_else(Refusal::not_found)
}

/// `last` is in seconds and 0 is never; the other times are milliseconds.
fn device_row(world: &World, device: &Device) -> Value {
    let last = world.history().last(device.id);
    let average = |of: fn(&crate::simulate::world::Reception) -> i32| {
        let best = last.and_then(|last| last.receptions.first());
        best.map_or(0.0, |best| f64::from(of(best)) / 100.0)
    };
    json!({
        "id": device.id, "name": device.name, "type": device.device_type,
        "last": last.map_or(0, |last| last.time.as_seconds()),
        "averageSnr": average(|best| best.snr_centi), "averageRssi": average(|best| best.rssi_centi),
        "averageSignal": average(|best| best.snr_centi),
        "state": device.state.min(4), "lat": device.place.latitude, "lng": device.place.longitude,
        "activationTime": device.created.as_millis(), "tokenEnd": 4_000_000_000_000_i64,
        "contractId": CONTRACT, "preventRenewal": false,
    })
}

/// `GET /devices/{id}/token-state`.
pub(super) async fn token_state(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    existing(&shared, &id)?;
    Ok(Json(json!({
        "code": 0, "detailMessage": "OK", "tokenType": "CONTRACT", "contractId": CONTRACT,
        "tokenEnd": 4_000_000_000_000_i64,
    })))
}

/// `GET /devices/{id}/networkstate`.
pub(super) async fn network_state(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    existing(&shared, &id)?;
    Ok(Json(json!({ "networkStatus": "OK" })))
}

/// `GET /devicetypes/{id}/disengage`: a GET with an effect, as the document has it.
pub(super) async fn disengage(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    shared.world().device_type(&id).map(|_| StatusCode::OK).ok_or_else(Refusal::not_found)
}

/// `GET /coverages/redundancy`.
pub(super) async fn redundancy(question: Question) -> Answer {
    let stations = match question.parameter("mode") {
        Some("INDOOR") => 2,
        Some("UNDERGROUND") => 1,
        _ => 3,
    };
    Ok(Json(json!({ "redundancy": stations })))
}

/// `GET /coverages/global/predictions`.
pub(super) async fn predictions() -> Answer {
    Ok(Json(json!({ "locationCovered": true, "margins": [53, 46, 38] })))
}

/// A part of a list by `limit` and `offset`; at its end `paging` is missing.
pub(super) fn page_of<T>(question: &Question, listed: Vec<T>, row: impl Fn(T) -> Value) -> Answer {
    let (offset, limit) = (question.offset()?, question.limit(100, 100)?);
    let end = offset.saturating_add(limit);
    let more = listed.len() > end;
    let data: Vec<Value> = listed.into_iter().skip(offset).take(limit).map(row).collect();
    let mut answer = Map::from_iter([("data".to_owned(), json!(data))]);
    if more {
        let next = question.again_with(&[("limit", limit.to_string()), ("offset", end.to_string())]);
        answer.insert("paging".to_owned(), json!({ "next": next }));
    }
    Ok(Json(Value::Object(answer)))
}

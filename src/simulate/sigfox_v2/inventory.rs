//! Device types and devices of the API v2.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::model::{DeviceId, Timestamp};
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;
use crate::simulate::world::{Cut, Device, DeviceType, Of, World};

/// The group that everything simulated belongs to.
pub(in crate::simulate) const GROUP: &str = "5f00000000000000000000a1";
pub(in crate::simulate) const CONTRACT: &str = "5f00000000000000000000b1";

/// The device that a path names, if the Sigfox cloud has it.
pub(in crate::simulate) fn existing(shared: &Shared, id: &str) -> Result<DeviceId, Refusal> {
    let id: DeviceId = id.parse().ok().ok_or_else(Refusal::not_found)?;
    let world = shared.world();
    let device = world.device(id).filter(|device| device.in_sigfox).ok_or_else(Refusal::not_found)?;
    Ok(device.id)
}

/// A part of an inventory by `limit` and `offset`, or by the `pageId` that the part before it named; only what is
/// shown becomes a row.
pub(super) fn page_of<T>(question: &Question, listed: Vec<T>, row: impl Fn(T) -> Value) -> Answer {
    let limit = question.limit(100, 100)?;
    let start = match question.parameter("pageId") {
        Some(page) => {
            usize::from_str_radix(page, 16).ok().ok_or_else(|| Refusal::parameter("pageId", "unknown"))?
        }
        None => question.offset()?,
    };
    let end = start.saturating_add(limit);
    let more = listed.len() > end;
    let data: Vec<Value> = listed.into_iter().skip(start).take(limit).map(row).collect();
    let mut paging = Map::new();
    if more {
        let next =
            [("limit", limit.to_string()), ("offset", String::new()), ("pageId", format!("{end:024x}"))];
        paging.insert("next".to_owned(), json!(question.again_with(&next)));
    }
    Ok(Json(json!({ "data": data, "paging": paging })))
}

/// `GET /device-types`.
pub(super) async fn device_types(State(shared): State<Arc<Shared>>, question: Question) -> Answer {
    let world = shared.world();
    let named = |kind: &&DeviceType| question.parameter("name").is_none_or(|name| kind.name.contains(name));
    page_of(&question, world.device_types().filter(named).collect(), device_type_row)
}

/// `GET /device-types/{id}`.
pub(super) async fn device_type(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    shared.world().device_type(&id).map(|kind| Json(device_type_row(kind))).ok_or_else(Refusal::not_found)
}

fn device_type_row(kind: &DeviceType) -> Value {
    let mut row = json!({
        "id": kind.id,
        "name": kind.name,
        "description": "",
        "downlinkMode": kind.downlink_mode,
        "payloadType": kind.payload_type,
        "keepAlive": kind.keep_alive_s,
        "automaticRenewal": true,
        "group": { "id": GROUP, "name": "Simulated", "type": 2, "level": 4 },
        "contract": { "id": CONTRACT, "name": "Simulated" },
        "contracts": [],
        "detachedContracts": [],
        "creationTime": 1_511_000_000_000_i64,
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

/// `PUT /device-types/{id}`: an absent key leaves the value, null clears it.
pub(super) async fn edit_device_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(changes): Json<Map<String, Value>>,
) -> Result<StatusCode, Refusal> {
    let mut world = shared.world();
    let kind = world.device_type_mut(&id).ok_or_else(Refusal::not_found)?;
    change_device_type(kind, &changes)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes over the keys that are there; all of them or, where one is wrong, none.
pub(in crate::simulate) fn change_device_type(
    kind: &mut DeviceType,
    changes: &Map<String, Value>,
) -> Result<(), Refusal> {
    let mut edited = kind.clone();
    for (key, value) in changes {
        match key.as_str() {
            "name" => {
                edited.name = text(key, value)?.ok_or_else(|| Refusal::in_body(key, "may not be empty"))?
            }
            "payloadConfig" => edited.payload_config = text(key, value)?,
            "downlinkDataString" => {
                edited.downlink_data = text(key, value)?.map(|data| eight_bytes(&data)).transpose()?
            }
            "downlinkMode" => edited.downlink_mode = number(key, value, 3)?,
            "payloadType" => edited.payload_type = number(key, value, 9)?,
            "keepAlive" => {
                let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
                let valid = seconds.filter(|seconds| *seconds == 0 || *seconds >= 1800);
                edited.keep_alive_s =
                    valid.ok_or_else(|| Refusal::in_body(key, "must be 0 or at least 1800"))?;
            }
            _ => {}
        }
    }
    *kind = edited;
    Ok(())
}

fn text(key: &str, value: &Value) -> Result<Option<String>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(Refusal::in_body(key, "must be a string")),
    }
}

fn number(key: &str, value: &Value, most: u8) -> Result<u8, Refusal> {
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok()).filter(|number| *number <= most);
    number.ok_or_else(|| Refusal::in_body(key, "unknown value"))
}

/// Eight bytes of hex; templates with variables are beyond what is simulated.
fn eight_bytes(data: &str) -> Result<String, Refusal> {
    let whole = data.len() == 16 && data.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole { Ok(data.to_owned()) } else { Err(Refusal::in_body("downlinkDataString", "must be 8 bytes")) }
}

/// `GET /devices`; 50 requests in 10 s.
pub(super) async fn devices(State(shared): State<Arc<Shared>>, question: Question) -> Answer {
    if !shared.within_limit("devices", 50, Duration::from_secs(10)) {
        return Err(Refusal::too_many());
    }
    let (world, now) = (shared.world(), shared.now());
    let listed = |device: &&Device| {
        device.in_sigfox
            && question.parameter("deviceTypeId").is_none_or(|kind| device.device_type == kind)
            && question.parameter("id").is_none_or(|id| id.parse() == Ok(device.id))
    };
    page_of(&question, world.devices().filter(listed).collect(), |device| device_row(&world, device, now))
}

/// `GET /devices/{id}`.
pub(super) async fn device(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let id = existing(&shared, &id)?;
    let world = shared.world();
    let device = world.device(id).ok_or_else(Refusal::not_found)?;
    Ok(Json(device_row(&world, device, shared.now())))
}

fn device_row(world: &World, device: &Device, now: Timestamp) -> Value {
    let kind = world.device_type(&device.device_type);
    let mut row = json!({
        "id": device.id,
        "name": device.name,
        "deviceType": { "id": device.device_type, "name": kind.map(|kind| &kind.name) },
        "group": { "id": GROUP },
        "contract": { "id": CONTRACT },
        "satelliteCapable": false,
        "repeater": false,
        "prototype": false,
        "messageModulo": 4096,
        "activationTime": device.created.as_millis(),
        "creationTime": device.created.as_millis(),
        "state": device.state,
        "comState": if world.history().last(device.id).is_some() { 1 } else { 5 },
        "pac": "0000000000000000",
        "automaticRenewal": true,
        "automaticRenewalStatus": 0,
        "location": { "lat": device.place.latitude, "lng": device.place.longitude },
        "token": {
            "state": 0, "detailMessage": "Valid", "end": 4_000_000_000_000_i64, "freeMessages": 3,
            "freeMessagesSent": 2,
        },
    });
    // A device that never sent has none of these keys.
    if let (Some(row), Some(last)) = (row.as_object_mut(), world.history().last(device.id)) {
        row.insert("lastCom".to_owned(), json!(last.time.as_millis()));
        row.insert("lqi".to_owned(), json!(last.lqi));
        if let Some(seq) = last.seq {
            row.insert("sequenceNumber".to_owned(), json!(seq));
            row.insert("trashSequenceNumber".to_owned(), json!(0));
        }
        let recent = Cut { since: Timestamp::default(), before: now, offset: 0, limit: 50 };
        let (rows, _) = world.history().newest_first(Of::Device(device.id), recent);
        let positions = rows.iter().filter_map(|uplink| uplink.position);
        if let Some(position) = positions.into_iter().find(|position| position.known <= now) {
            let computed = json!({
                "lat": position.latitude, "lng": position.longitude, "radius": position.radius,
                "sourceCode": position.source, "placeIds": [],
            });
            row.insert("lastComputedLocation".to_owned(), computed);
        }
    }
    row
}

/// `POST /devices/{id}/disengage`: the next sequence number is accepted whatever it is.
pub(super) async fn disengage(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    existing(&shared, &id).map(|_| StatusCode::NO_CONTENT)
}

/// `PUT /device-types/{id}/disengage`.
pub(super) async fn disengage_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    shared.world().device_type(&id).map(|_| StatusCode::NO_CONTENT).ok_or_else(Refusal::not_found)
}

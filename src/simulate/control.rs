//! `/sim`: the wires behind the stage, for tests and for people. No login: it listens on loopback.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::fault::Fault;
use super::shared::Shared;
use super::world::{Device, Received, Telegram, Uplink};
use crate::model::{DeviceId, Payload, Timestamp};

/// All paths below `/sim`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(state))
        .route("/requests", get(requests))
        .route("/record", get(record))
        .route("/faults", post(add_faults))
        .route("/faults", delete(end_faults))
        .route("/tokens", delete(end_tokens))
        .route("/uplinks", post(add_uplink))
        .route("/devices/{id}/send", post(send))
        .route("/devices/{id}/received", get(received))
        .route("/devices/{id}/trouble", post(complain))
        .route("/devices/{id}/info-codes", post(force_info_codes))
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let row = |device: &Device| {
        json!({
            "id": device.id, "name": device.name, "type": device.device_type, "seq": device.seq,
            "sigfox": device.in_sigfox, "soracom": device.registration.is_some(),
            "slot": device.registration.as_ref().and_then(|registration| registration.slot),
            "asks_every": device.schedule.as_ref().map(|schedule| schedule.asks_every),
            "received": device.received.len(),
        })
    };
    let devices: Vec<Value> = world.devices().map(row).collect();
    Json(json!({ "devices": devices, "messages": world.remembered(), "pending": world.pending() }))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.requests()))
}

/// What every device received.
async fn record(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let rows = world.devices().flat_map(|device| {
        device.received.iter().map(|received| received_row(device.id, received)).collect::<Vec<_>>()
    });
    Json(Value::Array(rows.collect()))
}

fn received_row(device: DeviceId, received: &Received) -> Value {
    json!({
        "device": device, "time": received.time, "seq": received.seq, "data": received.data, "via": received.via,
    })
}

async fn received(State(shared): State<Arc<Shared>>, Path(id): Path<DeviceId>) -> Answer {
    let world = shared.world();
    let device = world.device(id).ok_or_else(Refusal::not_found)?;
    Ok(Json(device.received.iter().map(|received| received_row(device.id, received)).collect()))
}

async fn add_faults(
    State(shared): State<Arc<Shared>>,
    Json(script): Json<Vec<String>>,
) -> Result<StatusCode, Refusal> {
    for line in script {
        let fault: Fault = line.parse().map_err(|error: super::ParseFaultError| {
            Refusal::new(StatusCode::BAD_REQUEST, &error.to_string())
        })?;
        shared.add_fault(fault);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn end_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.set_faults(Vec::new());
    StatusCode::NO_CONTENT
}

/// Ends every Soracom token at once.
async fn end_tokens(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.sessions().end_all();
    StatusCode::NO_CONTENT
}

/// A message by hand. With `time` it goes into the history silently, without it is sent now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUplink {
    device: DeviceId,
    #[serde(default)]
    data: Payload,
    #[serde(default)]
    ack: bool,
    time: Option<Timestamp>,
    seq: Option<u16>,
}

async fn add_uplink(State(shared): State<Arc<Shared>>, Json(new): Json<NewUplink>) -> Answer {
    let mut world = shared.world();
    let uplink = match new.time {
        Some(time) => {
            let uplink = Uplink { ack: new.ack, ..Uplink::new(new.device, time, new.seq, new.data) };
            world.record(uplink.clone());
            uplink
        }
        None => {
            let telegram = Telegram { payload: Some(new.data), ack: new.ack };
            world.send(new.device, telegram, shared.now()).ok_or_else(Refusal::not_found)?
        }
    };
    drop(world);
    shared.changed.notify_one();
    Ok(Json(sent(&uplink)))
}

/// Whether the device is to ask for a downlink.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Send {
    ack: bool,
}

async fn send(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<DeviceId>,
    body: Option<Json<Send>>,
) -> Answer {
    let Json(Send { ack }) = body.unwrap_or_default();
    let telegram = Telegram { payload: None, ack };
    let uplink = shared.world().send(id, telegram, shared.now()).ok_or_else(Refusal::not_found)?;
    shared.changed.notify_one();
    Ok(Json(sent(&uplink)))
}

fn sent(uplink: &Uplink) -> Value {
    json!({
        "device": uplink.device, "time": uplink.time, "seq": uplink.seq, "data": uplink.payload, "ack": uplink.ack,
    })
}

/// The codes that the device's next answers end with, such as `[4]` for a network error.
async fn force_info_codes(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<DeviceId>,
    Json(codes): Json<Vec<u8>>,
) -> Result<StatusCode, Refusal> {
    let mut world = shared.world();
    let device = world.device_mut(id).ok_or_else(Refusal::not_found)?;
    device.forced_info_codes = codes;
    Ok(StatusCode::NO_CONTENT)
}

/// What the network complains about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Complaint {
    /// `ERROR` or `WARN`.
    severity: String,
    info: String,
}

async fn complain(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<DeviceId>,
    Json(complaint): Json<Complaint>,
) -> Result<StatusCode, Refusal> {
    let known = shared.world().complain(id, &complaint.severity, &complaint.info, shared.now());
    shared.changed.notify_one();
    if known { Ok(StatusCode::NO_CONTENT) } else { Err(Refusal::not_found()) }
}

//! A device's downlinks: the commands of MQTT by HTTP. What was changed is durable when they are answered.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ask::{Body, Item, Known};
use super::{Api, Refusal, aside};
use crate::control::Question;
use crate::model::DeviceId;

/// The downlinks of a device that are not forgotten, in the order of its queue.
#[cfg_attr(test, utoipa::path(
    get, path = "/devices/{device}/downlinks", tag = "downlinks",
    params(("device" = String, Path, description = "The id")),
    responses((status = 200, body = Value, description = "`{\"downlinks\":[…]}`"), Refusal),
))]
pub(super) async fn list(State(api): State<Api>, Known(device): Known) -> Result<Json<Value>, Refusal> {
    aside(move || Ok(Json(json!({ "downlinks": api.ask(&Question::Downlinks { device: Some(device) })? }))))
        .await
}

/// Queues a downlink, or several: `{"data":"0123456789abcdef"}`, `{"fields":{…}}`, or an array of them.
#[cfg_attr(test, utoipa::path(
    post, path = "/devices/{device}/downlinks", tag = "downlinks", request_body = Value,
    params(("device" = String, Path, description = "The id")),
    responses((status = 200, body = Value, description = "`{\"items\":[{\"id\",\"state\",\"reason\"}]}`"), Refusal),
))]
pub(super) async fn push(
    State(api): State<Api>,
    Known(device): Known,
    Body(items): Body<Value>,
) -> Result<Json<Value>, Refusal> {
    api.command(device, "push", &items).await
}

/// Queues downlinks in the place of those that are queued, but for one that the cloud has already.
#[cfg_attr(test, utoipa::path(
    put, path = "/devices/{device}/downlinks", tag = "downlinks", request_body = Value,
    params(("device" = String, Path, description = "The id")),
    responses((status = 200, body = Value, description = "`{\"items\":[{\"id\",\"state\",\"reason\"}]}`"), Refusal),
))]
pub(super) async fn replace(
    State(api): State<Api>,
    Known(device): Known,
    Body(items): Body<Value>,
) -> Result<Json<Value>, Refusal> {
    api.command(device, "replace", &items).await
}

/// Takes back every downlink of a device that the cloud does not have yet.
#[cfg_attr(test, utoipa::path(
    delete, path = "/devices/{device}/downlinks", tag = "downlinks",
    params(("device" = String, Path, description = "The id")),
    responses((status = 200, body = Value, description = "`{\"cancelled\":[…]}`"), Refusal),
))]
pub(super) async fn cancel_all(State(api): State<Api>, Known(device): Known) -> Result<Json<Value>, Refusal> {
    api.command(device, "cancel", &json!({ "all": true })).await
}

/// Takes back one downlink.
#[cfg_attr(test, utoipa::path(
    delete, path = "/devices/{device}/downlinks/{item}", tag = "downlinks",
    params(
        ("device" = String, Path, description = "The device's id"),
        ("item" = String, Path, description = "The downlink's id"),
    ),
    responses((status = 200, body = Value, description = "`{\"cancelled\":[…]}`"), Refusal),
))]
pub(super) async fn cancel(
    State(api): State<Api>,
    Known(device): Known,
    Item(item): Item,
) -> Result<Json<Value>, Refusal> {
    api.command(device, "cancel", &json!({ "id": item })).await
}

impl Api {
    async fn command(&self, device: DeviceId, verb: &str, body: &Value) -> Result<Json<Value>, Refusal> {
        let topic = format!("device/{device}/downlink/{verb}");
        Ok(Json(self.desk.tell(&topic, body).await?))
    }
}

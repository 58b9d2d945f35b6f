//! What is known of the gateway itself: sources, health, outbox, log, settings; and making it poll.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::Body;
use super::{Api, Refusal, aside};
use crate::control::Question;
use crate::publish::Name;

/// The newest known place of every device that has one.
#[cfg_attr(test, utoipa::path(
    get, path = "/locations", tag = "devices",
    responses((status = 200, body = Value, description = "`{\"locations\":[{\"device\",\"name\",…}]}`"), Refusal),
))]
pub(super) async fn locations(State(api): State<Api>) -> Result<Json<Value>, Refusal> {
    aside(move || {
        let mut rows = Vec::new();
        for device in api.rooms.store.devices()? {
            if let Value::Object(mut row) = api.document(&Name::Location(device.id))? {
                row.insert("device".to_owned(), json!(device.id));
                row.insert("name".to_owned(), json!(api.view.name(&device)));
                rows.push(Value::Object(row));
            }
        }
        Ok(Json(json!({ "locations": rows })))
    })
    .await
}

/// How the sources do.
#[cfg_attr(test, utoipa::path(
    get, path = "/sources", tag = "gateway",
    responses((status = 200, body = Value, description = "`{\"sources\":[…]}`"), Refusal),
))]
pub(super) async fn sources(State(api): State<Api>) -> Result<Json<Value>, Refusal> {
    aside(move || Ok(Json(json!({ "sources": api.ask(&Question::Sources)? })))).await
}

/// What is to be polled.
#[derive(Debug, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Scope {
    /// This source only.
    source: Option<String>,
    /// This device only.
    device: Option<String>,
    /// Again from this time on, in RFC 3339.
    from: Option<String>,
}

/// Makes the sources poll now, or again from a time on; does not wait until they have.
#[cfg_attr(test, utoipa::path(
    post, path = "/sync", tag = "gateway", request_body = Scope,
    responses((status = 200, body = Value, description = "`{\"sources\":[…]}`: who was told"), Refusal),
))]
pub(super) async fn sync(State(api): State<Api>, Body(scope): Body<Scope>) -> Result<Json<Value>, Refusal> {
    Ok(Json(api.desk.tell("bridge/request/sync", &json!(scope)).await?))
}

/// The document of `bridge/health`, with devices and sources.
#[cfg_attr(test, utoipa::path(
    get, path = "/health", tag = "gateway",
    responses((status = 200, body = Value, description = "How the gateway does"), Refusal),
))]
pub(super) async fn health(State(api): State<Api>) -> Result<Json<Value>, Refusal> {
    Ok(Json(api.desk.tell("bridge/request/health", &json!({})).await?))
}

/// Every setting in effect, defaults included; secrets as `***`.
#[cfg_attr(test, utoipa::path(
    get, path = "/settings", tag = "gateway",
    responses((status = 200, body = Value, description = "The configuration as `sigfox2mqtt config --json` prints it"), Refusal),
))]
pub(super) async fn settings(State(api): State<Api>) -> Json<Value> {
    std::future::ready(Json(api.rooms.config.in_effect.clone())).await
}

/// The last warnings and errors of the log, the newest last; at most 200.
#[cfg_attr(test, utoipa::path(
    get, path = "/log", tag = "gateway",
    responses((status = 200, body = Value, description = "`{\"lines\":[{\"time\",\"level\",\"message\",\"fields\"}]}`"), Refusal),
))]
pub(super) async fn log(State(api): State<Api>) -> Json<Value> {
    std::future::ready(Json(json!({ "lines": api.rooms.recent.lines() }))).await
}

/// What waits for the broker: how much, since when, and the first events.
#[cfg_attr(test, utoipa::path(
    get, path = "/outbox", tag = "gateway",
    responses((status = 200, body = Value, description = "`{\"waiting\",\"oldest\",\"events\":[…]}`"), Refusal),
))]
pub(super) async fn outbox(State(api): State<Api>) -> Result<Json<Value>, Refusal> {
    Ok(Json(api.desk.tell("bridge/request/outbox/list", &json!({})).await?))
}

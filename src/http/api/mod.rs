//! `/api/v1`: what scripts and the web page ask, answered in JSON by the rooms that know.
//!
//! A thin shell: questions go to the views that answer the command line and MQTT, commands to the desk that does those
//! of MQTT. The document of the API is made from the handlers; who may take which path is decided in `access`.

mod ask;
mod device;
#[cfg(test)]
mod document;
mod downlink;
mod event;
mod gateway;
mod refusal;
mod series;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::refusal::Refusal;
use super::answer;
use crate::command::Rooms;
use crate::control::{self, Desk};
use crate::publish;

/// What the API is, in OpenAPI: made from the handlers, see `document`.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// So many may listen to events at once.
const LISTENERS: usize = 32;

/// What answers are made from. Clones share it.
#[derive(Debug, Clone)]
struct Api {
    rooms: Arc<Rooms>,
    view: control::View,
    documents: Arc<publish::View>,
    desk: Arc<Desk>,
    listeners: Arc<Semaphore>,
    /// Ends the streams of events, which would otherwise hold up the listener's end.
    ending: CancellationToken,
}

/// The routes below `/api/v1`. `ending` ends what would never end by itself.
pub(super) fn router(rooms: Rooms, ending: CancellationToken) -> Router {
    let view = control::View::new(
        Arc::clone(&rooms.config),
        rooms.store.clone(),
        Arc::clone(&rooms.registry),
        Some(rooms.board.clone()),
    );
    let documents = publish::View::new(
        Arc::clone(&rooms.config),
        rooms.store.clone(),
        Arc::clone(&rooms.registry),
        rooms.board.clone(),
        rooms.topics.clone(),
        rooms.run.clone(),
    )
    .with_mirrors(rooms.mirrors.clone());
    let api = Api {
        view,
        documents: Arc::new(documents),
        desk: Arc::new(Desk::new(rooms.clone())),
        rooms: Arc::new(rooms),
        listeners: Arc::new(Semaphore::new(LISTENERS)),
        ending,
    };
    Router::new()
        .route("/devices", get(device::list))
        .route("/devices/{device}", get(device::one))
        .route("/devices/{device}/uplinks", get(device::uplinks))
        .route("/devices/{device}/locations", get(device::locations))
        .route("/devices/{device}/series", get(series::series))
        .route("/devices/{device}/decode", post(device::decode))
        .route(
            "/devices/{device}/downlinks",
            get(downlink::list).post(downlink::push).put(downlink::replace).delete(downlink::cancel_all),
        )
        .route("/devices/{device}/downlinks/{item}", delete(downlink::cancel))
        .route("/locations", get(gateway::locations))
        .route("/sources", get(gateway::sources))
        .route("/sync", post(gateway::sync))
        .route("/health", get(gateway::health))
        .route("/settings", get(gateway::settings))
        .route("/log", get(gateway::log))
        .route("/outbox", get(gateway::outbox))
        .route("/events", get(event::events))
        .route("/openapi.json", get(([(CONTENT_TYPE, "application/json")], DOCUMENT)))
        .fallback(answer::no_such_page)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(DefaultBodyLimit::max(super::LARGEST_BODY))
        .with_state(api)
}

/// Does what may have to ask the disk where that holds up nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Refusal::internal()))
}

//! `/api/v1`: what scripts and the web page ask, answered in JSON by the rooms that know.
//!
//! A thin shell: questions go to the views that answer the command line and MQTT, commands to the desk that does those
//! of MQTT. The document of the API is made from the handlers; who may take which path is decided in `access`.

mod ask;
mod device;
mod downlink;
mod event;
mod gateway;
mod refusal;
mod series;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;

use self::refusal::Refusal;
use super::answer;
use crate::command::Rooms;
use crate::control::{self, Desk};
use crate::publish;

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

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sigfox2mqtt",
        version = "1",
        description = "What a gateway knows, and what it can be told. Documents are those of MQTT (docs/mqtt.md). \
                       Where `http.token` is set, every path asks for it; one that changes something takes no \
                       `http.read_token`, and no request of another site's page."
    ),
    servers((url = "/api/v1", description = "This gateway")),
    paths(
        device::list, device::one, device::uplinks, device::locations, device::decode, series::series,
        downlink::list, downlink::push, downlink::replace, downlink::cancel_all, downlink::cancel,
        gateway::locations, gateway::sources, gateway::sync, gateway::health, gateway::settings, gateway::log,
        gateway::outbox, event::events, openapi,
    ),
    modifiers(&Tokens),
)]
struct Document;

/// How a caller shows the token.
struct Tokens;

impl utoipa::Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

        let components = document.components.get_or_insert_default();
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
        let either = ["bearer", "basic"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        document.security = Some([SecurityRequirement::default()].into_iter().chain(either).collect());
    }
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
        .route("/openapi.json", get(openapi))
        .fallback(answer::no_such_page)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(DefaultBodyLimit::max(super::LARGEST_BODY))
        .with_state(api)
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "gateway",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"), Refusal),
)]
async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    std::future::ready(Json(Document::openapi())).await
}

/// Does what may have to ask the disk where that holds up nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Refusal::internal()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_lists_every_route_and_no_other() {
        let (source, _) = include_str!("mod.rs").split_once("#[cfg(test)]").unwrap();
        let routes = source.split(".route(").skip(1).filter_map(|route| {
            let (_, rest) = route.split_once('"')?;
            let (path, handlers) = rest.split_once('"')?;
            let handlers = handlers.split(".fallback(").next()?;
            let methods = ["get", "post", "put", "delete"].into_iter();
            let methods = methods.filter(|method| handlers.contains(&format!("{method}(")));
            Some(methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>())
        });
        let routes: BTreeSet<String> = routes.flatten().collect();
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let described = paths.flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), routes);
        assert_eq!(document["openapi"], "3.1.0");
        assert!(routes.len() > 15, "{routes:?}");
    }

    #[test]
    fn every_answer_of_the_document_has_the_refusals() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                for status in ["200", "401", "403", "404", "405", "503"] {
                    assert!(operation["responses"].get(status).is_some(), "{method} {path}: {status}");
                }
            }
        }
    }
}

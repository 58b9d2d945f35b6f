//! The Sigfox API v1 of the simulated cloud, below `/api`: seconds, objects where v2 has lists, words for numbers.
//!
//! The public service is gone; private ones and its documents remain. Written from the latter.

mod callback;
mod inventory;
mod message;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::shared::Shared;
use super::sigfox_v2::authorize;

/// All paths below `/api`.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let routes: [(&str, MethodRouter<Arc<Shared>>); 29] = [
        ("/groups", get(inventory::groups)),
        ("/groups/{id}", get(inventory::group)),
        ("/users", get(inventory::users)),
        ("/devicetypes", get(inventory::device_types)),
        ("/devicetypes/edit", post(inventory::edit_device_type)),
        ("/devicetypes/geolocs-config", get(inventory::geolocs_config)),
        ("/devicetypes/{id}", get(inventory::device_type)),
        ("/devicetypes/{id}/devices", get(inventory::devices_of_type)),
        ("/devicetypes/{id}/messages", get(message::of_type)),
        ("/devicetypes/{id}/disengage", get(inventory::disengage)),
        ("/devicetypes/{id}/status/error", get(message::errors_of_type)),
        ("/devicetypes/{id}/status/warn", get(message::warnings_of_type)),
        ("/devicetypes/{id}/callbacks", get(callback::list).post(callback::list)),
        ("/devicetypes/{id}/callbacks/new", post(callback::create)),
        ("/devicetypes/{id}/callbacks/{callback}/delete", post(callback::delete)),
        ("/devicetypes/{id}/callbacks/{callback}/enable", post(callback::enable)),
        ("/devicetypes/{id}/callbacks/{callback}/downlink", post(callback::downlink)),
        ("/devices/{id}", get(inventory::device)),
        ("/devices/{id}/token-state", get(inventory::token_state)),
        ("/devices/{id}/networkstate", get(inventory::network_state)),
        ("/devices/{id}/messages", get(message::of_device)),
        ("/devices/{id}/messages/metric", get(message::metric)),
        ("/devices/{id}/locations", get(message::locations)),
        ("/devices/{id}/status/error", get(message::errors_of_device)),
        ("/devices/{id}/status/warn", get(message::warnings_of_device)),
        ("/devices/{id}/consumptions/{year}", get(message::consumptions)),
        ("/callbacks/messages/error", get(callback::undelivered)),
        ("/coverages/redundancy", get(inventory::redundancy)),
        ("/coverages/global/predictions", get(inventory::predictions)),
    ];
    let mut router = Router::new().route("/api/device/{id}/consumptions/{year}", get(message::consumptions));
    for (path, methods) in routes {
        router = router.route(&format!("/api{path}"), methods);
    }
    router.route_layer(from_fn_with_state(Arc::clone(shared), authorize))
}

//! The Sigfox API v2 of the simulated cloud, with and without a slash at the end of collections.
//!
//! Written from the API's description and from what the live service is known to send; where they differ, the
//! live service wins. Knows nothing of our client.

mod callback;
mod inventory;
mod message;
mod place;
mod undelivered;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use base64::Engine as _;

pub(super) use callback::{add_callback, enabled_by, with_callback};
pub(super) use inventory::{CONTRACT, GROUP, change_device_type, existing};
pub(super) use message::metric_of;
pub(super) use undelivered::group_row_of;

use super::answer::Refusal;
use super::shared::Shared;

/// All paths below `/v2`.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let routes: [(&str, MethodRouter<Arc<Shared>>); 27] = [
        ("/device-types", get(inventory::device_types)),
        ("/device-types/{id}", get(inventory::device_type).put(inventory::edit_device_type)),
        ("/device-types/{id}/messages", get(message::of_type)),
        ("/device-types/{id}/disengage", put(inventory::disengage_type)),
        ("/device-types/{id}/callbacks", get(callback::list).post(callback::create)),
        ("/device-types/{id}/callbacks/{callback}", put(callback::update).delete(callback::delete)),
        ("/device-types/{id}/callbacks/{callback}/enable", put(callback::enable)),
        ("/device-types/{id}/callbacks/{callback}/downlink", put(callback::downlink)),
        ("/device-types/{id}/callbacks/{callback}/callbacks-not-delivered", get(undelivered::of_callback)),
        ("/device-types/{id}/callbacks-not-delivered", get(undelivered::of_type)),
        ("/devices", get(inventory::devices)),
        ("/devices/{id}", get(inventory::device)),
        ("/devices/{id}/messages", get(message::of_device)),
        ("/devices/{id}/messages/metric", get(message::metric)),
        ("/devices/{id}/locations", get(message::locations)),
        ("/devices/{id}/callbacks-not-delivered", get(undelivered::of_device)),
        ("/devices/{id}/consumption/{year}", get(message::consumption_of_year)),
        ("/devices/{id}/consumption/{year}/{month}", get(message::consumption_of_month)),
        ("/devices/{id}/disengage", post(inventory::disengage)),
        ("/groups", get(place::groups)),
        ("/groups/{id}", get(place::group)),
        ("/groups/{id}/geoloc-payloads", get(place::geoloc_payloads)),
        ("/groups/{id}/callbacks-not-delivered", get(undelivered::of_group)),
        ("/users", get(place::users)),
        ("/coverages/operators/redundancy", get(place::redundancy)),
        ("/coverages/global/predictions", get(place::predictions).post(place::predictions_of_many)),
        ("/coverages/global/predictions/bulk", post(place::predictions_of_many)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router.route(&format!("/v2{path}"), methods.clone()).route(&format!("/v2{path}/"), methods);
    }
    router
        .fallback(|| async { Refusal::not_found() })
        .layer(from_fn_with_state(Arc::clone(shared), authorize))
}

/// Lets in who shows the API user's login and password by Basic authentication.
pub(super) async fn authorize(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok());
    let right = format!("{}:{}", shared.logins.login, shared.logins.password);
    if shown.is_some_and(|shown| shown == right.as_bytes()) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Sigfox\"")];
    (challenge, Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized")).into_response()
}

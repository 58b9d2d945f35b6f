//! Soracom Air for Sigfox of the simulated clouds, below `/v1`: keys and tokens, devices, Harvest, one slot.
//!
//! Written from Soracom's `OpenAPI` description and from what Harvest is known to hold. Knows nothing of our client.

mod device;
mod harvest;
mod session;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use serde_json::json;

pub(super) use session::Sessions;

use super::answer::Refusal;
use super::shared::Shared;

/// The operator that everything simulated belongs to.
const OPERATOR: &str = "OP0000000000";
/// Requests a minute and kind of path; the real numbers are not published.
const A_MINUTE: usize = 600;
const MINUTE: Duration = Duration::from_secs(60);

/// All paths below `/v1`.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let routes: [(&str, MethodRouter<Arc<Shared>>); 16] = [
        ("/auth/logout", post(session::log_out)),
        ("/operators/{operator}/token", post(session::renew)),
        ("/sigfox_devices", get(device::list)),
        ("/sigfox_devices/{id}", get(device::device)),
        ("/sigfox_devices/{id}/data", get(harvest::of_device).post(device::send)),
        ("/sigfox_devices/{id}/register", post(device::register)),
        ("/sigfox_devices/{id}/set_group", post(device::set_group)),
        ("/sigfox_devices/{id}/unset_group", post(device::unset_group)),
        ("/sigfox_devices/{id}/tags", put(device::put_tags)),
        ("/sigfox_devices/{id}/tags/{tag}", delete(device::delete_tag)),
        ("/sigfox_devices/{id}/enable_termination", post(device::enable_termination)),
        ("/sigfox_devices/{id}/disable_termination", post(device::disable_termination)),
        ("/sigfox_devices/{id}/terminate", post(device::terminate)),
        ("/data/metadata/resources", get(harvest::resources)),
        ("/data/{kind}/{id}", get(harvest::of_resource)),
        ("/data/{kind}/{id}/{time}", get(harvest::entry)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router.route(&format!("/v1{path}"), methods);
    }
    router
        .route_layer(from_fn_with_state(Arc::clone(shared), authorize))
        .route("/v1/auth", post(session::log_in))
        .route_layer(from_fn_with_state(Arc::clone(shared), limit))
}

/// A refusal in Soracom's own shape.
fn refusal(status: StatusCode, code: &str, message: &str) -> Refusal {
    Refusal::with_body(status, json!({ "code": code, "message": message }))
}

/// 404 in Soracom's own shape.
fn not_found() -> Refusal {
    refusal(StatusCode::NOT_FOUND, "SGF0002", "No such Sigfox device found.")
}

/// Lets in who shows a key and a token that belongs to it and has not ended.
async fn authorize(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(holds) = shows_token(&shared, request.headers()) else {
        return refusal(StatusCode::UNAUTHORIZED, "AUM0001", "Token is not specified.").into_response();
    };
    if holds {
        return next.run(request).await;
    }
    // A token that has ended cannot be renewed either; that call says so in a shape of its own.
    if request.uri().path().ends_with("/token") {
        let error = json!({ "code": "AUM0006", "message": "Invalid token." });
        let body = json!({ "httpStatus": 400, "errorMessage": error });
        return Refusal::with_body(StatusCode::BAD_REQUEST, body).into_response();
    }
    refusal(StatusCode::UNAUTHORIZED, "AUM0006", "Invalid token.").into_response()
}

/// Whether the headers' key and token hold; none where they are missing.
fn shows_token(shared: &Shared, headers: &HeaderMap) -> Option<bool> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (key, token) = (header("x-soracom-api-key")?, header("x-soracom-token")?);
    Some(shared.sessions().holds(key, token, shared.now()))
}

/// Counts requests by kind of path and says in every answer what is left.
async fn limit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // The device's id does not make another kind of path.
    let kind: Vec<&str> = request
        .uri()
        .path()
        .split('/')
        .enumerate()
        .filter(|(level, _)| *level != 3)
        .map(|(_, name)| name)
        .collect();
    let within = shared.within_limit(&kind.join("/"), A_MINUTE, MINUTE);
    let mut response = if within {
        next.run(request).await
    } else {
        refusal(StatusCode::TOO_MANY_REQUESTS, "AGW0004", "Too many requests.").into_response()
    };
    let headers = response.headers_mut();
    headers.insert("x-soracom-ratelimit-limit", HeaderValue::from(A_MINUTE));
    headers.insert("x-soracom-ratelimit-remaining", HeaderValue::from(if within { A_MINUTE - 1 } else { 0 }));
    headers.insert("x-soracom-ratelimit-seconds-before-refresh", HeaderValue::from(10));
    response
}

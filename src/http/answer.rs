//! Answers that are not about one page: errors as JSON, and what is not there.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error as JSON: `{"error":{"code","message"}}`.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

/// Why a body could not be read, as JSON.
pub(super) fn unread(rejection: &BytesRejection) -> Response {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            error(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is over 64 KiB")
        }
        _ => error(StatusCode::BAD_REQUEST, "malformed", "the body ends before its end"),
    }
}

pub(super) async fn no_such_page() -> Response {
    std::future::ready(error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")).await
}

pub(super) async fn no_such_method() -> Response {
    let message = "this path does not take this method";
    std::future::ready(error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)).await
}

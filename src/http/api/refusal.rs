//! Why a request is not answered as asked: one shape for all, `{"error":{"code","message"}}`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::RefOr;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response as Described, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::control::Refused;
use crate::http::answer::error;
use crate::store::StoreError;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: String,
    message: String,
}

/// Every refusal that any path may give, and when.
const REFUSALS: [(&str, &str); 11] = [
    ("400", "malformed: what was sent cannot be read, in words"),
    ("401", "unauthorized: no token, or a wrong one"),
    ("403", "read_only, foreign or not_allowed: the token is for reading, or another site's page asks"),
    ("404", "not_found or unknown_item: there is no such path, device or item"),
    ("405", "method_not_allowed: `Allow` says which methods there are"),
    ("409", "in_flight or ended: the downlink cannot be taken back any more"),
    ("413", "too_large: the body is over 64 KiB"),
    ("415", "unsupported_media_type: the body is not JSON"),
    ("422", "rejected: no item was taken, with each one's reason"),
    ("500", "internal: a fault of the gateway's own"),
    ("503", "unavailable: the store does not answer, or too many listen"),
];

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the question could not be answered")
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<Refused> for Refusal {
    fn from(Refused { code, message }: Refused) -> Self {
        let status = match code.as_str() {
            "malformed" => StatusCode::BAD_REQUEST,
            "not_allowed" => StatusCode::FORBIDDEN,
            "not_found" | "unknown_item" => StatusCode::NOT_FOUND,
            "in_flight" | "ended" | "configured" => StatusCode::CONFLICT,
            "rejected" | "refused" => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, code, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        error(self.status, &self.code, &self.message)
    }
}

impl utoipa::IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let error = ObjectBuilder::new()
            .property("code", text().description(Some("For programs.")))
            .property("message", text().description(Some("For people.")))
            .required("code")
            .required("message");
        let schema = ObjectBuilder::new().property("error", error).required("error").build();
        let response = |when: &str| {
            let content = ContentBuilder::new().schema(Some(schema.clone())).build();
            ResponseBuilder::new().description(when).content("application/json", content).build()
        };
        REFUSALS.iter().map(|(status, when)| ((*status).to_owned(), RefOr::T(response(when)))).collect()
    }
}

//! What every simulated API needs to read a question and to refuse it, in the clouds' own words.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::variables::query_encoded;
use crate::model::Timestamp;

/// The address and the query of a request.
#[derive(Debug)]
pub(super) struct Question {
    /// `http://HOST:PORT`, as the client called us.
    base: String,
    path: String,
    query: BTreeMap<String, String>,
}

impl<S: Sync> FromRequestParts<S> for Question {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            base: format!("http://{host}"),
            path: parts.uri.path().to_owned(),
            query: serde_urlencoded::from_str(query).unwrap_or_default(),
        })
    }
}

impl Question {
    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// All parameters of the query.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A whole number of the query.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let number = self.parameter(name).map(str::parse).transpose();
        number.ok().ok_or_else(|| Refusal::parameter(name, "must be a number"))
    }

    /// A time of the query in milliseconds.
    pub(super) fn millis(&self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        Ok(self.number(name)?.map(clamped))
    }

    /// `limit`, 1 to `most`.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        let limit = self.number("limit")?.map(usize::try_from);
        match limit {
            None => Ok(default),
            Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(Refusal::parameter("limit", "out of range")),
        }
    }

    /// `offset`, 0 to 5000 (Sigfox REST v1 document).
    pub(super) fn offset(&self) -> Result<usize, Refusal> {
        let offset = self.number("offset")?.map_or(Ok(0), usize::try_from);
        let offset = offset.ok().filter(|offset| *offset <= 5000);
        offset.ok_or_else(|| Refusal::parameter("offset", "out of range"))
    }

    /// The address of this question with other values in its query; an empty one takes the parameter out.
    pub(super) fn again_with(&self, changes: &[(&str, String)]) -> String {
        let mut query = self.query.clone();
        for (name, value) in changes {
            if value.is_empty() {
                query.remove(*name);
            } else {
                query.insert((*name).to_owned(), value.clone());
            }
        }
        let mut url = format!("{}{}", self.base, self.path);
        for (index, (name, value)) in query.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            // Writing to a String cannot fail.
            let _infallible = write!(url, "{mark}{name}={}", query_encoded(value));
        }
        url
    }
}

/// Milliseconds as a time between 1970 and 2100, whichever end is nearer.
pub(super) fn clamped(milliseconds: i64) -> Timestamp {
    let latest = Timestamp::default().plus(std::time::Duration::MAX);
    if milliseconds < 0 {
        Timestamp::default()
    } else {
        Timestamp::from_millis(milliseconds).unwrap_or(latest)
    }
}

/// Why a question gets no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    /// With the usual body, `{"message": …}`.
    pub(super) fn new(status: StatusCode, message: &str) -> Self {
        Self { status, body: json!({ "message": message }) }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn body(&self) -> &Value {
        &self.body
    }

    /// 404 with the usual body.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 429 with the usual body.
    pub(super) fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests")
    }

    /// 400 for a parameter of the query.
    pub(super) fn parameter(field: &str, message: &str) -> Self {
        Self::field("query", field, message)
    }

    /// 400 for a field of the body.
    pub(super) fn in_body(field: &str, message: &str) -> Self {
        Self::field("body", field, message)
    }

    fn field(place: &str, field: &str, message: &str) -> Self {
        let errors = json!([{ "type": place, "field": field, "message": message }]);
        Self { status: StatusCode::BAD_REQUEST, body: json!({ "message": "bad request", "errors": errors }) }
    }

    /// With a body of the cloud's own shape.
    pub(super) fn with_body(status: StatusCode, body: Value) -> Self {
        Self { status, body }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

/// A JSON answer or a refusal.
pub(super) type Answer = Result<Json<Value>, Refusal>;

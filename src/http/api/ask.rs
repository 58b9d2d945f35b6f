//! What is taken from a request before it is answered: its device, its query, its body. Parse at the edge.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Api, Refusal};
use crate::control::Range;
use crate::http::answer::unread;
use crate::model::{DeviceId, Timestamp};

/// A page has so many rows unless the query says otherwise, and at most so many.
pub(super) const PAGE: (usize, usize) = (100, 500);

/// The device of the path, which is known.
pub(super) struct Known(pub(super) DeviceId);

impl FromRequestParts<Api> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let text = segment(parts, api, "device").await?;
        let id: DeviceId = text.parse().map_err(|error| Refusal::malformed(format!("{error}")))?;
        let device = api.rooms.store.device(id)?;
        device
            .map(|device| Self(device.id))
            .ok_or_else(|| Refusal::not_found(format!("device {id} not found")))
    }
}

/// The downlink of the path, as it is called.
pub(super) struct Item(pub(super) String);

impl FromRequestParts<Api> for Item {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        segment(parts, api, "item").await.map(Self)
    }
}

async fn segment(parts: &mut Parts, api: &Api, name: &str) -> Result<String, Refusal> {
    let segments = RawPathParams::from_request_parts(parts, api).await;
    let segments = segments.map_err(|_no_text| Refusal::malformed("the path is no text"))?;
    let found = segments.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| text.to_owned()).ok_or_else(Refusal::internal)
}

/// The query, of which every key must be known.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let read = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default());
        let read = read.map(Self).map_err(|error| Refusal::malformed(format!("the query: {error}")));
        std::future::ready(read).await
    }
}

/// The body, which is JSON and says so: a form of another site's page cannot.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
            let message = "expected `Content-Type: application/json`";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refusal::new(status, "unsupported_media_type", message).into_response());
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Refusal::malformed(format!("the body: {error}")).into_response())
    }
}

/// Which part of a device's history.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct Span {
    /// From this time on, in RFC 3339.
    #[cfg_attr(test, param(value_type = Option<String>, format = DateTime))]
    from: Option<Timestamp>,
    /// Before this time, in RFC 3339.
    #[cfg_attr(test, param(value_type = Option<String>, format = DateTime))]
    to: Option<Timestamp>,
    /// At most so many, the newest first.
    #[cfg_attr(test, param(minimum = 1, maximum = 500, default = 100))]
    limit: Option<usize>,
    /// Where the page before this one ended: the `cursor` of its answer. Only where an answer has one.
    cursor: Option<String>,
}

impl Span {
    /// As a range of the views.
    pub(super) fn range(&self, device: Option<DeviceId>) -> Result<Range, Refusal> {
        Ok(Range { device, from: self.from, to: self.to, limit: limit(self.limit, PAGE)? })
    }

    /// As the arguments of a request over MQTT.
    pub(super) fn arguments(&self, device: DeviceId) -> Result<Value, Refusal> {
        let limit = limit(self.limit, PAGE)?;
        let Self { from, to, cursor, .. } = self;
        Ok(serde_json::json!({
            "device": device, "from": from, "to": to, "limit": limit, "cursor": cursor, "order": "newest",
        }))
    }
}

/// A number of rows in its bounds.
pub(super) fn limit(asked: Option<usize>, (default, most): (usize, usize)) -> Result<usize, Refusal> {
    match asked.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        other => Err(Refusal::malformed(format!("`limit` is {other} (expected 1 to {most})"))),
    }
}

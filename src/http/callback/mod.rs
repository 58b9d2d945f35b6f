//! `POST /callback/<source>/<kind>`: what the Sigfox cloud tells us, and the answer to a device that asks.
//!
//! The cloud waits 10 s and repeats what was not answered with 2xx after 1, 2 and 4 minutes, so the answer is given
//! after the message is on disk and never later than `DEADLINE`.

mod batch;
mod body;
mod keep;
mod record;
mod variables;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use secrecy::SecretString;

use self::batch::LinePattern;
use self::variables::Variables;
use super::answer::error;
use super::counter::{Count, Counters};
use super::guard::{self, Brake};
use crate::command::Rooms;
use crate::config::Filter;
use crate::downlink::Queues;
use crate::model::SourceName;
use crate::store::Store;

/// The largest body that is read.
const LARGEST: usize = 64 * 1024;

/// How much of a larger body is taken and thrown away, so that its sender reads our 413 and no broken connection.
const DRAIN: usize = 4 * 1024 * 1024;

/// The cloud gives up after 10 s.
const DEADLINE: Duration = Duration::from_secs(9);

/// What a callback is about: the last part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Uplink,
    Bidir,
    Advanced,
    Ack,
    Status,
    Geoloc,
    Error,
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "uplink" => Ok(Self::Uplink),
            "bidir" => Ok(Self::Bidir),
            "advanced" => Ok(Self::Advanced),
            "ack" => Ok(Self::Ack),
            "status" => Ok(Self::Status),
            "geoloc" => Ok(Self::Geoloc),
            "error" => Ok(Self::Error),
            _ => Err(()),
        }
    }
}

/// Why a callback cannot be read, in words for whoever wrote its template.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Malformed(String);

impl Malformed {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// What is wrong with the pattern of a batch's lines, if anything is.
pub(crate) fn batch_pattern_fault(pattern: &str) -> Option<String> {
    LinePattern::parse(pattern).err()
}

/// What takes callbacks, for all sources.
#[derive(Debug)]
pub(super) struct Receiver {
    endpoints: BTreeMap<SourceName, Endpoint>,
    store: Store,
    queues: Queues,
    counters: Arc<Counters>,
    brake: Arc<Brake>,
}

/// A source that takes callbacks.
#[derive(Debug)]
struct Endpoint {
    source: SourceName,
    token: SecretString,
    pattern: Option<LinePattern>,
    overlap: Duration,
    filter: Filter,
}

impl Receiver {
    pub(super) fn new(rooms: &Rooms, counters: Arc<Counters>, brake: Arc<Brake>) -> anyhow::Result<Self> {
        let mut endpoints = BTreeMap::new();
        for source in &rooms.config.sources {
            let Some(token) = source.callback_token.clone() else { continue };
            let pattern = source.callback_batch.as_deref().map(LinePattern::parse).transpose();
            let pattern = pattern
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("sources.{}.callback_batch", source.name))?;
            let endpoint = Endpoint {
                source: source.name.clone(),
                token,
                pattern,
                overlap: source.overlap,
                filter: source.filter.clone(),
            };
            endpoints.insert(source.name.clone(), endpoint);
        }
        let (store, queues) = (rooms.store.clone(), rooms.queues.clone());
        Ok(Self { endpoints, store, queues, counters, brake })
    }
}

/// Takes one request, in whatever shape its template gave it.
pub(super) async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path((source, kind)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let endpoint = source.parse::<SourceName>().ok().and_then(|name| receiver.endpoints.get(&name));
    let (Some(endpoint), Ok(kind)) = (endpoint, kind.parse::<Kind>()) else {
        let message = "no source of this name takes callbacks, or they are of no such kind \
                       (uplink bidir advanced ack status geoloc error)";
        return error(StatusCode::NOT_FOUND, "not_found", message);
    };
    if !matches!(method, Method::GET | Method::POST | Method::PUT) {
        return error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "expected POST, PUT or GET");
    }
    if !guard::presents(&headers, &endpoint.token) {
        receiver.counters.count(Count::Unauthorized);
        receiver.brake.slow("callback").await;
        let message = "expected the callback token as `Authorization: Bearer …` or as the password of Basic";
        return error(StatusCode::UNAUTHORIZED, "unauthorized", message);
    }
    let answer = async {
        let body = match read_body(&headers, body).await {
            Ok(body) => body,
            Err(fault) => return receiver.refuse(fault),
        };
        let query = query.unwrap_or_default();
        match body::read(query.as_bytes(), &body, endpoint.pattern.as_ref()) {
            Ok(callbacks) => receiver.keep(endpoint, kind, callbacks).await,
            Err(malformed) => receiver.malformed(endpoint, kind, &malformed),
        }
    };
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(response) => response,
        // What is being written is written or not: the cloud asks again, and gets the same answer.
        Err(_elapsed) => receiver.unavailable("not kept within 9 s"),
    }
}

impl Receiver {
    fn refuse(&self, fault: BodyFault) -> Response {
        match fault {
            BodyFault::TooLarge => {
                self.counters.count(Count::TooLarge);
                error(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is over 64 KiB")
            }
            BodyFault::Broken => {
                self.counters.count(Count::Malformed);
                error(StatusCode::BAD_REQUEST, "malformed", "the body ends before its end")
            }
        }
    }

    fn malformed(&self, endpoint: &Endpoint, kind: Kind, malformed: &Malformed) -> Response {
        self.note_malformed(endpoint, kind, malformed);
        error(StatusCode::BAD_REQUEST, "malformed", &malformed.0)
    }

    fn note_malformed(&self, endpoint: &Endpoint, kind: Kind, malformed: &Malformed) {
        self.counters.count(Count::Malformed);
        tracing::debug!(source = %endpoint.source, ?kind, reason = malformed.0, "malformed callback");
    }

    /// The cloud repeats what is answered so.
    fn unavailable(&self, message: &str) -> Response {
        self.counters.count(Count::Failed);
        error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }
}

#[derive(Clone, Copy)]
enum BodyFault {
    TooLarge,
    Broken,
}

/// Reads a body of at most 64 KiB; of a larger one some is read on, for the sender's sake.
async fn read_body(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, BodyFault> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > DRAIN) {
        return Err(BodyFault::TooLarge);
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Err(BodyFault::Broken) };
        length = length.saturating_add(chunk.len());
        if length > DRAIN {
            break;
        }
        if length <= LARGEST {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > LARGEST { Err(BodyFault::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;

//! What happens to every request before and after its API: it is counted, and the script's faults strike.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::Refusal;
use super::connection::Cutter;
use super::fault::FaultKind;
use super::shared::Shared;
use crate::model::Timestamp;

/// Our own answers are never longer.
const LONGEST: usize = 16 * 1024 * 1024;
const MEBIBYTE: usize = 1024 * 1024;

pub(super) async fn intercept(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/sim/") {
        return next.run(request).await;
    }
    shared.count(format!("{} {path}", request.method()));
    let address = request.uri().path_and_query().map_or(path, ToString::to_string);
    let mut response = match shared.strike(&address) {
        None => next.run(request).await,
        Some(fault) => go_wrong(fault, cutter, address, request, next).await,
    };
    if let Some(date) = http_date(shared.now()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// What the world's clock shows, as a header; the server's own would be the wall clock's.
fn http_date(now: Timestamp) -> Option<HeaderValue> {
    let date = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
    HeaderValue::from_str(&date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

async fn go_wrong(
    fault: FaultKind,
    cutter: Cutter,
    address: String,
    request: Request,
    next: Next,
) -> Response {
    tracing::debug!(?fault, address, "fault strikes");
    let own = match request.headers().get("host").and_then(|host| host.to_str().ok()) {
        Some(host) => format!("http://{host}{address}"),
        None => address,
    };
    match fault {
        FaultKind::Status(status, again_after_s) => refuse(request.uri().path(), status, again_after_s),
        FaultKind::Timeout(span) => {
            tokio::time::sleep(span).await;
            cutter.cut();
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        FaultKind::Slow(span) => {
            tokio::time::sleep(span).await;
            next.run(request).await
        }
        FaultKind::Drop => {
            cutter.cut();
            StatusCode::BAD_GATEWAY.into_response()
        }
        FaultKind::Html => {
            let page = "<html><body><h1>Scheduled maintenance</h1></body></html>";
            ([(CONTENT_TYPE, HeaderValue::from_static("text/html"))], page).into_response()
        }
        FaultKind::Huge(mebibytes) => huge(mebibytes),
        FaultKind::Truncate => change(next.run(request).await, |bytes| bytes.slice(..bytes.len() / 2)).await,
        FaultKind::Loop => linked_to(next.run(request).await, &own).await,
        FaultKind::Elsewhere => {
            linked_to(next.run(request).await, "https://attacker.example/v2/devices/1/messages?before=1")
                .await
        }
        FaultKind::BadRow => change(next.run(request).await, |bytes| rewritten(&bytes, spoil)).await,
    }
}

/// Each cloud has its own shape of an error and its own way to say when to come again.
fn refuse(path: &str, status: u16, again_after_s: Option<u32>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = status.canonical_reason().unwrap_or("error");
    let (body, again) = if path.starts_with("/v1/") {
        let again = HeaderName::from_static("x-soracom-ratelimit-seconds-before-refresh");
        (json!({ "code": "AGW0005", "message": message }), again)
    } else {
        (json!({ "message": message }), RETRY_AFTER)
    };
    let mut response = Refusal::with_body(status, body).into_response();
    if let Some(seconds) = again_after_s {
        response.headers_mut().insert(again, HeaderValue::from(seconds));
    }
    response
}

/// A body that would be valid JSON if anyone read it to its end.
fn huge(mebibytes: u32) -> Response {
    let chunk = Bytes::from(vec![b' '; MEBIBYTE]);
    let padding = (0..mebibytes).map(move |_| Ok::<_, std::convert::Infallible>(chunk.clone()));
    let rows = [Ok(Bytes::from_static(b"{\"data\":["))];
    let end = [Ok(Bytes::from_static(b"]}"))];
    let stream = futures_util::stream::iter(rows.into_iter().chain(padding).chain(end));
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from_stream(stream))
        .into_response()
}

/// The answer with another next page: in its body as Sigfox names it, or in its headers as Soracom does.
async fn linked_to(mut response: Response, next: &str) -> Response {
    if response.headers().contains_key("x-soracom-next-key") {
        response.headers_mut().insert("x-soracom-next-key", HeaderValue::from_static("7BFD2A"));
        return response;
    }
    let link = |body: &mut Value| {
        if let Some(body) = body.as_object_mut() {
            body.insert("paging".to_owned(), json!({ "next": next }));
        }
    };
    change(response, |bytes| rewritten(&bytes, link)).await
}

/// One row in front of the good ones that is none.
fn spoil(body: &mut Value) {
    let rows = match body {
        Value::Object(body) => body.get_mut("data").and_then(Value::as_array_mut),
        Value::Array(rows) => Some(rows),
        _ => None,
    };
    if let Some(rows) = rows {
        rows.insert(0, json!({ "device": { "id": "not hex" }, "time": "soon", "data": 17 }));
    }
}

fn rewritten(bytes: &Bytes, change: impl FnOnce(&mut Value)) -> Bytes {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut body) => {
            change(&mut body);
            Bytes::from(body.to_string())
        }
        Err(_) => bytes.clone(),
    }
}

async fn change(response: Response, change: impl FnOnce(Bytes) -> Bytes) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, LONGEST).await.unwrap_or_default();
    parts.headers.remove("content-length");
    Response::from_parts(parts, Body::from(change(bytes)))
}

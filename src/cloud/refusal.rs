//! What an answer says beside its body: why it is none, how long to wait, what the cloud's clock shows. No I/O.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::Error;
use crate::clock;
use crate::model::Timestamp;

/// What a status that is no 2xx means for the caller.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], asked: &str) -> Error {
    let asked = asked.to_owned();
    let says = says(body);
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { asked },
        StatusCode::FORBIDDEN => Error::Forbidden { asked, says },
        StatusCode::NOT_FOUND => Error::NotFound { asked },
        StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { asked, after: wait(headers) },
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            let detail = if says.is_empty() { String::new() } else { format!(" ({says})") };
            Error::Retry { asked, why: format!("{status}{detail}"), after: wait(headers), answered: true }
        }
        _ if status.is_redirection() => Error::Refused {
            asked,
            status: status.as_u16(),
            says: "it redirects to another host or in a circle, which is not followed".to_owned(),
        },
        _ => Error::Refused { asked, status: status.as_u16(), says },
    }
}

/// How long to wait: Soracom's own header, or `Retry-After` in seconds or as a date, which is one by the cloud's clock.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
    seconds("x-soracom-ratelimit-seconds-before-refresh").or_else(|| seconds("retry-after")).or_else(|| {
        let until = http_date(headers.get("retry-after")?)?;
        let now = headers.get("date").and_then(http_date).unwrap_or_else(clock::now);
        Some(until.since(now))
    })
}

/// How long nothing more is to be asked of this path, if its quota is used up (Soracom's `X-Soracom-Ratelimit-…`).
pub(super) fn used_up(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let left = number("x-soracom-ratelimit-remaining")?;
    let refresh = number("x-soracom-ratelimit-seconds-before-refresh")?;
    (left == 0).then(|| Duration::from_secs(refresh))
}

pub(super) fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(value.to_str().ok()?).ok()?;
    Timestamp::from_millis(date.timestamp().as_millisecond())
}

/// What a cloud says about an error, in whichever shape: `message` with `errors`, `code` with `message`, or
/// that nested in `errorMessage` or `error`. A page of HTML says nothing.
fn says(body: &[u8]) -> String {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return String::new();
    };
    let inner = ["errorMessage", "error"].into_iter().find_map(|key| object.get(key)?.as_object());
    let object = inner.unwrap_or(&object);
    let text =
        |object: &serde_json::Map<String, Value>, key: &str| object.get(key)?.as_str().map(str::to_owned);
    let mut parts: Vec<String> =
        ["code", "message", "error_description"].into_iter().filter_map(|key| text(object, key)).collect();
    for error in object.get("errors").and_then(Value::as_array).into_iter().flatten().take(5) {
        if let Some(error) = error.as_object() {
            let field = text(error, "field").unwrap_or_default();
            parts.push(format!("{field} {}", text(error, "message").unwrap_or_default()).trim().to_owned());
        }
    }
    parts.join(": ").chars().filter(|char| !char.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cloud_says_is_found_in_every_shape() {
        for (body, expected) in [
            (
                r#"{"message":"bad request","errors":[{"type":"query","field":"since","message":"must be a number"}]}"#,
                "bad request: since must be a number",
            ),
            (r#"{"code":"AUM0002","message":"Invalid username."}"#, "AUM0002: Invalid username."),
            (
                r#"{"httpStatus":400,"errorMessage":{"code":"AUM0001","message":"No token."}}"#,
                "AUM0001: No token.",
            ),
            (
                r#"{"error":"invalid_client","error_description":"Client authentication failed"}"#,
                "Client authentication failed",
            ),
            ("<html><body><h1>502 Bad Gateway</h1></body></html>", ""),
            ("", ""),
        ] {
            assert_eq!(says(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn how_long_to_wait_is_read_from_either_header() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )])
        };
        assert_eq!(wait(&headers("retry-after", "7")), Some(Duration::from_secs(7)));
        assert_eq!(
            wait(&headers("x-soracom-ratelimit-seconds-before-refresh", "10")),
            Some(Duration::from_secs(10))
        );
        assert_eq!(wait(&headers("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        assert_eq!(wait(&headers("retry-after", "soon")), None);
        // Whatever our clock says.
        let mut dated = headers("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
        dated.extend(headers("date", "Wed, 21 Oct 2015 07:27:30 GMT"));
        assert_eq!(wait(&dated), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_quota_is_used_up_when_nothing_remains() {
        for (remaining, refresh, expected) in
            [("59", "10", None), ("0", "10", Some(10)), ("0", "soon", None), ("-1", "10", None)]
        {
            let headers = HeaderMap::from_iter([
                ("x-soracom-ratelimit-remaining".parse().unwrap(), HeaderValue::from_static(remaining)),
                (
                    "x-soracom-ratelimit-seconds-before-refresh".parse().unwrap(),
                    HeaderValue::from_static(refresh),
                ),
            ]);
            assert_eq!(used_up(&headers), expected.map(Duration::from_secs), "{remaining} {refresh}");
        }
    }
}

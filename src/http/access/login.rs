//! Logging in by form and out again: the token once, then a cookie.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use uuid::Uuid;

use super::session::{self, IDLE};
use super::{Access, Verdict, is_for_a_person, origin};
use crate::http::answer::{error, unread};

/// What the form asks for.
#[derive(Deserialize)]
struct Form {
    token: String,
    /// The page to go on with, as `form_for` wrote it.
    #[serde(default)]
    next: String,
}

/// `POST /login`: the token as a form, answered with the cookie and the way to the page. A person who got it wrong
/// is led back to the form, `login?wrong`.
pub(in crate::http) async fn log_in(
    State(access): State<Arc<Access>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&rejection),
    };
    if let Some(why) = access.refuses_login(&headers) {
        return access.refuse(Verdict::Foreign(why), &Uri::default(), &headers).await;
    }
    let Ok(form) = serde_urlencoded::from_bytes::<Form>(&body) else {
        return error(StatusCode::BAD_REQUEST, "malformed", "expected a form with `token`");
    };
    let next = if is_ours(&form.next) { form.next.as_str() } else { "./" };
    if access.is_open() {
        return see(next);
    }
    let Some(grant) = access.grant_of(form.token.as_bytes()) else {
        access.slow().await;
        if is_for_a_person(&headers) {
            return see(&format!("login?wrong&next={}", encoded(next)));
        }
        return error(StatusCode::UNAUTHORIZED, "unauthorized", "this is not the token");
    };
    // The system's random numbers, 244 bits of them.
    let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    access.sessions().begin(id.clone(), grant, Instant::now());
    with_cookie(see(next), &access.cookie(&headers, &id, IDLE.as_secs()))
}

/// `POST /logout`: ends the session.
pub(in crate::http) async fn log_out(State(access): State<Arc<Access>>, headers: HeaderMap) -> Response {
    if let Some(why) = access.refuses_login(&headers) {
        return access.refuse(Verdict::Foreign(why), &Uri::default(), &headers).await;
    }
    if let Some(id) = session::id(&headers, &access.cookie) {
        access.sessions().end(id);
    }
    with_cookie(see("login"), &access.cookie(&headers, "", 0))
}

impl Access {
    /// Another site must not log a visitor in or out either.
    fn refuses_login(&self, headers: &HeaderMap) -> Option<&'static str> {
        if self.is_open() && !origin::names_this_machine(headers) {
            return Some("without `http.token` nobody logs in from elsewhere");
        }
        origin::is_foreign(&Method::POST, headers).then_some("a page of another site may not log in")
    }

    /// The cookie of a session. Secure also where a proxy before us speaks https.
    fn cookie(&self, headers: &HeaderMap, id: &str, age_s: u64) -> String {
        let forwarded = headers.get("x-forwarded-proto").is_some_and(|value| value == "https");
        let secure = if self.is_https || forwarded { "; Secure" } else { "" };
        format!("{}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_s}{secure}", self.cookie)
    }
}

/// The way from a page to the login form and back. Relative, so that it is right behind a proxy that shows the
/// gateway below a path of its own.
pub(super) fn form_for(uri: &Uri) -> String {
    let page = uri.path_and_query().map_or("", |page| page.as_str()).trim_start_matches('/');
    let depth = uri.path().trim_start_matches('/').matches('/').count();
    format!("{}login?next={}", "../".repeat(depth), encoded(page))
}

/// Whether a place to go on is one of our pages: a relative path, so neither a host nor a scheme.
fn is_ours(next: &str) -> bool {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b'\\'));
    !next.is_empty() && is_plain && !next.starts_with('/')
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn see(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_unprintable) => StatusCode::NO_CONTENT.into_response(),
    }
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_found_from_every_page_and_leads_back() {
        for (page, form) in [
            ("/", "login?next="),
            ("/sources", "login?next=sources"),
            ("/device/1A2B3C?range=7d", "../login?next=device%2F1A2B3C%3Frange%3D7d"),
        ] {
            assert_eq!(form_for(&page.parse().unwrap()), form);
        }
    }

    #[test]
    fn nobody_is_led_to_another_host() {
        for (next, ours) in [
            ("sources", true),
            ("device/1A2B3C?range=7d", true),
            ("", false),
            ("/sources", false),
            ("//evil.example", false),
            ("\\\\evil.example", false),
            ("https://evil.example", false),
            ("javascript:alert(1)", false),
            ("a b", false),
            ("a\r\nSet-Cookie", false),
        ] {
            assert_eq!(is_ours(next), ours, "{next}");
        }
    }
}

//! Who may see the web page, the API and the metrics, and who may change something through them.
//!
//! `admit` stands before every route that shows something; a route behind it reads the caller's `Grant` from
//! `Extension<Grant>`. Callbacks have tokens of their own and never come by here, nor does health.

mod login;
mod origin;
mod session;
mod shield;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;

use self::session::Sessions;
use super::answer::error;
use super::counter::{Count, Counters};
use super::guard::{self, Brake};
use crate::config::Http;

pub(super) use login::{log_in, log_out};
pub(super) use shield::shield;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// Look at everything.
    Read,
    /// Also push downlinks, make sources poll and so on.
    Write,
}

/// The tokens, who has shown one, and how strangers are slowed.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<SecretString>,
    read_token: Option<SecretString>,
    /// Only this machine reaches the listener.
    is_local: bool,
    is_https: bool,
    cookie: String,
    sessions: Mutex<Sessions>,
    brake: Arc<Brake>,
    counters: Arc<Counters>,
}

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Granted(Grant),
    /// Another site's page sent it, or it names a host that this gateway is not.
    Foreign(&'static str),
    /// It shows no token, or a wrong one.
    Unknown {
        is_wrong: bool,
    },
    /// The token is for reading.
    ReadOnly,
}

impl Access {
    /// The access of a listener. `gateway` keeps apart the cookies of two gateways on one host: cookies do not know
    /// ports.
    pub(super) fn new(settings: &Http, gateway: &str, brake: Arc<Brake>, counters: Arc<Counters>) -> Self {
        Self {
            token: settings.token.clone(),
            read_token: settings.read_token.clone(),
            is_local: settings.listen.ip().is_loopback(),
            is_https: settings.tls.is_some(),
            cookie: format!("sigfox2mqtt-{gateway}"),
            sessions: Mutex::default(),
            brake,
            counters,
        }
    }

    /// Whether a token is asked for at all. Without one the listener is on a loopback address, which the
    /// configuration's check sees to.
    fn is_open(&self) -> bool {
        self.token.is_none()
    }

    fn judge(&self, method: &Method, headers: &HeaderMap, now: Instant) -> Verdict {
        if self.is_open() && !origin::names_this_machine(headers) {
            return Verdict::Foreign(
                "without `http.token` the gateway is shown under the name localhost or a loopback address only",
            );
        }
        if origin::is_foreign(method, headers) {
            return Verdict::Foreign("a page of another site may not send this");
        }
        match self.grant(headers, now) {
            Some(Grant::Read) if !is_reading(method) => Verdict::ReadOnly,
            Some(grant) => Verdict::Granted(grant),
            None => Verdict::Unknown { is_wrong: headers.contains_key(AUTHORIZATION) },
        }
    }

    fn grant(&self, headers: &HeaderMap, now: Instant) -> Option<Grant> {
        if self.is_open() {
            return Some(Grant::Write);
        }
        if headers.contains_key(AUTHORIZATION) {
            return self.grant_of(&guard::presented(headers)?);
        }
        let id = session::id(headers, &self.cookie)?;
        self.sessions().grant(id, now)
    }

    /// What a token is good for; both are compared, so that the time does not tell which was nearer.
    fn grant_of(&self, presented: &[u8]) -> Option<Grant> {
        let is = |token: &Option<SecretString>| {
            token.as_ref().is_some_and(|token| guard::is_token(presented, token))
        };
        match (is(&self.token), is(&self.read_token)) {
            (true, _) => Some(Grant::Write),
            (false, true) => Some(Grant::Read),
            (false, false) => None,
        }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        // A panic under the lock cannot leave a session half made.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a wrong token, and returns when it may be answered.
    async fn slow(&self) {
        self.counters.count(Count::Unauthorized);
        self.brake.slow("web").await;
    }

    async fn refuse(&self, verdict: Verdict, uri: &Uri, headers: &HeaderMap) -> Response {
        match verdict {
            Verdict::Foreign(why) => error(StatusCode::FORBIDDEN, "foreign", why),
            Verdict::ReadOnly => {
                error(StatusCode::FORBIDDEN, "read_only", "this token may look and change nothing")
            }
            Verdict::Unknown { is_wrong } => {
                if is_wrong {
                    self.slow().await;
                }
                unknown(uri, headers)
            }
            // Not refused; the caller has let it in.
            Verdict::Granted(_) => StatusCode::OK.into_response(),
        }
    }
}

/// Lets in who may: the layer before the web page and the API.
pub(super) async fn admit(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    match access.judge(request.method(), request.headers(), Instant::now()) {
        Verdict::Granted(grant) => {
            request.extensions_mut().insert(grant);
            next.run(request).await
        }
        refused => access.refuse(refused, request.uri(), request.headers()).await,
    }
}

/// Lets in who may read the metrics: on a loopback address also without the token, because they hold no secret and
/// what collects them there is this machine's own.
pub(super) async fn admit_metrics(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let verdict = access.judge(request.method(), request.headers(), Instant::now());
    let is_neighbour = access.is_local && origin::names_this_machine(request.headers());
    match verdict {
        Verdict::Granted(_) => next.run(request).await,
        Verdict::Unknown { is_wrong: false } if is_neighbour => next.run(request).await,
        refused => access.refuse(refused, request.uri(), request.headers()).await,
    }
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A person is led to the login form, a program is told.
fn unknown(uri: &Uri, headers: &HeaderMap) -> Response {
    if is_for_a_person(headers) && !uri.path().starts_with("/api/") {
        let location = HeaderValue::from_str(&login::form_for(uri));
        if let Ok(location) = location {
            return (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response();
        }
    }
    let message = "expected the token as `Authorization: Bearer …`, as the password of Basic, or a login";
    let mut response = error(StatusCode::UNAUTHORIZED, "unauthorized", message);
    let scheme = HeaderValue::from_static("Bearer realm=\"sigfox2mqtt\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

/// Whether a browser shows the answer as a page.
pub(super) fn is_for_a_person(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests;

//! The session of a Soracom client: begun with an `AuthKey`, renewed before it ends, begun again when the cloud
//! says that it has ended. `/auth` is limited by address, so a session is worth keeping over a restart.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock;
use crate::cloud::Error;
use crate::cloud::http::{Ask, Content, Http, sensitive};
use crate::cloud::row::Row;
use crate::model::Timestamp;

/// What is asked for; the answer does not say when the token ends.
const LIFETIME: Duration = Duration::from_secs(86_400);
/// Where a token could not be replaced, it is tried again after this; the old one opens the account until its end.
const RENEW_AGAIN: Duration = Duration::from_secs(60);
/// A token is replaced after this much of its life.
const RENEW_AFTER: Duration = Duration::from_secs(86_400 * 8 / 10);

/// A session. Its serialised form is a secret: it opens the account until it ends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    api_key: String,
    token: String,
    begun: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session begun {}", self.begun)
    }
}

impl Session {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.begun) < RENEW_AFTER && self.begun <= now
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.begun) >= LIFETIME || self.begun > now
    }
}

/// Keeps the session of one client. One request at a time begins a session; the others wait for it.
#[derive(Debug)]
pub(in crate::cloud) struct SessionKeeper {
    auth_key_id: String,
    auth_key: SecretString,
    current: Mutex<Current>,
}

/// A client's session.
#[derive(Debug, Default)]
struct Current {
    /// How many were begun before it.
    number: u64,
    session: Option<Session>,
    /// No other is asked for before this.
    not_before: Option<Instant>,
}

impl SessionKeeper {
    pub(super) fn new(auth_key_id: &str, auth_key: &SecretString, kept: Option<Session>) -> Self {
        let current = Mutex::new(Current { session: kept, ..Current::default() });
        Self { auth_key_id: auth_key_id.to_owned(), auth_key: auth_key.clone(), current }
    }

    /// The headers of the current session, and its number.
    pub(in crate::cloud) async fn headers(&self, http: &Http) -> Result<(HeaderMap, u64), Error> {
        let mut current = self.current.lock().await;
        self.renew(&mut current, http).await?;
        let mut headers = HeaderMap::new();
        if let Some(session) = &current.session {
            headers.insert("x-soracom-api-key", sensitive(&session.api_key)?);
            headers.insert("x-soracom-token", sensitive(&session.token)?);
        }
        headers.insert("x-soracom-lang", reqwest::header::HeaderValue::from_static("en"));
        Ok((headers, current.number))
    }

    /// Begins a session where there is none that is fresh. A login that fails for the moment hinders nobody for as
    /// long as the old session lasts.
    async fn renew(&self, current: &mut Current, http: &Http) -> Result<(), Error> {
        let now = clock::now();
        let lasting = current.session.as_ref().filter(|session| !session.is_over(now));
        let is_early = current.not_before.is_some_and(|until| Instant::now() < until);
        if lasting.is_some_and(|session| is_early || session.is_fresh(now)) {
            return Ok(());
        }
        match self.begin(http).await {
            Ok(session) => {
                *current = Current { number: current.number + 1, session: Some(session), not_before: None };
                Ok(())
            }
            Err(error) if lasting.is_some() && error.is_passing() => {
                tracing::debug!(%error, "the session goes on, a new one could not be begun");
                current.not_before = Some(Instant::now() + RENEW_AGAIN);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets the session with this number, unless another has been begun since.
    pub(in crate::cloud) async fn forget(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.number == number {
            current.session = None;
        }
    }

    /// The current session, to be kept over a restart.
    pub(in crate::cloud) async fn current(&self) -> Option<Session> {
        self.current.lock().await.session.clone()
    }

    async fn begin(&self, http: &Http) -> Result<Session, Error> {
        let asked = "a session";
        let begun = clock::now();
        let body = json!({
            "authKeyId": self.auth_key_id,
            "authKey": self.auth_key.expose_secret(),
            "tokenTimeoutSeconds": LIFETIME.as_secs(),
        });
        let ask = Ask {
            method: Method::POST,
            url: http.url(&["auth"], &[]),
            headers: HeaderMap::new(),
            body: Some(Content::Json(body)),
            asked,
        };
        let answer = http.send(ask).await.map_err(|error| match error {
            // Wrong credentials are answered with 400 or 401, by the code of the error.
            Error::Refused { status: 400, .. } => Error::Unauthorized { asked: asked.to_owned() },
            other => other,
        })?;
        let malformed = || Error::Malformed { asked: asked.to_owned(), why: "it holds no token".to_owned() };
        let value = serde_json::from_slice(&answer.body).ok().ok_or_else(malformed)?;
        let row = Row::of(&value).ok_or_else(malformed)?;
        let (api_key, token) = row.name("apiKey").zip(row.name("token")).ok_or_else(malformed)?;
        Ok(Session { api_key, token, begun })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_replaced_before_it_ends_and_prints_no_secret() {
        let begun: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let session = Session { api_key: "api-hunter2".to_owned(), token: "hunter2".to_owned(), begun };
        for (hours, fresh) in [(0, true), (19, true), (20, false), (48, false)] {
            assert_eq!(session.is_fresh(begun.plus(Duration::from_secs(hours * 3600))), fresh, "{hours} h");
        }
        for before in [begun.minus(Duration::from_secs(1)), Timestamp::default()] {
            assert!(
                !session.is_fresh(before) && session.is_over(before),
                "a clock that went back or is not set"
            );
        }
        let of_1970 = Session { begun: Timestamp::default(), ..session.clone() };
        assert!(of_1970.is_over(begun), "begun before the clock was set");
        assert!(!format!("{session:?}").contains("hunter2"));
    }
}

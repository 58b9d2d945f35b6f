//! Tokens: compared in constant time; wrong ones are slowed, and logged at most once a minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

/// How many wrong tokens are made to wait at once: a quarter of the connections that there may be. More are told at once,
/// so that they hold none of those that right ones need.
const WAITING: usize = 64;

/// The first wait, and the longest: each wrong token of the same minute adds the first.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

const MINUTE: Duration = Duration::from_secs(60);

/// Whether a request presents this token, as Bearer or as the password of Basic.
pub(super) fn presents(headers: &HeaderMap, token: &SecretString) -> bool {
    presented(headers).is_some_and(|presented| is_token(&presented, token))
}

/// The token that a request presents, right or wrong.
pub(super) fn presented(headers: &HeaderMap) -> Option<Vec<u8>> {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, credentials) = text.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(credentials.trim().as_bytes().to_vec())
    } else if scheme.eq_ignore_ascii_case("basic") {
        password(credentials.trim())
    } else {
        None
    }
}

/// Whether this is the token, in a time that does not tell how much of it is right.
pub(super) fn is_token(presented: &[u8], token: &SecretString) -> bool {
    presented.ct_eq(token.expose_secret().as_bytes()).into()
}

fn password(credentials: &str) -> Option<Vec<u8>> {
    let pair = STANDARD.decode(credentials).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    pair.get(colon.checked_add(1)?..).map(<[u8]>::to_vec)
}

/// Slows down whoever tries tokens.
#[derive(Debug)]
pub(super) struct Brake {
    strikes: Mutex<Strikes>,
    waiting: Semaphore,
}

impl Default for Brake {
    fn default() -> Self {
        Self { strikes: Mutex::default(), waiting: Semaphore::new(WAITING) }
    }
}

impl Brake {
    /// Takes note of a wrong token, and returns when it may be answered.
    pub(super) async fn slow(&self, what: &str) {
        let strike = self.strikes.lock().unwrap_or_else(PoisonError::into_inner).add(Instant::now());
        if let Some(unlogged) = strike.log {
            tracing::warn!(what, unlogged, "wrong token");
        }
        if let Ok(_permit) = self.waiting.try_acquire() {
            tokio::time::sleep(strike.wait).await;
        }
    }
}

#[derive(Debug, Default)]
struct Strikes {
    minute: Option<Instant>,
    in_minute: u32,
    logged: Option<Instant>,
    unlogged: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Strike {
    wait: Duration,
    /// Whether this one is logged, with how many before it were not.
    log: Option<u64>,
}

impl Strikes {
    fn add(&mut self, now: Instant) -> Strike {
        let is_over = |start: Instant| now.duration_since(start) >= MINUTE;
        if self.minute.is_none_or(is_over) {
            self.minute = Some(now);
            self.in_minute = 0;
        }
        self.in_minute = self.in_minute.saturating_add(1);
        let wait = WAIT.0.saturating_mul(self.in_minute).min(WAIT.1);
        if self.logged.is_none_or(is_over) {
            self.logged = Some(now);
            return Strike { wait, log: Some(std::mem::take(&mut self.unlogged)) };
        }
        self.unlogged = self.unlogged.saturating_add(1);
        Strike { wait, log: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_as_bearer_or_as_the_password_of_basic() {
        let token = SecretString::from("s3cret:x");
        for (header, expected) in [
            ("Bearer s3cret:x", true),
            ("bearer  s3cret:x ", true),
            ("Basic c2lnZm94OnMzY3JldDp4", true), // sigfox:s3cret:x
            ("Basic OnMzY3JldDp4", true),         // :s3cret:x
            ("Basic czNjcmV0Ong=", false),        // s3cret:x as user and password
            ("Bearer s3cret:", false),
            ("Bearer s3cret:xx", false),
            ("Bearer", false),
            ("Basic !!!", false),
            ("Basic bm9jb2xvbg==", false),
            ("s3cret:x", false),
            ("Digest s3cret:x", false),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, header.parse().unwrap())]);
            assert_eq!(presents(&headers, &token), expected, "{header}");
        }
        assert!(!presents(&HeaderMap::new(), &token));
    }

    #[test]
    fn a_thousand_wrong_tokens_wait_longer_and_are_logged_once_a_minute() {
        let mut strikes = Strikes::default();
        let start = Instant::now();
        assert_eq!(strikes.add(start), Strike { wait: Duration::from_millis(100), log: Some(0) });
        for _ in 1..1000 {
            assert_eq!(strikes.add(start).log, None);
        }
        assert_eq!(strikes.add(start).wait, Duration::from_secs(1));
        let later = start + MINUTE;
        assert_eq!(strikes.add(later), Strike { wait: Duration::from_millis(100), log: Some(1000) });
    }
}

//! The token of a client: asked for with client credentials, replaced before it ends or when the studio refuses it,
//! given back at the end.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::Login;
use crate::clock;
use crate::cloud::Error;
use crate::cloud::http::{Answer, Ask, Content, Http, sensitive};
use crate::cloud::row::Row;
use crate::model::Timestamp;

/// How long a token lives whose answer does not say it.
const LIFE: Duration = Duration::from_secs(3600);

/// A token.
#[derive(Debug, Clone)]
struct Token {
    text: SecretString,
    begun: Timestamp,
    life: Duration,
}

impl Token {
    /// The last tenth of its life is for requests that are on their way.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.begun) < self.life * 9 / 10 && self.begun <= now
    }
}

/// Keeps the token of one client. One request at a time asks for one; the others wait for it.
#[derive(Debug)]
pub(in crate::cloud) struct TokenKeeper {
    login: Login,
    scope: String,
    current: Mutex<(u64, Option<Token>)>,
}

impl TokenKeeper {
    pub(super) fn new(login: &Login, scope: &str) -> Self {
        Self { login: login.clone(), scope: scope.to_owned(), current: Mutex::new((0, None)) }
    }

    /// The headers of the current token, and its number.
    pub(in crate::cloud) async fn headers(&self, http: &Http) -> Result<(HeaderMap, u64), Error> {
        let mut current = self.current.lock().await;
        let token = match current.1.take().filter(|token| token.is_fresh(clock::now())) {
            Some(token) => token,
            None => {
                current.0 += 1;
                self.begin(http).await?
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.text.expose_secret()))?);
        current.1 = Some(token);
        Ok((headers, current.0))
    }

    /// Forgets the token with this number, unless another has been asked for since.
    pub(in crate::cloud) async fn forget(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.0 == number {
            current.1 = None;
        }
    }

    /// Gives the current token back, if there is one; says whether there was.
    pub(in crate::cloud) async fn revoke(&self, http: &Http) -> Result<bool, Error> {
        let Some(token) = self.current.lock().await.1.take() else { return Ok(false) };
        let asked = "the end of a token";
        self.post(http, "revoke", asked, &[("token", token.text.expose_secret())]).await?;
        Ok(true)
    }

    async fn begin(&self, http: &Http) -> Result<Token, Error> {
        let (asked, begun) = ("a token", clock::now());
        let fields = [("grant_type", "client_credentials"), ("scope", self.scope.as_str())];
        let answer = self.post(http, "token", asked, &fields).await.map_err(|error| match error {
            // OAuth permits 400 for `invalid_client` and its kin.
            Error::Refused { status: 400, .. } => Error::Unauthorized { asked: asked.to_owned() },
            other => other,
        })?;
        let malformed = || Error::Malformed { asked: asked.to_owned(), why: "it holds no token".to_owned() };
        let value = serde_json::from_slice(&answer.body).ok().ok_or_else(malformed)?;
        let row = Row::of(&value).ok_or_else(malformed)?;
        let text = row.name("access_token").ok_or_else(malformed)?;
        let seconds = row.integer("expires_in").and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Token { text: text.into(), begun, life: seconds.map_or(LIFE, Duration::from_secs) })
    }

    /// The client shows its secret in the form, not in a header.
    async fn post(
        &self,
        http: &Http,
        verb: &str,
        asked: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.login.client_id)
            .append_pair("client_secret", self.login.client_secret.expose_secret())
            .extend_pairs(fields)
            .finish();
        let url = http.url(&["oauth2", verb], &[]);
        let ask = Ask {
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            body: Some(Content::Form(form)),
            asked,
        };
        http.send(ask).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_before_it_ends_and_prints_no_secret() {
        let begun: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let token = Token { text: "hunter2".into(), begun, life: Duration::from_secs(1000) };
        for (seconds, fresh) in [(0, true), (899, true), (900, false), (5000, false)] {
            assert_eq!(token.is_fresh(begun.plus(Duration::from_secs(seconds))), fresh, "{seconds} s");
        }
        for before in [begun.minus(Duration::from_secs(1)), Timestamp::default()] {
            assert!(!token.is_fresh(before), "a clock that went back or is not set");
        }
        let of_1970 = Token { begun: Timestamp::default(), ..token.clone() };
        assert!(!of_1970.is_fresh(begun), "begun before the clock was set");
        assert!(!format!("{token:?}").contains("hunter2"));
    }
}

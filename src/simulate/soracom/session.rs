//! API keys and tokens: given for an `AuthKey`, ended by their time, renewed only while they hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::{OPERATOR, refusal};
use crate::model::Timestamp;
use crate::simulate::answer::{Answer, Refusal};
use crate::simulate::shared::Shared;

/// So many tokens are known at once; the one that ends first goes first.
const MOST: usize = 1000;
const DEFAULT_S: u64 = 86_400;
const LIFE_S: std::ops::RangeInclusive<u64> = 180..=172_800;

/// Tokens, each with its key and its end.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Sessions {
    tokens: BTreeMap<String, (String, Timestamp)>,
    given: u64,
}

impl Sessions {
    pub(super) fn holds(&self, key: &str, token: &str, now: Timestamp) -> bool {
        self.tokens.get(token).is_some_and(|(own, end)| own == key && now < *end)
    }

    /// Ends every token, as a change of the account does.
    pub(in crate::simulate) fn end_all(&mut self) {
        self.tokens.clear();
    }

    fn give(&mut self, key: Option<&str>, end: Timestamp) -> (String, String) {
        self.given += 1;
        let key = key.map_or_else(|| format!("api-simulated-{}", self.given), ToOwned::to_owned);
        let token = format!("eyJzaW11bGF0ZWQ.{:06}.{:016x}", self.given, fastrand::u64(..));
        if self.tokens.len() >= MOST {
            let first = self.tokens.iter().min_by_key(|(_, (_, end))| *end).map(|(token, _)| token.clone());
            first.and_then(|token| self.tokens.remove(&token));
        }
        self.tokens.insert(token.clone(), (key.clone(), end));
        (key, token)
    }
}

/// How long a token is to live on the wall clock.
fn life(shared: &Shared, body: &Map<String, Value>) -> Result<Duration, Refusal> {
    let seconds = match body.get("tokenTimeoutSeconds") {
        None => DEFAULT_S,
        Some(seconds) => seconds.as_u64().filter(|seconds| LIFE_S.contains(seconds)).ok_or_else(|| {
            refusal(StatusCode::BAD_REQUEST, "AUM0010", "tokenTimeoutSeconds must be between 180 and 172800.")
        })?,
    };
    Ok(shared.world().current_pace().real(Duration::from_secs(seconds)))
}

/// `POST /auth`. The answer does not say when the token ends.
pub(super) async fn log_in(
    State(shared): State<Arc<Shared>>,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let right = text("authKeyId") == shared.logins.auth_key_id && text("authKey") == shared.logins.auth_key;
    if !right {
        return Err(refusal(StatusCode::UNAUTHORIZED, "AUM0002", "Invalid username or password."));
    }
    let end = shared.now().plus(life(&shared, &body)?);
    let (key, token) = shared.sessions().give(None, end);
    Ok(Json(json!({ "apiKey": key, "operatorId": OPERATOR, "token": token, "userName": "gateway" })))
}

/// `POST /operators/{operator}/token`: another token for the same key.
pub(super) async fn renew(
    State(shared): State<Arc<Shared>>,
    Path(operator): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    if operator != OPERATOR {
        return Err(refusal(StatusCode::FORBIDDEN, "AUM0007", "You are not allowed to do that."));
    }
    let end = shared.now().plus(life(&shared, &body)?);
    let key = headers.get("x-soracom-api-key").and_then(|key| key.to_str().ok());
    let (_, token) = shared.sessions().give(key, end);
    Ok(Json(json!({ "token": token })))
}

/// `POST /auth/logout`.
pub(super) async fn log_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> StatusCode {
    if let Some(token) = headers.get("x-soracom-token").and_then(|token| token.to_str().ok()) {
        shared.sessions().tokens.remove(token);
    }
    StatusCode::NO_CONTENT
}

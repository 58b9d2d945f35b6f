//! Tokens for client credentials; errors have OAuth's shape and not the API's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::studio::MOST;
use crate::clock;
use crate::simulate::answer::{Answer, Refusal};
use crate::simulate::shared::Shared;

const LIFE: Duration = Duration::from_secs(3600);

type Form = BTreeMap<String, String>;

fn client_of(shared: &Shared, form: &Form) -> Result<(), Refusal> {
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let right =
        text("client_id") == shared.logins.client_id && text("client_secret") == shared.logins.client_secret;
    let body = json!({ "error": "invalid_client", "error_description": "Client authentication failed" });
    if right { Ok(()) } else { Err(Refusal::with_body(StatusCode::UNAUTHORIZED, body)) }
}

/// `POST /oauth2/token`.
pub(super) async fn give(State(shared): State<Arc<Shared>>, body: String) -> Answer {
    let form: Form = serde_urlencoded::from_str(&body).unwrap_or_default();
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        let body =
            json!({ "error": "unsupported_grant_type", "error_description": "expected client_credentials" });
        return Err(Refusal::with_body(StatusCode::BAD_REQUEST, body));
    }
    client_of(&shared, &form)?;
    let life = shared.world().current_pace().real(LIFE);
    let mut studio = shared.studio();
    let token = format!("simulated-{:032x}", fastrand::u128(..));
    if studio.tokens.len() >= MOST {
        studio.tokens.clear();
    }
    studio.tokens.insert(token.clone(), clock::now().plus(life));
    let scope = form.get("scope").cloned().unwrap_or_default();
    let expires_in = life.as_secs();
    Ok(Json(json!({
        "access_token": token, "expires_in": expires_in, "scope": scope, "token_type": "bearer",
    })))
}

/// `POST /oauth2/revoke`.
pub(super) async fn revoke(State(shared): State<Arc<Shared>>, body: String) -> Result<StatusCode, Refusal> {
    let form: Form = serde_urlencoded::from_str(&body).unwrap_or_default();
    client_of(&shared, &form)?;
    if let Some(token) = form.get("token") {
        shared.studio().tokens.remove(token);
    }
    Ok(StatusCode::OK)
}

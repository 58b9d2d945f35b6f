//! `/healthz` and `/readyz`: whether the gateway works, and whether it is connected, with reasons in JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::Store;

/// How the parts of the gateway do, as they say themselves. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, Part>>>,
}

/// How one part does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It works.
    Ok,
    /// It works, and waits for something outside: not ready, and no reason to restart.
    Waiting(String),
    /// It does not do what it is for.
    Failing(String),
}

impl Health {
    /// Says how a part does; the name is fixed (`broker`, `store`, …).
    pub fn report(&self, name: &'static str, part: Part) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(name, part);
    }

    fn parts(&self) -> BTreeMap<&'static str, Part> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) health: Health,
    pub(super) store: Store,
}

/// 503 only where something is broken: a broker or a cloud that is away is no reason to restart a gateway.
pub(super) async fn healthz(State(probe): State<Probe>) -> Response {
    std::future::ready(judge(&probe.parts(), |part| matches!(part, Part::Failing(_)))).await
}

/// 503 also while something is waited for.
pub(super) async fn readyz(State(probe): State<Probe>) -> Response {
    std::future::ready(judge(&probe.parts(), |part| *part != Part::Ok)).await
}

impl Probe {
    fn parts(&self) -> BTreeMap<&'static str, Part> {
        let mut parts = self.health.parts();
        if let Some(error) = self.store.trouble().or_else(|| self.store.outbox_depth().err()) {
            parts.insert("store", Part::Failing(error.to_string()));
        }
        parts
    }
}

fn judge(parts: &BTreeMap<&'static str, Part>, is_reason: impl Fn(&Part) -> bool) -> Response {
    let reasons: Vec<_> = parts
        .iter()
        .filter(|(_, part)| is_reason(part))
        .map(|(name, part)| match part {
            Part::Ok => json!({ "part": name }),
            Part::Waiting(reason) | Part::Failing(reason) => json!({ "part": name, "reason": reason }),
        })
        .collect();
    let (status, word) = if reasons.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (status, Json(json!({ "status": word, "reasons": reasons }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_healthy_and_not_ready() {
        let health = Health::default();
        let status = |ready: bool| {
            judge(
                &health.parts(),
                |part| if ready { *part != Part::Ok } else { matches!(part, Part::Failing(_)) },
            )
            .status()
            .as_u16()
        };
        assert_eq!((status(false), status(true)), (200, 200));
        health.report("broker", Part::Waiting("not connected".to_owned()));
        assert_eq!((status(false), status(true)), (200, 503));
        health.report("store", Part::Failing("the disk is full".to_owned()));
        assert_eq!((status(false), status(true)), (503, 503));
        health.report("broker", Part::Ok);
        health.report("store", Part::Ok);
        assert_eq!((status(false), status(true)), (200, 200));
    }
}

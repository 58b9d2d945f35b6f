//! `/healthz` and `/readyz`: whether the gateway works, and whether it is connected, with reasons in JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::Store;

type Ask = dyn Fn() -> Part + Send + Sync;

/// How the parts of the gateway do: each is asked when somebody wants to know.
#[derive(Clone, Default)]
pub struct Health {
    parts: Vec<(&'static str, Arc<Ask>)>,
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
    /// With one more part; the question must be answered at once.
    #[must_use]
    pub fn with(mut self, name: &'static str, ask: impl Fn() -> Part + Send + Sync + 'static) -> Self {
        self.parts.push((name, Arc::new(ask)));
        self
    }

    /// How one part does; none where there is no such part.
    pub(super) fn part(&self, name: &str) -> Option<Part> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, ask)| ask())
    }

    fn parts(&self) -> BTreeMap<&'static str, Part> {
        self.parts.iter().map(|(name, ask)| (*name, ask())).collect()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.parts()).finish()
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
        let trouble = self.store.trouble().or_else(|| self.store.outbox_depth().err());
        if let Some(trouble) = trouble {
            parts.insert("store", Part::Failing(trouble.to_string()));
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
        let waiting = || Part::Waiting("not connected".to_owned());
        let failing = || Part::Failing("the disk is full".to_owned());
        let ok = || Part::Ok;
        for (health, healthy, ready) in [
            (Health::default(), 200, 200),
            (Health::default().with("broker", ok), 200, 200),
            (Health::default().with("broker", waiting), 200, 503),
            (Health::default().with("broker", ok).with("store", failing), 503, 503),
        ] {
            let parts = health.parts();
            let got = judge(&parts, |part| matches!(part, Part::Failing(_))).status().as_u16();
            assert_eq!((got, judge(&parts, |part| *part != Part::Ok).status().as_u16()), (healthy, ready));
        }
    }
}

//! How the gateway does as a whole and what keeps it from doing well: `/healthz`, `/readyz` and `bridge/health` all say
//! this.

use serde::Serialize;

use super::run::Run;
use crate::ingest::{SourceState, StatusBoard};
use crate::store::Store;

/// How the gateway does as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Condition {
    /// The worst of all parts.
    pub status: Status,
    /// One for each part that does not do well.
    pub reasons: Vec<Complaint>,
}

/// How well something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Status {
    /// It works.
    Ok,
    /// It works, and waits for something outside: no reason to restart it.
    Waiting,
    /// It does not do what it is for.
    Failing,
}

/// Why a part does not do well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Complaint {
    /// `store`, `broker` or `source NAME`.
    pub part: String,
    /// In a person's words.
    pub reason: String,
}

impl Condition {
    /// How it does at this moment.
    #[must_use]
    pub fn look(store: &Store, run: &Run, sources: &StatusBoard) -> Self {
        let mut condition = Self { status: Status::Ok, reasons: Vec::new() };
        if let Some(trouble) = store.trouble().or_else(|| store.outbox_depth().err()) {
            condition.add(Status::Failing, "store".to_owned(), trouble.to_string());
        }
        if !run.is_connected() {
            condition.add(Status::Waiting, "broker".to_owned(), "it is not connected".to_owned());
        }
        for (source, status) in sources.all() {
            let plain = match status.state {
                SourceState::Starting => "it was not asked yet",
                SourceState::AuthFailed => "it does not let us in",
                SourceState::Down => "it does not answer",
                // It brings what there is, if late or in part.
                SourceState::Ok | SourceState::Degraded | SourceState::RateLimited => continue,
            };
            let reason = status.error.unwrap_or_else(|| plain.to_owned());
            condition.add(Status::Waiting, format!("source {source}"), reason);
        }
        condition
    }

    fn add(&mut self, status: Status, part: String, reason: String) {
        self.status = self.status.max(status);
        self.reasons.push(Complaint { part, reason });
    }
}

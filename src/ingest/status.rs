//! What is true of every source at this moment, for `bridge/sources/<source>` and whoever else asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::model::{SourceName, Timestamp};

/// How a source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Not asked yet.
    Starting,
    /// Answers.
    Ok,
    /// Answers in part, or badly.
    Degraded,
    /// Told us to ask less.
    RateLimited,
    /// Does not let us in.
    AuthFailed,
    /// Does not answer.
    Down,
}

impl fmt::Display for SourceState {
    /// The word that the published documents have as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::RateLimited => "rate_limited",
            Self::AuthFailed => "auth_failed",
            Self::Down => "down",
        })
    }
}

/// What is true of a source at this moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceStatus {
    /// How it does.
    pub state: SourceState,
    /// When it last answered a whole poll.
    pub last_success: Option<Timestamp>,
    /// Seconds from the newest uplink's time to its arrival here, of the last poll that brought one.
    pub lag_s: Option<f64>,
    /// When it is asked next.
    pub next_poll: Option<Timestamp>,
    /// Requests since the start, as of the last end of a job: a long sweep does not change it page by page.
    pub requests: u64,
    /// The last error in a person's words; none while all is well.
    pub error: Option<String>,
}

impl Default for SourceStatus {
    fn default() -> Self {
        Self {
            state: SourceState::Starting,
            last_success: None,
            lag_s: None,
            next_poll: None,
            requests: 0,
            error: None,
        }
    }
}

/// The status of all sources. Clones share it.
#[derive(Debug, Clone)]
pub struct StatusBoard {
    statuses: Arc<Mutex<BTreeMap<SourceName, SourceStatus>>>,
    version: Arc<watch::Sender<u64>>,
}

impl StatusBoard {
    /// A board on which every source is starting.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = SourceName>) -> Self {
        let statuses = sources.into_iter().map(|name| (name, SourceStatus::default())).collect();
        Self { statuses: Arc::new(Mutex::new(statuses)), version: Arc::new(watch::channel(0).0) }
    }

    /// Changes what is known of a source; watchers are told if that made a difference.
    pub fn update(&self, source: &SourceName, change: impl FnOnce(&mut SourceStatus)) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let status = statuses.entry(source.clone()).or_default();
        let before = status.clone();
        change(status);
        let changed = *status != before;
        drop(statuses);
        if changed {
            self.version.send_modify(|version| *version = version.wrapping_add(1));
        }
    }

    /// Only these are sources from now on; new ones are starting.
    pub fn keep(&self, sources: impl IntoIterator<Item = SourceName>) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *statuses);
        statuses.extend(sources.into_iter().map(|name| {
            let status = before.remove(&name).unwrap_or_default();
            (name, status)
        }));
        drop(statuses);
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// What is known of all sources.
    #[must_use]
    pub fn all(&self) -> BTreeMap<SourceName, SourceStatus> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever any status does.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_says_the_word_that_is_published() {
        for state in [
            SourceState::Starting,
            SourceState::Ok,
            SourceState::Degraded,
            SourceState::RateLimited,
            SourceState::AuthFailed,
            SourceState::Down,
        ] {
            assert_eq!(serde_json::json!(state), state.to_string());
        }
    }
}

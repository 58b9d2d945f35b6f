//! What is true of every source at this moment, for `bridge/sources/<source>` and whoever else asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::model::{SourceName, Timestamp};
use crate::tally::Tally;

/// How a source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

impl SourceState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Ok, Self::Degraded, Self::RateLimited, Self::AuthFailed, Self::Down];
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    jobs: Tally<(SourceName, &'static str, bool)>,
    answers: Arc<Mutex<BTreeMap<SourceName, Answers>>>,
}

/// Answers of a cloud by their HTTP status; none for requests that were not answered.
type Answers = Tally<Option<u16>>;

impl StatusBoard {
    /// A board on which every source is starting.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = SourceName>) -> Self {
        let statuses = sources.into_iter().map(|name| (name, SourceStatus::default())).collect();
        Self {
            statuses: Arc::new(Mutex::new(statuses)),
            version: Arc::new(watch::channel(0).0),
            jobs: Tally::default(),
            answers: Arc::default(),
        }
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

    /// How often each source's jobs ended, by source, job and whether it was whole.
    #[must_use]
    pub fn jobs(&self) -> BTreeMap<(SourceName, &'static str, bool), u64> {
        self.jobs.counts()
    }

    /// The answers of each source's cloud by their HTTP status; none for requests that were not answered.
    #[must_use]
    pub fn answers(&self) -> BTreeMap<SourceName, BTreeMap<Option<u16>, u64>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().map(|(source, tally)| (source.clone(), tally.counts())).collect()
    }

    pub(super) fn job_ended(&self, source: &SourceName, job: &'static str, is_whole: bool) {
        self.jobs.count((source.clone(), job, is_whole));
    }

    /// Where the answers of a source's cloud are counted.
    pub(super) fn counts_answers(&self, source: &SourceName, answers: Answers) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(source.clone(), answers);
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
        for state in SourceState::ALL {
            assert_eq!(serde_json::json!(state), state.to_string());
        }
    }
}

//! How a source does, from how each of its jobs last ended. Plain values; the status board prints them.

use std::collections::BTreeMap;

use super::SourceState;
use crate::cloud::Error;
use crate::store::StoreError;

/// What a source does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// Reads the newest messages.
    Messages,
    /// Reads devices and device types.
    Inventory,
    /// Reads locations.
    Locations,
    /// Looks through the whole backfill window again.
    Resync,
    /// Reads reports of errors and of callbacks that did not arrive.
    Reports,
}

impl Job {
    /// Its name in the metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Inventory => "inventory",
            Self::Locations => "locations",
            Self::Resync => "resync",
            Self::Reports => "reports",
        }
    }
}

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The cloud.
    #[error(transparent)]
    Cloud(#[from] Error),
    /// Our own store; the cloud is not to blame.
    #[error("the store cannot keep what came: {0}")]
    Store(#[from] StoreError),
}

/// How a job ended: whole, whole but with something odd in it, or not.
pub(super) type Outcome = Result<Option<String>, Failure>;

/// How the jobs of a source last ended.
#[derive(Debug, Default)]
pub(super) struct Health {
    jobs: BTreeMap<Job, Option<(SourceState, String)>>,
}

impl Health {
    /// Takes down how a job ended.
    pub(super) fn record(&mut self, job: Job, outcome: &Outcome) {
        let problem = match outcome {
            Ok(None) => None,
            Ok(Some(odd)) => Some((SourceState::Degraded, odd.clone())),
            Err(failure) => Some((failure.state(), failure.to_string())),
        };
        self.jobs.insert(job, problem);
    }

    /// The source's state and its worst problem in a person's words.
    pub(super) fn sum(&self) -> (SourceState, Option<String>) {
        let told = |job: &Job| self.jobs.get(job);
        if let Some(Some((state, error))) = told(&Job::Messages) {
            return (*state, Some(error.clone()));
        }
        // What a person must act on first, and else in the order of the jobs' weight.
        let problems = self.jobs.values().flatten();
        let worst = problems.min_by_key(|(state, _)| match state {
            SourceState::AuthFailed => 0,
            SourceState::RateLimited => 1,
            _ => 2,
        });
        match (told(&Job::Messages), worst) {
            (None, None) => (SourceState::Starting, None),
            (Some(_), None) => (SourceState::Ok, None),
            (None, Some((state, error))) => (*state, Some(error.clone())),
            // Messages come in; what else fails makes the source no worse than degraded, unless it must act.
            (Some(_), Some((state @ (SourceState::AuthFailed | SourceState::RateLimited), error))) => {
                (*state, Some(error.clone()))
            }
            (Some(_), Some((_, error))) => (SourceState::Degraded, Some(error.clone())),
        }
    }
}

impl Failure {
    /// How a source is that fails so.
    pub(crate) fn state(&self) -> SourceState {
        match self {
            Self::Store(_) => SourceState::Degraded,
            Self::Cloud(error) => match error {
                Error::Unauthorized { .. } | Error::Forbidden { .. } => SourceState::AuthFailed,
                Error::RateLimited { .. } => SourceState::RateLimited,
                Error::Retry { .. } | Error::NotFound { .. } | Error::Setup(_) => SourceState::Down,
                Error::Refused { .. }
                | Error::Malformed { .. }
                | Error::Circle { .. }
                | Error::Unsupported { .. } => SourceState::Degraded,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: Error) -> Outcome {
        Err(Failure::Cloud(error))
    }

    #[test]
    fn the_state_is_the_one_of_the_messages_or_else_of_what_hinders_them() {
        let asked = || "x".to_owned();
        let down = || Error::Retry { asked: asked(), why: "cut".to_owned(), after: None, answered: false };
        let unauthorized = || Error::Unauthorized { asked: asked() };
        for (outcomes, state) in [
            (vec![], SourceState::Starting),
            (vec![(Job::Inventory, Ok(None))], SourceState::Starting),
            (vec![(Job::Inventory, failed(unauthorized()))], SourceState::AuthFailed),
            (vec![(Job::Messages, Ok(None))], SourceState::Ok),
            (vec![(Job::Messages, Ok(Some("odd".to_owned())))], SourceState::Degraded),
            (vec![(Job::Messages, failed(down()))], SourceState::Down),
            (vec![(Job::Messages, failed(down())), (Job::Messages, Ok(None))], SourceState::Ok),
            (vec![(Job::Messages, Ok(None)), (Job::Inventory, failed(down()))], SourceState::Degraded),
            (
                vec![(Job::Messages, Ok(None)), (Job::Inventory, failed(unauthorized()))],
                SourceState::AuthFailed,
            ),
            (
                vec![
                    (Job::Messages, Ok(None)),
                    (Job::Inventory, failed(down())),
                    (Job::Locations, failed(unauthorized())),
                ],
                SourceState::AuthFailed,
            ),
            (
                vec![(Job::Messages, failed(Error::RateLimited { asked: asked(), after: None }))],
                SourceState::RateLimited,
            ),
        ] {
            let mut health = Health::default();
            for (job, outcome) in &outcomes {
                health.record(*job, outcome);
            }
            let (found, error) = health.sum();
            assert_eq!(found, state, "{outcomes:?}");
            assert_eq!(
                error.is_none(),
                matches!(state, SourceState::Ok | SourceState::Starting),
                "{outcomes:?}"
            );
        }
    }
}

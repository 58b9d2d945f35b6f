//! When a job is due. A tick only says so: the job itself decides when it has time, ticks that come meanwhile
//! are one, and a tick that a cron expression promised but that never came is made up for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_cron_scheduler::{Job, JobScheduler};
use uuid::Uuid;

use crate::clock;
use crate::config::Schedule;
use crate::model::Timestamp;

/// Parts of an interval that a tick may come early or late, so that many gateways do not ask at once.
const JITTER: f64 = 0.05;
/// The scheduler looks at its jobs twice a second; a tick this late is one that will not come.
const TOO_LATE: Duration = Duration::from_secs(10);
/// How often the scheduler is asked where its next tick is, where it did not say.
const UNKNOWN: Duration = Duration::from_secs(60);

/// Makes tickers; its cron scheduler runs only if a schedule needs one.
#[derive(Default)]
pub(super) struct Clockwork {
    scheduler: Option<JobScheduler>,
}

impl Clockwork {
    /// A ticker of this schedule.
    pub(super) async fn ticker(&mut self, schedule: &Schedule) -> anyhow::Result<Ticker> {
        match schedule {
            Schedule::Every(period) => Ok(Ticker::every(*period)),
            Schedule::Cron(expression) => {
                let scheduler = match &self.scheduler {
                    Some(scheduler) => scheduler.clone(),
                    None => {
                        let scheduler =
                            JobScheduler::new().await.context("cannot set up the cron scheduler")?;
                        scheduler.start().await.context("cannot start the cron scheduler")?;
                        self.scheduler.insert(scheduler).clone()
                    }
                };
                let due = Arc::new(Notify::new());
                let nudge = Arc::clone(&due);
                let job = Job::new(expression, move |_, _| nudge.notify_one())
                    .with_context(|| format!("cannot schedule `{expression}`"))?;
                let job =
                    scheduler.add(job).await.with_context(|| format!("cannot schedule `{expression}`"))?;
                Ok(Ticker::Cron { scheduler, job, due, last: None })
            }
        }
    }

    /// Ends the scheduler.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        match self.scheduler {
            Some(mut scheduler) => scheduler.shutdown().await.context("cannot stop the cron scheduler"),
            None => Ok(()),
        }
    }
}

/// Says again and again that a job is due.
pub(super) enum Ticker {
    /// By an interval.
    Every {
        /// The interval.
        period: Duration,
        /// The next tick.
        next: Instant,
    },
    /// By a cron expression in UTC.
    Cron {
        /// Who knows the expression.
        scheduler: JobScheduler,
        /// Its job there.
        job: Uuid,
        /// Is notified at each tick.
        due: Arc<Notify>,
        /// The tick before.
        last: Option<Instant>,
    },
}

impl Ticker {
    fn every(period: Duration) -> Self {
        let now = Instant::now();
        Self::Every { period, next: following(now, period, now, fastrand::f64()) }
    }

    /// When the next tick is expected.
    pub(super) async fn next(&mut self) -> Option<Timestamp> {
        match self {
            Self::Every { next, .. } => {
                Some(clock::now().plus(next.saturating_duration_since(Instant::now())))
            }
            Self::Cron { scheduler, job, .. } => {
                let next = scheduler.next_tick_for_job(*job).await.ok()??;
                Timestamp::from_millis(next.timestamp_millis())
            }
        }
    }

    /// Waits for the next tick; at once if one came meanwhile.
    pub(super) async fn tick(&mut self) {
        let expected = self.next().await;
        match self {
            Self::Every { period, next } => {
                tokio::time::sleep_until(*next).await;
                *next = following(*next, *period, Instant::now(), fastrand::f64());
            }
            Self::Cron { due, last, .. } => {
                let patience = expected.map_or(UNKNOWN, |next| next.since(clock::now()) + TOO_LATE);
                if tokio::time::timeout(patience, due.notified()).await.is_err() {
                    tracing::warn!("a scheduled tick did not come; going on without it");
                }
                let now = Instant::now();
                let interval = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
                *last = Some(now);
                tokio::time::sleep(interval.mul_f64(fastrand::f64() * JITTER)).await;
            }
        }
    }
}

/// The tick after one that was due, by a random number from 0 to 1: from when that was due, so that the rate
/// holds; but what a job overran is skipped.
fn following(due: Instant, period: Duration, now: Instant, random: f64) -> Instant {
    let jittered = period.mul_f64(1.0 - JITTER + random * 2.0 * JITTER);
    (due + jittered).max(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_hold_their_rate_and_missed_ones_are_one() {
        let period = Duration::from_secs(10);
        let start = Instant::now();
        for (random, after) in [(0.0, 9.5), (0.5, 10.0), (1.0, 10.5)] {
            let next = following(start, period, start + Duration::from_secs(3), random);
            assert!((next.duration_since(start).as_secs_f64() - after).abs() < 1e-6);
        }
        let late = start + Duration::from_secs(100);
        assert_eq!(following(start, period, late, 0.5), late);
        assert_eq!(following(late, period, late, 0.5), late + period);
    }

    #[tokio::test]
    async fn a_cron_expression_ticks_in_utc_and_says_when_next() {
        let mut clockwork = Clockwork::default();
        let mut ticker = clockwork.ticker(&Schedule::Cron("* * * * * *".to_owned())).await.unwrap();
        let next = ticker.next().await.unwrap();
        assert!(next.since(clock::now()) <= Duration::from_secs(2));
        tokio::time::timeout(Duration::from_secs(20), ticker.tick()).await.unwrap();
        clockwork.stop().await.unwrap();
    }
}

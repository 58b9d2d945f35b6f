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
use crate::vitals::{self, Pulse};

/// Parts of an interval that a tick may come early or late, so that many gateways do not ask at once.
const JITTER: f64 = 0.05;
/// The scheduler looks at its jobs twice a second; a tick this late is one that will not come.
const TOO_LATE: Duration = Duration::from_secs(3);
/// How often the scheduler is asked where its next tick is, where it did not say.
const UNKNOWN: Duration = Duration::from_secs(60);

/// How often signs of life are given.
const LOOK: Duration = Duration::from_secs(2);

/// Makes tickers; its cron scheduler runs only if a schedule needs one.
#[derive(Default)]
pub(crate) struct Clockwork {
    scheduler: Option<JobScheduler>,
}

impl Clockwork {
    /// A ticker of this schedule.
    pub(crate) async fn ticker(&mut self, schedule: &Schedule) -> anyhow::Result<Ticker> {
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
                Ok(Ticker::Cron(Box::new(Cron::new(scheduler, expression).await?)))
            }
        }
    }

    /// Gives signs of life while timers run and the cron scheduler answers; never returns.
    pub(super) async fn live(&self, pulse: &Pulse) {
        let mut tick = tokio::time::interval(LOOK);
        let mut scheduler = self.scheduler.clone();
        loop {
            tick.tick().await;
            let answers = match &mut scheduler {
                Some(scheduler) => scheduler.time_till_next_job().await.is_ok(),
                None => true,
            };
            if answers {
                vitals::beat(pulse);
            }
        }
    }

    /// Ends the scheduler.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match self.scheduler {
            Some(mut scheduler) => scheduler.shutdown().await.context("cannot stop the cron scheduler"),
            None => Ok(()),
        }
    }
}

/// Says again and again that a job is due.
pub(crate) enum Ticker {
    /// By an interval.
    Every {
        /// The interval.
        period: Duration,
        /// The next tick.
        next: Instant,
    },
    /// By a cron expression in UTC.
    Cron(Box<Cron>),
}

/// A job of the cron scheduler.
pub(crate) struct Cron {
    scheduler: JobScheduler,
    expression: String,
    job: Uuid,
    /// Is notified at each tick.
    due: Arc<Notify>,
    /// The tick before.
    last: Option<Instant>,
    /// What the clock said when the job was last looked at.
    looked: (Instant, Timestamp),
}

impl Cron {
    async fn new(scheduler: JobScheduler, expression: &str) -> anyhow::Result<Self> {
        let due = Arc::new(Notify::new());
        let job = add(&scheduler, expression, &due).await?;
        let looked = (Instant::now(), clock::now());
        Ok(Self { scheduler, expression: expression.to_owned(), job, due, last: None, looked })
    }

    /// When the next tick is expected. The scheduler promises it once, and holds to that when the clock goes back.
    async fn next(&mut self) -> Option<Timestamp> {
        let now = clock::now();
        let (then, said) = self.looked;
        self.looked = (Instant::now(), now);
        if now.plus(TOO_LATE) < said.plus(then.elapsed()) {
            self.begin_again().await;
        }
        let next = self.scheduler.next_tick_for_job(self.job).await.ok()??;
        Timestamp::from_millis(next.timestamp_millis())
    }

    /// Has the scheduler reckon the next tick from what the clock says now.
    async fn begin_again(&mut self) {
        let added = add(&self.scheduler, &self.expression, &self.due).await;
        match added {
            Ok(job) => {
                // The old one may only nudge once more than it should.
                drop(self.scheduler.remove(&self.job).await);
                self.job = job;
            }
            Err(error) => tracing::warn!(%error, "a schedule could not be set anew"),
        }
    }

    async fn tick(&mut self) {
        let expected = self.next().await;
        let patience = expected.map_or(UNKNOWN, |next| next.since(clock::now()) + TOO_LATE);
        if tokio::time::timeout(patience, self.due.notified()).await.is_err() {
            tracing::warn!("a scheduled tick did not come; going on without it");
            self.begin_again().await;
        }
        let now = Instant::now();
        let interval = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last = Some(now);
        tokio::time::sleep(interval.mul_f64(fastrand::f64() * JITTER)).await;
    }
}

async fn add(scheduler: &JobScheduler, expression: &str, due: &Arc<Notify>) -> anyhow::Result<Uuid> {
    let nudge = Arc::clone(due);
    let wrong = || format!("cannot schedule `{expression}`");
    let job = Job::new(expression, move |_, _| nudge.notify_one()).with_context(wrong)?;
    scheduler.add(job).await.with_context(wrong)
}

impl Ticker {
    fn every(period: Duration) -> Self {
        let now = Instant::now();
        Self::Every { period, next: following(now, period, now, fastrand::f64()) }
    }

    /// When the next tick is expected.
    pub(crate) async fn next(&mut self) -> Option<Timestamp> {
        match self {
            Self::Every { next, .. } => {
                Some(clock::now().plus(next.saturating_duration_since(Instant::now())))
            }
            Self::Cron(cron) => cron.next().await,
        }
    }

    /// Waits for the next tick; at once if one came meanwhile.
    pub(crate) async fn tick(&mut self) {
        match self {
            Self::Every { period, next } => {
                tokio::time::sleep_until(*next).await;
                *next = following(*next, *period, Instant::now(), fastrand::f64());
            }
            Self::Cron(cron) => cron.tick().await,
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

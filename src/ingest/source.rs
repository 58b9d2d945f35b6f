//! One source as a task: its jobs run side by side, each on its own schedule and with its own patience, none
//! ever twice at once. What the jobs do stands in their own files.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::cloud_clock::CloudClock;
use super::health::{Failure, Health, Job, Outcome};
use super::inventory::Inventory;
use super::messages::Failing;
use super::schedule::{Clockwork, Ticker};
use super::soracom::{Seen, kept_session};
use super::{Nudge, Scope, SourceState, StatusBoard};
use crate::clock;
use crate::cloud::sigfox::DeviceType;
use crate::cloud::{Client, Error, Page, Pages};
use crate::config::{self, SourceKind};
use crate::downlink::Queues;
use crate::model::{Event, SourceName, Timestamp};
use crate::store::Store;
use crate::vitals::Pulse;

/// How often a page in the middle of a list is asked for again before the whole sweep is.
const PAGE_TRIES: u32 = 5;

/// One source: `run` is its task.
#[derive(Debug)]
pub struct Source {
    pub(super) room: Room,
    nudge: Nudge,
    pulse: Pulse,
}

/// What the jobs of a source share.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) config: config::Source,
    cloud: Client,
    pub(super) store: Store,
    /// Told what the cloud says of downlinks.
    pub(super) queues: Option<Queues>,
    board: StatusBoard,
    health: Mutex<Health>,
    cloud_clock: CloudClock,
    /// Told when messages come in again, or because somebody asked: what waits after a failure tries again.
    relieved: Notify,
    /// The device types that are polled; none until they are known.
    pub(super) types: watch::Sender<Option<Vec<DeviceType>>>,
    /// Held while an inventory is taken.
    pub(super) inventory: tokio::sync::Mutex<Inventory>,
    /// Device types that fail, by their ids.
    pub(super) failing: Mutex<HashMap<String, Failing>>,
    /// When the callbacks of a device type were last looked at.
    pub(super) callbacks_seen: Mutex<HashMap<String, Instant>>,
    /// What is kept about the devices of a Soracom source.
    pub(super) soracom: Mutex<Seen>,
    /// Rows that were reported as unreadable, so that each is reported once.
    pub(super) reported: Mutex<HashSet<String>>,
}

impl Source {
    /// A source that is not asked yet.
    ///
    /// # Errors
    /// If its client cannot be set up: a CA that cannot be read, credentials that no header can hold.
    pub fn new(config: config::Source, store: Store, board: StatusBoard) -> anyhow::Result<Self> {
        let kept = match &config.kind {
            SourceKind::Soracom { .. } => kept_session(&store, &config.name),
            SourceKind::Sigfox { .. } => None,
        };
        let cloud = Client::new(&config, kept).with_context(|| format!("source {}", config.name))?;
        board.counts_answers(&config.name, cloud.answers());
        // Soracom's devices have no types to wait for.
        let types = matches!(cloud, Client::Soracom(_)).then(Vec::new);
        let room = Room {
            config,
            cloud,
            store,
            queues: None,
            board,
            health: Mutex::default(),
            cloud_clock: CloudClock::default(),
            relieved: Notify::new(),
            types: watch::Sender::new(types),
            inventory: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
            callbacks_seen: Mutex::default(),
            soracom: Mutex::default(),
            reported: Mutex::default(),
        };
        Ok(Self { room, nudge: Nudge::default(), pulse: Pulse::new(None) })
    }

    /// Its client, for whoever else asks its cloud for something.
    #[must_use]
    pub fn client(&self) -> Client {
        self.room.cloud.clone()
    }

    /// Also gives signs of life, from when its first poll is scheduled.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// The same, which tells these queues what its cloud says of downlinks.
    #[must_use]
    pub fn with_downlinks(mut self, queues: Queues) -> Self {
        self.room.queues = Some(queues);
        self
    }

    /// What asks this source to poll at once.
    #[must_use]
    pub fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Polls until told to stop; whatever the cloud does, only a schedule that cannot be set up ends it.
    ///
    /// # Errors
    /// If a schedule is wrong or the scheduler does not start.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { room, nudge, pulse } = self;
        let mut clockwork = Clockwork::default();
        let polls = clockwork.ticker(&room.config.poll).await?;
        let inventories = clockwork.ticker(&room.config.inventory).await?;
        let locations = clockwork.ticker(&room.config.locations).await?;
        let reports = clockwork.ticker(&room.config.locations).await?;
        let resyncs = clockwork.ticker(&room.config.resync).await?;

        room.remember_types();
        let jobs = async {
            room.wait_for_the_clock().await;
            tokio::join!(
                Box::pin(room.keep_doing(Job::Inventory, inventories, None)),
                Box::pin(room.keep_doing(Job::Messages, polls, Some(&nudge))),
                Box::pin(room.keep_doing(Job::Locations, locations, None)),
                Box::pin(room.keep_doing(Job::Reports, reports, None)),
                Box::pin(room.keep_doing(Job::Resync, resyncs, None)),
            );
        };
        // Stopping in the middle of a sweep loses nothing: what is not recorded is asked for again.
        tokio::select! {
            () = stop.cancelled() => {}
            () = jobs => {}
            () = clockwork.live(&pulse) => {}
        }
        clockwork.stop().await
    }
}

impl Room {
    pub(super) fn name(&self) -> &SourceName {
        &self.config.name
    }

    /// Does a job, waits for its next tick or longer if it failed, and so on.
    async fn keep_doing(&self, job: Job, mut ticker: Ticker, nudge: Option<&Nudge>) {
        let mut backoff = Backoff::default();
        let mut scope = Scope::default();
        // The first look through everything is the messages' own backfill, and locations need devices.
        let mut due = !matches!(job, Job::Resync);
        let (mut asked_for, mut failed) = (false, false);
        if job != Job::Inventory {
            self.wait_for_types().await;
        }
        loop {
            let mut wait = None;
            let mut again = Scope::default();
            if due {
                if asked_for {
                    // A person who asks has mended what failed, or wants to see that it still does.
                    self.failing().clear();
                }
                let outcome = self.once(job, scope).await;
                self.record(job, &outcome);
                match &outcome {
                    Ok(_) => {
                        backoff.reset();
                        if nudge.is_some() && (asked_for || failed) {
                            self.relieved.notify_waiters();
                        }
                    }
                    Err(Failure::Cloud(error)) => {
                        wait = Some(backoff.after(error));
                        // What somebody asked for is not forgotten because the cloud was away.
                        again = if error.is_passing() { scope } else { again };
                    }
                    // The store says by itself when it can keep things again; a poll asks it soon enough.
                    Err(Failure::Store(_)) => {}
                }
                failed = outcome.is_err();
            }
            due = true;
            if job == Job::Messages {
                let next = match wait {
                    Some(wait) => Some(clock::now().plus(wait)),
                    None => ticker.next().await,
                };
                self.board.update(self.name(), |status| status.next_poll = next);
            }
            let waited = async {
                match wait {
                    Some(wait) => tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.relieved.notified(), if nudge.is_none() => {}
                    },
                    None => ticker.tick().await,
                }
            };
            (scope, asked_for) = match nudge {
                None => {
                    waited.await;
                    (again, false)
                }
                Some(nudge) => tokio::select! {
                    () = waited => (again, false),
                    wanted = nudge.wait() => (wanted, true),
                },
            };
        }
    }

    async fn once(&self, job: Job, scope: Scope) -> Outcome {
        let outcome = match (&self.cloud, job) {
            (Client::Sigfox(cloud), Job::Inventory) => self.take_inventory(cloud).await,
            (Client::Sigfox(cloud), Job::Messages) => self.poll_messages(cloud, scope).await,
            (Client::Sigfox(cloud), Job::Locations) => self.read_locations(cloud).await,
            (Client::Sigfox(cloud), Job::Reports) => self.read_reports(cloud).await,
            (Client::Sigfox(cloud), Job::Resync) => self.resync(cloud).await,
            (Client::Soracom(cloud), Job::Inventory) => self.list_soracom(cloud).await,
            (Client::Soracom(cloud), Job::Messages) => self.poll_soracom(cloud, scope).await,
            (Client::Soracom(cloud), Job::Resync) => self.resync_soracom(cloud).await,
            // Soracom knows no places but those in payloads, which decoding finds, and reports nothing.
            (Client::Soracom(_), Job::Locations | Job::Reports) => Ok(None),
        };
        // A bad row in what is read once an hour or a day was reported as an event; it must not colour the
        // source's state until then.
        outcome.map(|odd| odd.filter(|_| matches!(job, Job::Messages | Job::Inventory)))
    }

    /// The next page of a list. In the middle of a list a passing error is waited out here, so that a long
    /// sweep need not begin again.
    pub(super) async fn next_page<T>(
        &self,
        job: Job,
        pages: &mut Pages<T>,
        first: bool,
    ) -> Result<Option<Page<T>>, Error> {
        let mut backoff = Backoff::default();
        let mut tries = 1;
        loop {
            let page = pages.next_page().await;
            match page {
                Err(error) if error.is_passing() && !first && tries < PAGE_TRIES => {
                    let wait = backoff.after(&error);
                    self.record(job, &Err(error.into()));
                    tokio::time::sleep(wait).await;
                    tries += 1;
                }
                other => {
                    if let Ok(Some(Page { date: Some(date), .. })) = &other {
                        self.cloud_clock.set(*date, clock::now());
                    }
                    return other;
                }
            }
        }
    }

    /// What time it is by the cloud's clock.
    pub(super) fn cloud_now(&self) -> Timestamp {
        self.cloud_clock.at(clock::now())
    }

    /// Whether a message of this time that is seen now is history.
    pub(super) fn is_history(&self, time: Timestamp) -> bool {
        self.cloud_now().since(time) > self.config.overlap
    }

    /// Brings the status board up to date, and tells the broker and the log when the state changes.
    fn record(&self, job: Job, outcome: &Outcome) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.record(job, outcome);
        let (state, error) = health.sum();
        drop(health);
        self.board.job_ended(self.name(), job.word(), outcome.is_ok());
        let now = clock::now();
        let mut before = SourceState::Starting;
        self.board.update(self.name(), |status| {
            before = status.state;
            status.state = state;
            status.error.clone_from(&error);
            status.requests = self.cloud.requests();
            if job == Job::Messages && outcome.is_ok() {
                status.last_success = Some(now);
            }
        });
        if before == state {
            return;
        }
        let source = self.name();
        match state {
            SourceState::Ok | SourceState::Starting => tracing::info!(%source, %state, "source state"),
            SourceState::AuthFailed => tracing::error!(%source, %state, error, "source state"),
            SourceState::Degraded | SourceState::RateLimited | SourceState::Down => {
                tracing::warn!(%source, %state, error, "source state");
            }
        }
        self.tell(
            "source_state",
            &serde_json::json!({ "source": source, "state": state, "previous": before, "error": error }),
        );
    }

    /// Puts an event about this source into the outbox; a store that cannot keep it costs only the event.
    pub(super) fn tell(&self, kind: &str, detail: &serde_json::Value) {
        let event = Event::Bridge { time: clock::now(), kind: kind.to_owned(), detail: detail.to_string() };
        if let Err(error) = self.store.tell(&event) {
            tracing::warn!(source = %self.name(), kind, %error, "an event could not be kept");
        }
    }

    /// The lag of the newest message that just came.
    pub(super) fn note_lag(&self, lag: Duration) {
        self.board.update(self.name(), |status| status.lag_s = Some(lag.as_secs_f64()));
    }

    async fn wait_for_types(&self) {
        let mut types = self.types.subscribe();
        // The sender is our own field, so the channel cannot close before us.
        drop(types.wait_for(Option::is_some).await);
    }

    /// By a clock that was never set every window of time that we ask for would be wrong.
    async fn wait_for_the_clock(&self) {
        while !clock::is_set(clock::now()) {
            let error = format!("the clock says {}; waiting until it is set", clock::now());
            self.board.update(self.name(), |status| status.error = Some(error));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

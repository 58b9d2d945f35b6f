//! The task that sends: answers, retained documents that are out of date, and the outbox, through one window.
//!
//! An event leaves the outbox only when the broker has acknowledged every message that it led to; a crash before
//! that line sends it again. A retained document is only a name until there is room for it, so memory is bounded
//! by the number of devices.

mod birth;
mod hear;
mod send;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::birth::Births;
use super::document::{BridgeState, print};
use super::flight::{Cargo, Flights};
use super::outage::{Moment, Outages};
use super::outbox::Outbox;
use super::render::{Renderer, json_properties};
use super::reply::{Order, ReplyQueue};
use super::retained::Retained;
use super::{Condition, Name, Reply, Run, health, note};
use crate::clock;
use crate::config::Config;
use crate::decode::Registry;
use crate::ingest::StatusBoard;
use crate::mqtt::topic::Topics;
use crate::mqtt::{Epoch, Link, Progress, Publish};
use crate::store::{Change, Store, StoreError};

/// How many answers may wait for the broker; with one more, commands wait.
const MOST_REPLIES: usize = 256;

/// How long to wait after the store failed or the broker said "later".
const RETRY: Duration = Duration::from_secs(1);

/// How long the broker has to acknowledge our last word.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Home Assistant is busy right after its birth, and other gateways answer it as well.
const BIRTH_PAUSE_MS: std::ops::Range<u64> = 500..3_000;

/// What the publisher works with.
#[derive(Debug)]
pub struct Parts {
    /// The configuration in effect.
    pub config: Arc<Config>,
    /// Where the outbox is.
    pub store: Store,
    /// The decoders.
    pub registry: Arc<Registry>,
    /// How the sources do.
    pub status: StatusBoard,
    /// How the mirrors do.
    pub mirrors: StatusBoard,
    /// All topics.
    pub topics: Topics,
    /// The way to the broker.
    pub link: Link,
    /// What comes of what is published.
    pub progress: Progress,
    /// What other rooms want published.
    pub replies: ReplyQueue,
    /// What is counted, for whoever asks.
    pub run: Run,
}

/// The task that sends.
#[derive(Debug)]
pub struct Publisher {
    renderer: Renderer,
    link: Link,
    progress: Progress,
    orders: ReplyQueue,
    /// The connection, and whether `online` was said on it.
    online: Option<(Epoch, bool)>,
    flights: Flights,
    outbox: Outbox,
    replies: VecDeque<Reply>,
    retained: Retained,
    /// Whether other gateways below our base were told of us: once a run is enough, as they answer.
    said_hello: bool,
    /// Whether all documents are due on the next connection, whatever the broker remembers.
    start_over: bool,
    /// How many events were sent since a retained document was.
    events_in_turn: u8,
    paused_until: Option<Instant>,
    births: Births,
    everything_at: Option<Instant>,
    health_at: Instant,
    /// How the gateway was when a source last changed.
    condition: Option<Condition>,
}

impl Publisher {
    /// A publisher that has sent nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { config, store, registry, status, mirrors, topics, link, progress, replies, run } = parts;
        let mut renderer = Renderer::new(config, store, registry, status, topics, run);
        renderer.mirrors = mirrors;
        Self {
            renderer,
            link,
            progress,
            orders: replies,
            online: None,
            flights: Flights::default(),
            outbox: Outbox::new(),
            replies: VecDeque::new(),
            retained: Retained::default(),
            said_hello: false,
            start_over: true,
            events_in_turn: 0,
            paused_until: None,
            births: Births::default(),
            everything_at: None,
            health_at: Instant::now() + health::INTERVAL,
            condition: None,
        }
    }

    /// Sends until told to stop, then says `offline` and closes the connection.
    ///
    /// # Errors
    /// A store that cannot be written to at the start; later troubles of store and broker are waited out.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        self.start_over = !note::begin(&self.renderer.store).await?;
        let sources = self.renderer.status.all().into_keys();
        let outages = Outages::load(&self.renderer.store, sources, Moment::now(clock::now()))?;
        *self.renderer.run.outages() = outages;
        self.retained.leftovers(&self.renderer)?;
        self.retained.descriptions(&self.renderer)?;
        let changed = self.renderer.store.changed();
        let mut status = self.renderer.status.watch();
        loop {
            // Registered before the look, so that a change in between wakes us.
            let mut notified = std::pin::pin!(changed.notified());
            notified.as_mut().enable();
            self.take_changes();
            self.send();
            self.settle();
            if self.retained.is_fresh() {
                self.births.done(Instant::now());
            }
            let next_wake = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut notified => {}
                news = self.progress.next() => {
                    self.hear(news);
                    while let Some(news) = self.progress.try_next() {
                        self.hear(news);
                    }
                }
                order = self.orders.next(), if self.replies.len() < MOST_REPLIES => self.take_order(order),
                Ok(()) = status.changed() => self.sources_changed(),
                () = sleep_until(next_wake) => self.wake(),
            }
        }
        self.close().await;
        Ok(())
    }

    fn take_changes(&mut self) {
        for change in self.renderer.store.take_changes() {
            match change {
                Change::Outbox => self.outbox.more(),
                Change::Trouble => self.retained.mark([Name::Health]),
                Change::Device(device) => {
                    self.outbox.device_changed(device);
                    let marked = self.retained.device_changed(&self.renderer, device);
                    self.or_everything_later(marked);
                }
                Change::Queue(device) => {
                    let marked = self.retained.queue_changed(&self.renderer, device);
                    self.or_everything_later(marked);
                }
            }
        }
    }

    fn sources_changed(&mut self) {
        self.retained.sources_changed(&self.renderer);
        let Renderer { store, run, status, .. } = &self.renderer;
        let condition = Condition::look(store, run, status);
        let before = self.condition.replace(condition);
        if before != self.condition {
            self.retained.mark([Name::Health]);
        }
        for (source, status) in self.renderer.status.all() {
            let changed = self.renderer.run.outages().update(&source, &status, Moment::now(clock::now()));
            if changed {
                let noted = self.renderer.run.outages().save(&self.renderer.store, &source);
                self.unless_failed(noted);
                let marked = self.retained.judge_anew(&self.renderer, &source);
                self.or_everything_later(marked);
            }
        }
    }

    fn take_order(&mut self, order: Order) {
        match order {
            Order::Reply(reply) => self.replies.push_back(reply),
            Order::Clear(topics) => self.retained.clear(&self.renderer, topics),
            Order::RestartRequired(keys) => {
                self.renderer.restart_keys = keys;
                self.retained.mark([Name::BridgeInfo]);
            }
            Order::Configuration(config, registry) => {
                self.renderer.config = config;
                self.renderer.registry = registry;
                self.outbox.devices_changed();
                let marked = self.retained.configuration_changed(&self.renderer);
                self.or_everything_later(marked);
            }
            Order::Birth => {
                let pause = Duration::from_millis(fastrand::u64(BIRTH_PAUSE_MS));
                self.births.born(Instant::now(), pause);
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let now = clock::now();
        // At most once a second, and after a jump of the clock at the latest with the next health.
        let due =
            self.retained.next_due().map(|due| Instant::now() + due.since(now) + Duration::from_secs(1));
        let times = [self.paused_until, self.births.due(), self.everything_at, due, Some(self.health_at)];
        times.into_iter().flatten().min().unwrap_or(self.health_at)
    }

    fn wake(&mut self) {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.outbox.more();
        }
        let is_missed = self.everything_at.is_some_and(|at| at <= now);
        if self.births.begin(now) || is_missed {
            self.everything_at = None;
            self.everything_again();
        }
        if self.health_at <= now {
            self.health_at = now + health::INTERVAL;
            self.retained.mark([Name::Health]);
        }
        self.retained.pass(clock::now());
    }

    fn everything_again(&mut self) {
        let marked = self.retained.everything(&self.renderer);
        self.or_everything_later(marked);
    }

    /// What is out of date could not be told: then all of it may be, once the store answers again.
    fn or_everything_later(&mut self, marked: Result<(), StoreError>) {
        if self.unless_failed(marked).is_none() {
            self.everything_at.get_or_insert(Instant::now() + RETRY);
        }
    }

    /// The last word: what is acknowledged counts, then `offline`, then goodbye.
    async fn close(&mut self) {
        if let Some((epoch, true)) = self.online {
            self.hand_over(epoch, Cargo::BridgeState, self.bridge_state(&BridgeState::OFFLINE));
            self.link.flush();
            let heard = timeout(LAST_WORD, async {
                while !self.flights.is_empty() && self.online.is_some() {
                    let news = self.progress.next().await;
                    self.hear(news);
                }
            });
            if heard.await.is_err() {
                tracing::warn!(
                    "the broker did not acknowledge the last messages; they are sent again next time"
                );
            }
        }
        let settled = self.outbox.settle(&self.renderer);
        let states = self.unless_failed(settled);
        // States that changed just now were not sent any more: the next start sends all of them.
        let nothing_changed = states.is_some_and(|devices| devices.is_empty());
        if nothing_changed && self.retained.is_fresh() && self.flights.is_empty() {
            let noted = note::end(&self.renderer.store);
            self.unless_failed(noted);
        }
        self.link.close();
    }

    /// A store that fails is asked again a little later.
    fn unless_failed<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        result
            .inspect_err(|error| {
                if self.paused_until.is_none() {
                    tracing::warn!(%error, "the store fails; trying again");
                }
                self.paused_until = Some(Instant::now() + RETRY);
            })
            .ok()
    }

    fn bridge_state(&self, state: &BridgeState) -> Publish {
        let topic = self.renderer.topics.bridge("state");
        Publish { topic, payload: print(state), retain: true, properties: json_properties() }
    }
}

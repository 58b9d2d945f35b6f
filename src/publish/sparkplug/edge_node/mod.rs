//! The task of the edge node: a connection after the other, and on each births first, then what waits.
//!
//! Everything that is made is numbered, so what is made is sent, in that order, or the connection ends.

mod hear;
mod review;
mod send;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::facts::{Facts, There};
use super::metric::{Metric, Value};
use super::node::{Node, Outgoing};
use super::session::{Input, Session};
use super::topic::Topics;
use crate::clock;
use crate::config::{Config, Sparkplug};
use crate::decode::Registry;
use crate::downlink::Queues;
use crate::ingest::StatusBoard;
use crate::model::{DeviceId, Timestamp};
use crate::mqtt::edge::{BARRIER_TIMEOUT, Edge, Line, Standing, Wire};
use crate::mqtt::{Fault, Pauses, Will};
use crate::publish::{Run, health};
use crate::store::{Store, StoreError};

/// The name by which the store keeps what waits for the host.
pub const TENANT: &str = "sparkplug";

/// Where the number of the last connection is kept over a restart.
const LAST_DEATH: &str = "sparkplug/bdseq";

/// How often it is looked who came, who is called otherwise, and who is gone by now.
const REVIEW: Duration = Duration::from_secs(5);

/// How long to wait after the store failed.
const RETRY: Duration = Duration::from_secs(1);

/// How long the broker has to answer the last barrier, and then for the goodbye.
const LAST_WORD: Duration = Duration::from_secs(2);

/// After the primary host went away, or a connection that had been good for so long.
const SOON: Duration = Duration::from_millis(200);
const GOOD: Duration = Duration::from_secs(30);

/// What the edge node works with.
#[derive(Debug)]
pub struct Parts {
    /// The configuration in effect.
    pub config: Arc<Config>,
    /// Where what waits is.
    pub store: Store,
    /// The decoders.
    pub registry: Arc<Registry>,
    /// How the sources do.
    pub status: StatusBoard,
    /// Where a host's downlinks go.
    pub queues: Queues,
    /// What the publisher counts, which is told as the edge node's own metrics.
    pub run: Run,
}

/// The task of the edge node.
pub struct EdgeNode {
    facts: Facts,
    node: Node,
    backlog: Backlog,
    queues: Queues,
    status: StatusBoard,
    arrived: Arc<tokio::sync::Notify>,
    edge: Edge,
    /// What was seen of the connection.
    standing: Standing,
    /// Made and numbered, and not yet handed over.
    ready: VecDeque<Outgoing>,
    /// Whether the edge node itself is to be born next, and the devices after it.
    node_birth_due: bool,
    births: BTreeSet<DeviceId>,
    deaths: BTreeSet<DeviceId>,
    /// Devices whose description may have changed.
    renamed: BTreeSet<DeviceId>,
    devices: BTreeMap<DeviceId, Known>,
    /// The edge node's own metrics as they were told.
    told: Vec<Metric>,
    node_data_due: bool,
    judge_anew: bool,
    ignored: u64,
    paused_until: Option<Instant>,
    review_at: Instant,
    health_at: Instant,
}

/// What is known of a device, and what of it was told.
#[derive(Debug, Default)]
struct Known {
    stamp: u64,
    there: There,
    description: Vec<Option<Value>>,
    uplink: Told,
    location: Told,
    downlink: Told,
}

/// What the newest value is of that was told; of two of the same time the better one. An older one is history.
type Told = Option<(Timestamp, bool)>;

/// Why a connection is to end.
#[derive(Debug)]
enum End {
    /// The daemon ends.
    Stopped,
    /// The primary host is gone.
    HostAway,
    /// It is of no use any more.
    Broken(Fault),
}

impl EdgeNode {
    /// The edge node that the configuration describes.
    ///
    /// # Errors
    /// A store that cannot be read or written; certificate and key files that cannot be read or do not fit.
    pub fn new(settings: &Sparkplug, mqtt: &crate::config::Mqtt, parts: Parts) -> anyhow::Result<Self> {
        let Parts { config, store, registry, status, queues, run } = parts;
        let topics = Topics::new(settings);
        let edge = Edge::new(mqtt, &config.gateway.id, topics.subscriptions())?;
        let last_death = store.note(LAST_DEATH)?.and_then(|note| note.first().copied());
        let tenant = store.tenant(TENANT).context("the outbox of Sparkplug")?;
        let arrived = tenant.arrived();
        let now = Instant::now();
        Ok(Self {
            facts: Facts::new(config, store, registry, status.clone(), run, clock::now())?,
            node: Node::new(topics, Session::new(settings.primary_host.is_some(), last_death)),
            backlog: Backlog::new(tenant),
            queues,
            status,
            arrived,
            edge,
            standing: Standing::default(),
            ready: VecDeque::new(),
            node_birth_due: false,
            births: BTreeSet::new(),
            deaths: BTreeSet::new(),
            renamed: BTreeSet::new(),
            devices: BTreeMap::new(),
            told: Vec::new(),
            node_data_due: false,
            judge_anew: false,
            ignored: 0,
            paused_until: None,
            review_at: now,
            health_at: now + health::INTERVAL,
        })
    }

    /// Tells the host until told to stop, then dies in order.
    ///
    /// # Errors
    /// None today; troubles of store and broker are waited out.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let broker = self.edge.place();
        let mut pauses = Pauses::new();
        loop {
            let will = self.node.will(clock::now());
            let will = Will { topic: will.topic, payload: will.payload.to_vec(), retain: false };
            let (mut line, wire) = self.edge.open(will);
            let begun = Instant::now();
            let end = self.connection(&mut line, wire, &stop).await;
            self.disconnected();
            let pause = match &end {
                End::Stopped => return Ok(()),
                End::HostAway => SOON,
                End::Broken(Fault::Lost(_)) if begun.elapsed() > GOOD => {
                    pauses = Pauses::new();
                    SOON
                }
                End::Broken(fault) => pauses.next(fault),
            };
            if let End::Broken(reason) = end {
                let retry_s = (pause.as_secs_f64() * 10.0).round() / 10.0;
                tracing::warn!(%broker, %reason, retry_s, "no connection of the edge node");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    /// One connection from its first packet to its last.
    async fn connection(&mut self, line: &mut Line, wire: Wire, stop: &CancellationToken) -> End {
        let mut wire = pin!(wire.run());
        let end = tokio::select! {
            ended = &mut wire => {
                return End::Broken(ended.err().unwrap_or_else(|| Fault::Lost("closed".to_owned())));
            }
            end = self.hold(line, stop) => end,
        };
        if self.standing.connected && !matches!(end, End::Broken(_)) {
            let death = self.node.death(clock::now());
            line.leave(death.topic, death.payload);
            // Whatever comes of it: the connection ends here, and its testament says the same.
            drop(timeout(LAST_WORD, wire).await);
        }
        end
    }

    async fn hold(&mut self, line: &mut Line, stop: &CancellationToken) -> End {
        let arrived = Arc::clone(&self.arrived);
        let mut status = self.status.watch();
        // What changed while nobody watched.
        self.sources_changed();
        loop {
            // Registered before the look, so that an event in between wakes us.
            let mut notified = pin!(arrived.notified());
            notified.as_mut().enable();
            if let Err(end) = self.turn(line).await {
                return end;
            }
            let next_wake = self.next_wake(line);
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut notified => self.backlog.more(),
                () = line.changed() => {}
                Ok(()) = status.changed() => self.sources_changed(),
                () = sleep_until(next_wake) => self.wake(),
            }
        }
        let passed = timeout(LAST_WORD, async {
            while self.backlog.has_open() {
                line.changed().await;
                self.turn(line).await?;
            }
            Ok::<(), End>(())
        });
        if passed.await.is_err() {
            tracing::debug!("the broker did not answer the last barrier; the rest is told again next time");
        }
        End::Stopped
    }

    /// Takes over what came, and hands over what there is room for.
    async fn turn(&mut self, line: &mut Line) -> Result<(), End> {
        self.hear(line).await?;
        self.send(line).map_err(End::Broken)?;
        if line.deadline().is_some_and(|deadline| deadline.elapsed() > Duration::ZERO) {
            let waited = BARRIER_TIMEOUT.as_secs();
            return Err(End::Broken(Fault::Lost(format!("the broker has not answered for {waited} s"))));
        }
        let settled = self.backlog.settle();
        self.unless_failed(settled);
        Ok(())
    }

    fn next_wake(&self, line: &mut Line) -> Instant {
        let now = clock::now();
        let rebirth = self.node.session.due().map(|due| Instant::now() + due.since(now));
        let barrier = line.deadline().map(|deadline| Instant::from_std(deadline) + Duration::from_millis(1));
        let times = [self.paused_until, rebirth, barrier, Some(self.health_at)];
        times.into_iter().flatten().min().unwrap_or(self.health_at).min(self.review_at)
    }

    fn wake(&mut self) {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.backlog.more();
        }
        if self.health_at <= now {
            self.health_at = now + health::INTERVAL;
            self.node_data_due = true;
        }
    }

    fn sources_changed(&mut self) {
        self.judge_anew |= self.facts.sources_changed(clock::now());
        self.node_data_due = true;
        if self.judge_anew {
            self.review_at = Instant::now();
        }
    }

    fn disconnected(&mut self) {
        self.node.session.hear(Input::Disconnected, clock::now());
        self.standing = Standing::default();
        self.ready.clear();
        self.backlog.void();
    }

    /// A store that fails is asked again a little later.
    fn unless_failed<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        result
            .inspect_err(|error| {
                if self.paused_until.is_none() {
                    tracing::warn!(%error, "the store fails; the edge node tries again");
                }
                self.paused_until = Some(Instant::now() + RETRY);
            })
            .ok()
    }
}

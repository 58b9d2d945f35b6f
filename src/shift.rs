//! The rooms that work by the configuration, from one change of it to the next.
//!
//! The store, the connection to the broker and the publisher outlast a change; sources, callbacks, commands and the
//! control socket end in order and begin again by the new configuration, which takes a fraction of a second. What
//! they do stands in their rooms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::command::{Commands, Errand, Outcome, Rooms};
use crate::config::{Config, Http, Mqtt};
use crate::control::{self, Desk, View};
use crate::decode::Registry;
use crate::downlink::{Dispatcher, Queues};
use crate::http::Server;
use crate::ingest::{Source, StatusBoard};
use crate::logging::Recent;
use crate::mirror::{self, Mirror};
use crate::mqtt::Inbox;
use crate::mqtt::topic::Topics;
use crate::publish::sparkplug::{self, EdgeNode};
use crate::publish::{Replies, Run};
use crate::store::{Store, Upkeep};
use crate::supervisor::Supervisor;
use crate::tally::Tally;
use crate::vitals::Vitals;

/// How long the rooms have to end in order; less than the daemon gives the task that waits for them.
const GRACE: Duration = Duration::from_secs(6);

/// What a shift works by: a configuration, and its decoders.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) config: Arc<Config>,
    pub(crate) registry: Arc<Registry>,
}

impl Plan {
    /// Reads scripts and compiles decoders.
    pub(crate) fn new(config: Config) -> anyhow::Result<Self> {
        let registry = Registry::new(&config).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(|(key, what)| format!("{key}: {what}")).collect();
            anyhow!("{}", lines.join("; "))
        })?;
        Ok(Self { config: Arc::new(config), registry: Arc::new(registry) })
    }

    /// The store's bounds.
    pub(crate) fn upkeep(&self) -> Upkeep {
        let store = &self.config.store;
        Upkeep { keep: store.keep, max_size: store.max_size, clock: clock::latest }
    }

    /// The same with a listener that is in nobody's way.
    fn for_rehearsal(&self) -> Self {
        let listen = |http: &Http| SocketAddr::new(http.listen.ip(), 0);
        let http = self.config.http.as_ref().map(|http| Http { listen: listen(http), ..http.clone() });
        let config = Config { http, ..(*self.config).clone() };
        Self { config: Arc::new(config), registry: Arc::clone(&self.registry) }
    }
}

/// What outlasts a change of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct House {
    /// How the broker is reached, the built-in one too.
    pub(crate) mqtt: Mqtt,
    pub(crate) store: Store,
    pub(crate) board: StatusBoard,
    pub(crate) mirrors: StatusBoard,
    pub(crate) topics: Topics,
    pub(crate) replies: Replies,
    pub(crate) errands: mpsc::Sender<Errand>,
    pub(crate) vitals: Vitals,
    pub(crate) run: Run,
    pub(crate) tally: Tally<(&'static str, Outcome)>,
    pub(crate) recent: Recent,
}

/// The rooms of one configuration, ready to begin.
pub(crate) struct Shift {
    rooms: Supervisor,
    commands: Commands,
    stop: CancellationToken,
}

impl Shift {
    /// Sets up every room; nothing is asked of a cloud yet.
    ///
    /// # Errors
    /// What cannot be set up: an address that is taken, certificates or credentials that cannot be used.
    pub(crate) async fn prepare(house: &House, plan: &Plan) -> anyhow::Result<Self> {
        let House { mqtt, store, board, mirrors, topics, replies, errands, vitals, run, tally, recent } =
            house;
        let Plan { config, registry } = plan;
        let queues = Queues::new(store.clone(), Arc::clone(config), Arc::clone(registry));
        let mut rooms = Supervisor::new();
        let stop = rooms.stage();
        let mut nudges = BTreeMap::new();
        for settings in &config.sources {
            let source =
                Source::new(settings.clone(), store.clone(), board.clone())?.with_downlinks(queues.clone());
            nudges.insert(settings.name.clone(), source.nudge());
            if let Some(dispatcher) = Dispatcher::new(settings, &queues, source.client()) {
                rooms.spawn(format!("downlinks {}", settings.name), dispatcher.run(stop.clone()));
            }
            let source = source.with_pulse(vitals.part(format!("source {}", settings.name)));
            rooms.spawn(format!("source {}", settings.name), source.run(stop.clone()));
        }
        for settings in &config.mirrors {
            let mirror = Mirror::new(mirror::Parts {
                settings: settings.clone(),
                config: Arc::clone(config),
                store: store.clone(),
                registry: Arc::clone(registry),
                queues: queues.clone(),
                sources: board.clone(),
                board: mirrors.clone(),
                topics: topics.clone(),
                run: run.clone(),
            })?;
            rooms.spawn(format!("mirror {}", settings.name), mirror.run(stop.clone()));
        }
        let commanded = Rooms {
            config: Arc::clone(config),
            store: store.clone(),
            queues: queues.clone(),
            registry: Arc::clone(registry),
            board: board.clone(),
            mirrors: mirrors.clone(),
            nudges,
            topics: topics.clone(),
            replies: replies.clone(),
            errands: errands.clone(),
            run: run.clone(),
            tally: tally.clone(),
            recent: recent.clone(),
        };
        if let Some(http) = &config.http {
            let server = Server::bind(http, commanded.clone()).await?;
            rooms.spawn("http", server.run(stop.clone()));
        }
        let view = View::new(Arc::clone(config), store.clone(), Arc::clone(registry), Some(board.clone()));
        let control = control::Server::new(config.gateway.clone(), view);
        rooms.spawn("control", control.with_desk(Desk::new(commanded.clone())).run(stop.clone()));
        if let Some(settings) = &config.sparkplug {
            let parts = sparkplug::Parts {
                config: Arc::clone(config),
                store: store.clone(),
                registry: Arc::clone(registry),
                status: board.clone(),
                queues: queues.clone(),
                run: run.clone(),
            };
            let edge_node = EdgeNode::new(settings, mqtt, parts)?;
            rooms.spawn("sparkplug", edge_node.run(stop.clone()));
        }
        rooms.spawn("downlinks", queues.run(stop.clone()));
        Ok(Self { rooms, commands: Commands::new(commanded), stop })
    }

    /// Works until `until` resolves or a room ends unasked, then ends every room.
    async fn work(self, inbox: &mut Inbox, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { rooms, commands, stop } = self;
        let (rooms, commands) = tokio::join!(rooms.run(until, GRACE), commands.run(inbox, stop));
        rooms.and(commands.context("task commands"))
    }
}

/// A plan on its way to the rooms, and who waits for them to work by it.
pub(crate) type Relief = (Plan, oneshot::Sender<()>);

/// Works shift after shift until told to stop.
///
/// # Errors
/// A room that failed or ended unasked, by name; rooms that could not begin although they had in the rehearsal.
pub(crate) async fn run(
    house: House,
    first: Shift,
    mut inbox: Inbox,
    mut reliefs: mpsc::Receiver<Relief>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut shift = first;
    loop {
        let mut relief = None;
        let ended = shift.work(&mut inbox, async {
            tokio::select! {
                () = stop.cancelled() => {}
                Some(next) = reliefs.recv() => relief = Some(next),
            }
        });
        let ended = Box::pin(ended).await;
        let Some((plan, begun)) = relief else { return ended };
        if let Err(error) = ended {
            tracing::warn!(
                error = format!("{error:#}"),
                "not every room ended in order for the new configuration"
            );
        }
        house.board.keep(plan.config.sources.iter().map(|source| source.name.clone()));
        house.mirrors.keep(plan.config.mirrors.iter().map(|mirror| mirror.name.clone()));
        shift = Box::pin(Shift::prepare(&house, &plan)).await?;
        // Whoever asked for it may not wait.
        begun.send(()).ok();
    }
}

/// Brings a configuration that was read again into effect.
pub(crate) struct Handover {
    house: House,
    running: Arc<Config>,
    reliefs: mpsc::Sender<Relief>,
    upkeep: watch::Sender<Upkeep>,
}

impl Handover {
    /// The way to rooms that work by `running`.
    pub(crate) fn new(
        house: House,
        running: Arc<Config>,
        reliefs: mpsc::Sender<Relief>,
        upkeep: watch::Sender<Upkeep>,
    ) -> Self {
        Self { house, running, reliefs, upkeep }
    }

    /// Takes over what can change while the gateway runs; the receiver resolves when the rooms work by it.
    ///
    /// # Errors
    /// What cannot be set up by this configuration; then everything stays as it is.
    pub(crate) async fn take_over(&mut self, config: Config) -> anyhow::Result<oneshot::Receiver<()>> {
        let plan = Plan::new(config.onto(&self.running))?;
        // The rooms that run now end only when others are known to be able to take their places.
        drop(Box::pin(Shift::prepare(&self.house, &plan.for_rehearsal())).await?);
        self.running = Arc::clone(&plan.config);
        self.upkeep.send_replace(plan.upkeep());
        self.house.replies.configuration(Arc::clone(&plan.config), Arc::clone(&plan.registry)).await;
        let (begun, begins) = oneshot::channel();
        self.reliefs.send((plan, begun)).await.context("the gateway is ending")?;
        Ok(begins)
    }
}

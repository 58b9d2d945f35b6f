//! THE wiring: which parts the daemon has and how they hang together, in the order of the flow.
//!
//! Holds no logic of its own; what a part does stands in its room.

use std::future::Future;
#[cfg(feature = "embedded-broker")]
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};

use crate::config::{BackupSettings, Config, Mqtt, StoreSettings};
use crate::ingest::StatusBoard;
use crate::mqtt::topic::Topics;
use crate::oversight::Oversight;
use crate::publish::{self, Parts, Publisher, Run, sparkplug};
use crate::shift::{self, Handover, House, Plan, Shift};
use crate::store::{Backups, Options, Store};
use crate::supervisor::Supervisor;
use crate::tally::Tally;
use crate::vitals::Vitals;
use crate::{clock, config, mqtt, systemd};

/// So many errands may wait; whoever has one more waits, and so takes no further command.
const ERRANDS: usize = 4;

/// How long each stage has to end in order.
const GRACE: Duration = Duration::from_secs(8);

/// Runs the gateway until `stop` resolves.
///
/// # Errors
/// What keeps it from starting, or the part that broke, in a person's words.
pub async fn run(config: Config, oversight: Oversight, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let plan = Plan::new(config)?;
    let config = Arc::clone(&plan.config);
    let mut supervisor = Supervisor::new();

    let StoreSettings { flush, cache, backup, .. } = &config.store;
    let options = Options { dir: config.gateway.data_dir.clone(), cache: *cache, flush: *flush };
    let folder = backup.as_ref().map(|backup| backup.folder.as_path());
    let (store, mut syncer) = Store::open_or_restore(options, folder)?;
    if let Some(BackupSettings { folder, keep, hour }) = backup.clone() {
        syncer = syncer.with_backups(Backups { folder, keep, hour, clock: clock::now_if_set });
    }
    let mirrored: Vec<String> = config.mirrors.iter().map(config::Mirror::tenant).collect();
    let tenants =
        config.sparkplug.iter().map(|_| sparkplug::TENANT).chain(mirrored.iter().map(String::as_str));
    store.retain_tenants(&tenants.collect::<Vec<_>>())?;
    let board = StatusBoard::new(config.sources.iter().map(|source| source.name.clone()));
    let mirrors = StatusBoard::new(config.mirrors.iter().map(|mirror| mirror.name.clone()));
    let topics = Topics::new(&config.mqtt.base, &config.mqtt.discovery.prefix);
    let broker = Broker::start(&config.mqtt).await?;
    let (link, progress, inbox, driver) = mqtt::connect(&broker.mqtt, &config.gateway.id, &topics)?;
    let (replies, orders) = publish::replies();
    let run = Run::default();
    let (errands, errands_to_do) = mpsc::channel(ERRANDS);
    let vitals = Vitals::default();

    // What feeds ends first: sources, callbacks, commands, and what lets others take their places.
    let house = House {
        mqtt: broker.mqtt.clone(),
        store: store.clone(),
        board: board.clone(),
        mirrors: mirrors.clone(),
        topics: topics.clone(),
        replies: replies.clone(),
        errands,
        vitals: vitals.clone(),
        run: run.clone(),
        tally: Tally::default(),
        recent: oversight.log.as_ref().map(|log| log.recent.clone()).unwrap_or_default(),
    };
    let first = Shift::prepare(&house, &plan).await?;
    let (reliefs, relieved) = mpsc::channel(1);
    let (upkeep, upkept) = watch::channel(plan.upkeep());
    let handover = Handover::new(house.clone(), Arc::clone(&config), reliefs, upkeep);
    let stop_feeding = supervisor.stage();
    supervisor.spawn("rooms", shift::run(house, first, inbox, relieved, stop_feeding.clone()));
    supervisor.spawn("oversight", oversight.run(errands_to_do, replies, handover, stop_feeding));

    // Then what publishes, then the connection that it publishes on, then the broker at its other end.
    let publisher = Publisher::new(Parts {
        config: Arc::clone(&config),
        store,
        registry: plan.registry,
        status: board,
        mirrors,
        topics,
        link,
        progress,
        replies: orders,
        run,
    });
    let stop_publishing = supervisor.stage();
    supervisor.spawn("publisher", publisher.run(stop_publishing));
    let stop_driving = supervisor.stage();
    supervisor.spawn("mqtt", driver.with_pulse(vitals.part("mqtt")).run(stop_driving));
    broker.spawn(&mut supervisor);

    // The store's last flush comes when nobody writes any more.
    let stop_store = supervisor.stage();
    let syncer = syncer.with_upkeep(upkept).with_pulse(vitals.part("store"));
    supervisor.spawn("store", syncer.run(stop_store.clone()));
    supervisor.spawn("systemd", systemd::attend(vitals, stop_store));

    announce(&config);
    let stop = async {
        stop.await;
        tracing::info!("gateway ends");
        systemd::stopping();
    };
    supervisor.run(stop, GRACE).await
}

/// What is worth a line at every start.
fn announce(config: &Config) {
    if !clock::is_set(clock::now()) {
        tracing::warn!(clock = %clock::now(), "the clock is not set; nothing is polled until it is");
    }
    tracing::info!(gateway = config.gateway.id, sources = config.sources.len(), "gateway begins");
}

/// The broker of the configuration: one outside, or the built-in one.
struct Broker {
    /// How we reach it.
    mqtt: Mqtt,
    #[cfg(feature = "embedded-broker")]
    built_in: Option<mqtt::broker::Broker>,
}

impl Broker {
    #[cfg(feature = "embedded-broker")]
    async fn start(mqtt: &Mqtt) -> anyhow::Result<Self> {
        use secrecy::ExposeSecret as _;

        if mqtt.url.scheme() != "embedded" {
            return Ok(Self { mqtt: mqtt.clone(), built_in: None });
        }
        let login = mqtt.username.as_deref().zip(mqtt.password.as_ref().map(|secret| secret.expose_secret()));
        let broker = mqtt::broker::Broker::start(listen_address(mqtt)?, login).await?;
        let url = format!("mqtt://{}", broker.address()).parse().context("mqtt.url")?;
        Ok(Self { mqtt: Mqtt { url, ..mqtt.clone() }, built_in: Some(broker) })
    }

    #[cfg(not(feature = "embedded-broker"))]
    async fn start(mqtt: &Mqtt) -> anyhow::Result<Self> {
        std::future::ready(()).await;
        if mqtt.url.scheme() == "embedded" {
            anyhow::bail!("mqtt.url: this build has no built-in broker (expected mqtt, mqtts, ws or wss)");
        }
        Ok(Self { mqtt: mqtt.clone() })
    }

    fn spawn(self, supervisor: &mut Supervisor) {
        #[cfg(feature = "embedded-broker")]
        if let Some(broker) = self.built_in {
            let stop = supervisor.stage();
            supervisor.spawn("built-in broker", broker.run(stop));
        }
    }
}

#[cfg(feature = "embedded-broker")]
fn listen_address(mqtt: &Mqtt) -> anyhow::Result<SocketAddr> {
    let host = mqtt.url.host_str().unwrap_or("127.0.0.1");
    let port = mqtt.url.port().unwrap_or(1883);
    (host, port)
        .to_socket_addrs()
        .with_context(|| format!("mqtt.url: `{host}` is no address to listen on"))?
        .next()
        .with_context(|| format!("mqtt.url: `{host}` is no address to listen on"))
}

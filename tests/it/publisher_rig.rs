//! The publishing half of the gateway on a real store and a real broker: what the daemon wires, without clouds.

use std::sync::Arc;

use sigfox2mqtt::config::{Config, Environment};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::ingest::StatusBoard;
use sigfox2mqtt::model::{SourceName, Timestamp, Uplink};
use sigfox2mqtt::mqtt::topic::Topics;
use sigfox2mqtt::mqtt::{self, Inbox, Message};
use sigfox2mqtt::publish::{Parts, Publisher, Replies, Run, replies};
use sigfox2mqtt::store::Store;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{eventually, open_store};

/// A store that outlives the half of the gateway that publishes it.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) config: Arc<Config>,
    _folder: TempDir,
}

/// The running half.
pub(crate) struct Publishing {
    pub(crate) board: StatusBoard,
    pub(crate) replies: Replies,
    pub(crate) inbox: Inbox,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// The configuration of a gateway `gw` with one source `factory`, and these lines under `[mqtt]` and below.
pub(crate) fn config(mqtt: &str) -> Config {
    let text = format!(
        "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"/nowhere\"\n\
         [sources.factory]\nkind = \"sigfox\"\nlogin = \"user\"\npassword = \"secret\"\n\
         downlink = \"callback\"\ncallback_token = \"token\"\n\
         [devices.1A2B3C]\nname = \"Tank 3\"\ndecoder = \"level\"\n\
         [decoders.level]\nformat = \"level::uint:16 alarm::bool:0\"\n\
         [decoders.level.fields.level]\nunit = \"mm\"\n[mqtt]\n{mqtt}\n"
    );
    let loaded = Config::parse(&text, "config.toml", std::path::Path::new("."), &Environment::default());
    loaded.map_err(|problems| problems.lines().collect::<Vec<_>>()).unwrap().config
}

impl Site {
    pub(crate) fn new(mqtt: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _syncer) = open_store(folder.path());
        Self { store, config: Arc::new(config(mqtt)), _folder: folder }
    }

    /// Changes what stands under `[mqtt]`, as a restart finds it.
    pub(crate) fn reconfigure(&mut self, mqtt: &str) {
        self.config = Arc::new(config(mqtt));
    }

    /// The same, with another decoder for a device.
    pub(crate) fn reconfigure_decoder(&mut self, device: &str, decoder: &str, mqtt: &str) {
        let mut config = config(mqtt);
        config.devices.get_mut(&device.parse().unwrap()).unwrap().decoder = Some(decoder.to_owned());
        self.config = Arc::new(config);
    }

    /// Begins to publish.
    pub(crate) fn publish(&self) -> Publishing {
        let config = &self.config;
        let topics = Topics::new(&config.mqtt.base, &config.mqtt.discovery.prefix);
        let board = StatusBoard::new([factory()]);
        let (link, progress, inbox, driver) = mqtt::connect(&config.mqtt, "gw", &topics).unwrap();
        let (replies, orders) = replies();
        let publisher = Publisher::new(Parts {
            config: Arc::clone(config),
            store: self.store.clone(),
            registry: Arc::new(Registry::new(config).unwrap()),
            status: board.clone(),
            mirrors: StatusBoard::new([]),
            topics,
            link,
            progress,
            replies: orders,
            run: Run::default(),
        });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(publisher.run(stop.clone()));
        tasks.spawn(driver.run(stop.clone()));
        Publishing { board, replies, inbox, stop, tasks }
    }

    /// Waits until the broker has everything.
    pub(crate) async fn drained(&self) {
        let store = &self.store;
        eventually("the outbox to be empty", || store.outbox_depth().unwrap().0 == 0).await;
    }
}

impl Publishing {
    /// The next message but our own greeting, which the broker brings back.
    pub(crate) async fn next_command(&mut self) -> Message {
        loop {
            let message = self.inbox.next().await.unwrap();
            if !message.topic.ends_with("/hello") {
                return message;
            }
            message.ack();
        }
    }

    /// Ends in order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    /// Ends as a crash would, as far as the broker and the store can tell.
    pub(crate) async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}

pub(crate) fn factory() -> SourceName {
    "factory".parse().unwrap()
}

/// An uplink of a device at a time, with its sequence number made from the time.
pub(crate) fn uplink(device: &str, seconds: i64, payload: &str) -> Uplink {
    Uplink {
        seq: Some(u16::try_from(seconds % 4096).unwrap()),
        received: Timestamp::from_cloud(seconds + 30).unwrap(),
        rssi: Some(-118.0),
        ack: Some(false),
        ..Uplink::new(
            device.parse().unwrap(),
            Timestamp::from_cloud(seconds).unwrap(),
            payload.parse().unwrap(),
            factory(),
        )
    }
}

//! An edge node on a real store and a real broker, and a host that decodes what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sigfox2mqtt::config::{Config, Environment};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::Queues;
use sigfox2mqtt::ingest::{SourceState, StatusBoard};
use sigfox2mqtt::model::{InventoryDevice, Timestamp, Uplink};
use sigfox2mqtt::publish::Run;
use sigfox2mqtt::publish::sparkplug::payload::{Message as _, Metric, Payload, Value};
use sigfox2mqtt::publish::sparkplug::{EdgeNode, Parts, TENANT};
use sigfox2mqtt::store::{Options, Store, Tenant};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::publisher_rig::factory;
use crate::support::subscriber::Subscriber;

/// The store of a gateway `gw` with one source, which outlives its edge node.
pub(crate) struct Plant {
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) board: StatusBoard,
    pub(crate) tenant: Tenant,
    config: Arc<Config>,
    registry: Arc<Registry>,
    folder: TempDir,
}

/// A running edge node.
pub(crate) struct Running {
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// What the host was told, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// `NBIRTH`, `DDATA/1A2B3C`, …
    pub(crate) what: String,
    pub(crate) seq: Option<u64>,
    /// By name, whether the message had it or its alias.
    pub(crate) values: BTreeMap<String, Option<Value>>,
    pub(crate) times: BTreeMap<String, u64>,
    pub(crate) units: BTreeMap<String, String>,
    pub(crate) is_historical: bool,
}

impl Plant {
    /// A plant on the broker at a URL, with these lines at the end of its configuration; `{folder}` in them is a folder
    /// that holds these files.
    pub(crate) fn new(url: &str, lines: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let lines = lines.replace("{folder}", folder.path().to_str().unwrap());
        let text = format!(
            "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"/nowhere\"\n[mqtt]\nurl = \"{url}\"\n\
             [sources.factory]\nkind = \"sigfox\"\nlogin = \"user\"\npassword = \"secret\"\n\
             downlink = \"callback\"\ncallback_token = \"token\"\n\
             [devices.1A2B3C]\nname = \"Tank 3\"\ndecoder = \"level\"\nexpected_interval = \"1m\"\n\
             [decoders.level]\nformat = \"level::uint:16 temperature::int:8:/2 serial::uint:64\"\n\
             [decoders.level.fields.level]\nunit = \"mm\"\n\
             [sparkplug]\ngroup = \"site1\"\n{lines}\n"
        );
        let loaded = Config::parse(&text, "config.toml", std::path::Path::new("."), &Environment::default());
        let config =
            Arc::new(loaded.map_err(|problems| problems.lines().collect::<Vec<_>>()).unwrap().config);
        let data = folder.path().join("data");
        let (store, _syncer) =
            Store::open(Options { dir: data, cache: 8 << 20, flush: Duration::from_secs(5) }).unwrap();
        let registry = Arc::new(Registry::new(&config).unwrap());
        let queues = Queues::new(store.clone(), Arc::clone(&config), Arc::clone(&registry));
        let tenant = store.tenant(TENANT).unwrap();
        let board = StatusBoard::new([factory()]);
        Self { store, queues, board, tenant, config, registry, folder }
    }

    /// Keeps an uplink of a device that the cloud lists.
    pub(crate) fn record(&self, uplink: Uplink) {
        let listed = InventoryDevice {
            id: uplink.device,
            name: None,
            device_type: None,
            tags: BTreeMap::new(),
            state: None,
            last_seen: None,
            location: None,
        };
        self.store.record_inventory(&factory(), &[], &[listed], uplink.time).unwrap();
        self.store.record_sweep(&[uplink], None).unwrap();
    }

    /// The source has been asked, and answered.
    pub(crate) fn synced(&self) {
        self.board.update(&factory(), |status| {
            status.state = SourceState::Ok;
            status.last_success = Some(sigfox2mqtt::clock::now());
        });
    }

    /// Starts the edge node.
    pub(crate) fn start(&self) -> Running {
        assert!(self.folder.path().exists());
        let parts = Parts {
            config: Arc::clone(&self.config),
            store: self.store.clone(),
            registry: Arc::clone(&self.registry),
            status: self.board.clone(),
            queues: self.queues.clone(),
            run: Run::default(),
        };
        let settings = self.config.sparkplug.clone().unwrap();
        let edge_node = EdgeNode::new(&settings, &self.config.mqtt, parts).unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(edge_node.run(stop.clone()));
        Running { stop, tasks }
    }

    /// How many events wait for the host.
    pub(crate) fn backlog(&self) -> u64 {
        self.tenant.depth().unwrap().0
    }
}

impl Running {
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

impl Told {
    /// A value that is there.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned().flatten()
    }
}

/// What a subscriber to `spBv1.0/site1/#` heard, but commands, decoded in order.
pub(crate) fn told(host: &Subscriber) -> Vec<Told> {
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut all = Vec::new();
    for received in host.all().into_iter().filter(|received| !received.topic.contains("CMD/")) {
        let levels: Vec<&str> = received.topic.split('/').collect();
        let what =
            levels[2].to_owned() + &levels.get(4).map(|device| format!("/{device}")).unwrap_or_default();
        let payload = Payload::decode(received.payload.as_slice()).unwrap();
        let mut told = Told {
            what,
            seq: payload.seq,
            values: BTreeMap::new(),
            times: BTreeMap::new(),
            units: BTreeMap::new(),
            is_historical: payload.metrics.iter().any(|metric| metric.is_historical == Some(true)),
        };
        for metric in payload.metrics {
            let Metric { name, alias, value, timestamp, properties, .. } = metric;
            let name = name.unwrap_or_else(|| names[&alias.unwrap()].clone());
            names.extend(alias.map(|alias| (alias, name.clone())));
            told.times.extend(timestamp.map(|time| (name.clone(), time)));
            let unit = properties.and_then(|set| set.values.first().and_then(|value| value.text.clone()));
            told.units.extend(unit.map(|unit| (name.clone(), unit)));
            told.values.insert(name, value);
        }
        all.push(told);
    }
    all
}

/// A command to the edge node, or to one of its devices.
pub(crate) fn command(metric: Metric) -> Vec<u8> {
    Payload { timestamp: Some(1), metrics: vec![metric], seq: None }.encode_to_vec()
}

/// An uplink of the tank so many seconds ago: 16 bits of level, 8 of half degrees, 64 of serial number.
pub(crate) fn tank(seconds_ago: i64, payload: &str) -> Uplink {
    let now = sigfox2mqtt::clock::now().as_seconds();
    let uplink = crate::publisher_rig::uplink("1A2B3C", now - seconds_ago, payload);
    Uplink { received: Timestamp::from_cloud(now).unwrap(), ..uplink }
}

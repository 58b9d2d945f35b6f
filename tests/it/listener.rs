//! The listener with a real store and real queues, without the rest of the daemon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use serde_json::Value;
use sigfox2mqtt::command::{Errand, Rooms};
use sigfox2mqtt::config::{Config, Environment, Http, Loaded};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::{Expiry, Order, Queues};
use sigfox2mqtt::http::{Counts, Server};
use sigfox2mqtt::ingest::StatusBoard;
use sigfox2mqtt::logging::Recent;
use sigfox2mqtt::model::{DeviceId, Downlink, ItemId, Timestamp, Uplink};
use sigfox2mqtt::mqtt::topic::Topics;
use sigfox2mqtt::publish::{Run, replies};
use sigfox2mqtt::store::{Store, Syncer, UplinkQuery};
use sigfox2mqtt::tally::Tally;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::open_store;

pub(crate) const TOKEN: &str = "callback-token";

const CONFIGURATION: &str = r#"
version = 1

[mqtt]
url = "mqtt://127.0.0.1:1"

[http]
listen = "127.0.0.1:0"

[sources.factory]
kind = "sigfox"
login = "login"
password = "secret"
callback_token = "callback-token"
callback_batch = "{device};{time};{data};{ack};"
except_devices = ["BADBAD"]

[sources.other]
kind = "sigfox"
login = "login"
password = "secret"
"#;

/// A listener on a free port; its store outlives it, so that it can be started again.
pub(crate) struct Listener {
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) base: String,
    client: reqwest::Client,
    counts: Box<dyn Fn() -> Counts>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Listener {
    pub(crate) async fn start(dir: &TempDir) -> Self {
        Self::serve(dir, "", None).await
    }

    /// The same with more in `[http]`.
    pub(crate) async fn start_with(dir: &TempDir, http: &str) -> Self {
        Self::serve(dir, http, None).await
    }

    /// The same by https, with the tests' certificate.
    pub(crate) async fn start_https(dir: &TempDir, http: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        Self::serve(dir, http, Some((folder.join("certificate.pem"), folder.join("key.pem")))).await
    }

    async fn serve(dir: &TempDir, http: &str, tls: Option<(PathBuf, PathBuf)>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let config = Arc::new(configured("", http));
        let (store, syncer) = open(dir);
        let registry = Arc::new(Registry::new(&config).unwrap());
        let queues = queues(&store, &config, &registry);
        let settings = Http { tls: tls.clone(), ..config.http.clone().unwrap() };
        let rooms = rooms(&store, &config, &registry, &queues).0;
        let server = Server::bind(&settings, rooms).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", server.local_addr());
        let trusted = tls.map(|(certificate, _)| std::fs::read(certificate).unwrap());
        let trusted = trusted.map(|pem| reqwest::Certificate::from_pem(&pem).unwrap());
        let client = reqwest::Client::builder()
            .tls_certs_only(trusted)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let counters = server.counters();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(syncer.run(stop.clone()));
        tasks.spawn(server.run(stop.clone()));
        let counts = Box::new(move || counters.counts());
        Self { store, queues, base, client, counts, stop, tasks }
    }

    /// Ends in order.
    pub(crate) async fn end(self) {
        let Self { stop, mut tasks, .. } = self;
        stop.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    /// Posts a body with the right token; the status, and the body as JSON where there is one.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.request(reqwest::Method::POST, path).bearer_auth(TOKEN).body(body);
        answer(request.send().await.unwrap()).await
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) fn counts(&self) -> Counts {
        (self.counts)()
    }

    /// All uplinks of the store, oldest first.
    pub(crate) fn uplinks(&self) -> Vec<Uplink> {
        self.store.uplinks(&UplinkQuery::default()).unwrap()
    }

    pub(crate) fn item(&self, device: &str, id: &str) -> Downlink {
        let items = self.queues.list(Some(device.parse().unwrap())).unwrap();
        items.into_iter().find(|item| item.id.as_str() == id).unwrap()
    }

    /// Queues items for a device: each with a name and eight times the same byte.
    pub(crate) async fn push(&self, device: &str, items: &[(&str, u8)]) {
        let device: DeviceId = device.parse().unwrap();
        let orders = items.iter().map(|(id, byte)| Ok(order(id, *byte))).collect();
        let outcomes = self.queues.push(device, orders).await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.accepted), "{outcomes:?}");
    }
}

pub(crate) async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

pub(crate) fn order(id: &str, byte: u8) -> Order {
    let id: ItemId = id.parse().unwrap();
    Order {
        made_id: id.clone(),
        id: Some(id),
        data: sigfox2mqtt::model::DownlinkPayload::new([byte; 8]),
        expiry: Expiry::Default,
        not_before: None,
        coalesce: None,
        transaction: None,
        repeat: false,
    }
}

/// An open store, with the task that makes it durable.
pub(crate) fn open(dir: &TempDir) -> (Store, Syncer) {
    open_store(&dir.path().join("store"))
}

pub(crate) fn queues(store: &Store, config: &Arc<Config>, registry: &Arc<Registry>) -> Queues {
    Queues::new(store.clone(), Arc::clone(config), Arc::clone(registry))
}

/// What commands and the API work on, and what is asked of the daemon as a whole.
pub(crate) fn rooms(
    store: &Store,
    config: &Arc<Config>,
    registry: &Arc<Registry>,
    queues: &Queues,
) -> (Rooms, mpsc::Receiver<Errand>) {
    let (errands, asked) = mpsc::channel(4);
    let rooms = Rooms {
        topics: Topics::new("sigfox2mqtt", "homeassistant"),
        board: StatusBoard::new(config.sources.iter().map(|source| source.name.clone())),
        mirrors: StatusBoard::new([]),
        nudges: BTreeMap::new(),
        replies: replies().0,
        errands,
        store: store.clone(),
        config: Arc::clone(config),
        queues: queues.clone(),
        registry: Arc::clone(registry),
        run: Run::default(),
        tally: Tally::default(),
        recent: Recent::default(),
    };
    (rooms, asked)
}

/// An uplink as a poll of the factory's cloud brings it.
pub(crate) fn uplink(device: &str, seconds: i64, seq: u16) -> Uplink {
    let time = Timestamp::from_cloud(seconds).unwrap();
    Uplink {
        seq: Some(seq),
        ..Uplink::new(device.parse().unwrap(), time, "17".parse().unwrap(), "factory".parse().unwrap())
    }
}

/// The configuration, with more in `[mqtt]`.
pub(crate) fn config(mqtt: &str) -> Config {
    configured(mqtt, "")
}

fn configured(mqtt: &str, http: &str) -> Config {
    let environment = Environment::default();
    let configuration = CONFIGURATION.replace("[mqtt]", &format!("[mqtt]\n{mqtt}"));
    let configuration = configuration.replace("[http]", &format!("[http]\n{http}"));
    let loaded: Loaded = Config::parse(&configuration, "test.toml", Path::new("."), &environment)
        .unwrap_or_else(|problems| {
            panic!("{problems}");
        });
    loaded.config
}

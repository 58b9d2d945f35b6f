//! The listener with a real store and real queues, without the rest of the daemon.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::Value;
use sigfox2mqtt::config::{Config, Environment, Loaded};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::{Expiry, Order, Queues};
use sigfox2mqtt::http::{Counts, Health, Server};
use sigfox2mqtt::model::{DeviceId, Downlink, ItemId, Uplink};
use sigfox2mqtt::store::{Options, Store, UplinkQuery};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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
    base: String,
    client: reqwest::Client,
    counts: Box<dyn Fn() -> Counts>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Listener {
    pub(crate) async fn start(dir: &TempDir) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let config = Arc::new(config());
        let options =
            Options { dir: dir.path().join("store"), cache: 8 << 20, flush: Duration::from_secs(5) };
        let (store, syncer) = Store::open(options).unwrap();
        let registry = Arc::new(Registry::new(&config).unwrap());
        let queues = Queues::new(store.clone(), Arc::clone(&config), registry);
        let settings = config.http.clone().unwrap();
        let server = Server::bind(&settings, &config, store.clone(), queues.clone(), Health::default());
        let server = server.await.unwrap();
        let base = format!("http://{}", server.local_addr());
        let counters = server.counters();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(syncer.run(stop.clone()));
        tasks.spawn(server.run(stop.clone()));
        let counts = Box::new(move || counters.counts());
        Self { store, queues, base, client: reqwest::Client::new(), counts, stop, tasks }
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

fn order(id: &str, byte: u8) -> Order {
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

fn config() -> Config {
    let environment = Environment::default();
    let loaded: Loaded = Config::parse(CONFIGURATION, "test.toml", Path::new("."), &environment)
        .unwrap_or_else(|problems| {
            panic!("{problems}");
        });
    loaded.config
}

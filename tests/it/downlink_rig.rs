//! A cloud to which downlinks are brought, and the queues and the dispatcher that bring them.

use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::cloud::Client;
use sigfox2mqtt::config::{Config, Environment};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::{Dispatcher, Queues};
use sigfox2mqtt::model::{
    DeviceId, DeviceType, Downlink, DownlinkMode, DownlinkState, InventoryDevice, PayloadKind, SourceName,
    Uplink,
};
use sigfox2mqtt::store::Store;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::listener;

const TYPE: &str = "5f0000000000000000000001";
pub(crate) const FORMER: &str = "3c06000000000000";

/// What a cloud was asked to do, and how it answers.
#[derive(Default)]
pub(crate) struct Cloud {
    /// Soracom: what was put into slots.
    pub(crate) sent: Vec<(String, String)>,
    /// Soracom: how that is answered; none: accepted.
    pub(crate) status: Option<u16>,
    /// Soracom: when the devices were last heard,
    pub(crate) last_seen: Option<String>,
    /// and when during the next submission.
    pub(crate) heard_meanwhile: Option<String>,
    /// Sigfox: the fixed answer of the device type, and what was written there.
    pub(crate) answer: Value,
    pub(crate) written: Vec<Value>,
}

type Shared = Arc<Mutex<Cloud>>;

async fn serve() -> (SocketAddr, Shared, JoinSet<()>) {
    let cloud = Shared::default();
    cloud.lock().unwrap().answer = json!(FORMER);
    let router = Router::new()
        .route(
            "/v1/auth",
            post(|| async { Json(json!({ "apiKey": "k", "token": "t", "operatorId": "OP1" })) }),
        )
        .route("/v1/sigfox_devices/{id}", get(soracom_device))
        .route("/v1/sigfox_devices/{id}/data", post(soracom_send))
        .route("/v2/device-types/{id}", get(sigfox_type).put(sigfox_edit))
        .with_state(Arc::clone(&cloud));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, cloud, tasks)
}

async fn soracom_device(State(cloud): State<Shared>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
    let seen = cloud.lock().unwrap().last_seen.clone().map(|time| json!({ "time": time }));
    let status = if id == "DEAD" { "terminated" } else { "active" };
    let device = json!({ "deviceId": id, "status": status, "tags": {}, "lastSeen": seen });
    (if id == "FFFF" { StatusCode::NOT_FOUND } else { StatusCode::OK }, Json(device))
}

async fn soracom_send(
    State(cloud): State<Shared>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> StatusCode {
    let mut cloud = cloud.lock().unwrap();
    cloud.sent.push((id, body["data"].as_str().unwrap().to_owned()));
    if let Some(time) = cloud.heard_meanwhile.take() {
        cloud.last_seen = Some(time);
    }
    cloud.status.map_or(StatusCode::ACCEPTED, |status| StatusCode::from_u16(status).unwrap())
}

async fn sigfox_type(State(cloud): State<Shared>, Path(id): Path<String>) -> Json<Value> {
    let answer = cloud.lock().unwrap().answer.clone();
    Json(json!({ "id": id, "name": "tank", "downlinkMode": 0, "downlinkDataString": answer }))
}

async fn sigfox_edit(State(cloud): State<Shared>, Json(body): Json<Value>) -> StatusCode {
    let mut cloud = cloud.lock().unwrap();
    cloud.answer = body["downlinkDataString"].clone();
    cloud.written.push(body["downlinkDataString"].clone());
    StatusCode::NO_CONTENT
}

/// Queues in a real store, with a dispatcher for one source that can be started again.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) config: Arc<Config>,
    pub(crate) cloud: Shared,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinSet<()>,
    _cloud: JoinSet<()>,
    _dir: TempDir,
}

impl Rig {
    pub(crate) async fn new(source: &str) -> Self {
        let (address, cloud, serving) = serve().await;
        let text = format!("version = 1\n[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[sources.factory]\n{source}")
            .replace("{address}", &address.to_string());
        let loaded = Config::parse(&text, "test.toml", FilePath::new("."), &Environment::default());
        let config = Arc::new(loaded.unwrap_or_else(|problems| panic!("{problems}")).config);
        let dir = tempfile::tempdir().unwrap();
        let store = listener::open(&dir).0;
        let registry = Arc::new(Registry::new(&config).unwrap());
        let queues = listener::queues(&store, &config, &registry);
        let (stop, running) = (CancellationToken::new(), JoinSet::new());
        Self { store, queues, config, cloud, stop, running, _cloud: serving, _dir: dir }
    }

    pub(crate) async fn soracom() -> Self {
        Self::new(
            "kind = \"soracom\"\nurl = \"http://{address}/v1\"\nauth_key_id = \"keyId-1\"\nauth_key = \"key\"\n",
        )
        .await
    }

    pub(crate) async fn direct(devices: &[&str]) -> Self {
        let rig = Self::new(
            "kind = \"sigfox\"\nurl = \"http://{address}/v2\"\nlogin = \"l\"\npassword = \"p\"\ndownlink = \"direct\"\n",
        )
        .await;
        let source: SourceName = "factory".parse().unwrap();
        let device_type = DeviceType {
            id: TYPE.to_owned(),
            name: Some("tank".to_owned()),
            payload: PayloadKind::Raw,
            keep_alive_s: None,
            downlink: Some(DownlinkMode::Direct),
        };
        let listed = |id: &&str| InventoryDevice {
            id: id.parse().unwrap(),
            name: None,
            device_type: Some(TYPE.to_owned()),
            tags: [].into(),
            state: None,
            last_seen: None,
            location: None,
        };
        let devices: Vec<_> = devices.iter().map(listed).collect();
        let now = listener::uplink("0", 1_789_000_000, 0).time;
        rig.store.record_inventory(&source, &[device_type], &devices, now).unwrap();
        rig
    }

    pub(crate) fn start(&mut self) {
        self.stop = CancellationToken::new();
        let client = Client::new(&self.config.sources[0], None).unwrap();
        let dispatcher = Dispatcher::new(&self.config.sources[0], &self.queues, client).unwrap();
        let run = dispatcher.run(self.stop.clone());
        self.running.spawn(async move { run.await.unwrap() });
    }

    /// Ends in order.
    pub(crate) async fn end(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }

    /// Ends as a crash does.
    pub(crate) async fn crash(&mut self) {
        self.running.shutdown().await;
    }

    pub(crate) async fn push(&self, device: &str, id: &str, byte: u8) -> Downlink {
        let outcomes =
            self.queues.push(device.parse().unwrap(), vec![Ok(listener::order(id, byte))]).await.unwrap();
        outcomes.into_iter().next().unwrap().item
    }

    /// The device sends, so many seconds from now.
    pub(crate) async fn uplink(&self, device: &str, in_seconds: i64, ack: Option<bool>) -> Uplink {
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let seq = u16::try_from(now.rem_euclid(4000)).unwrap();
        let uplink = Uplink { ack, ..listener::uplink(device, now + in_seconds, seq) };
        self.store.record_uplink(&uplink).await.unwrap();
        self.queues.expire(uplink.time).await.unwrap();
        uplink
    }

    /// The cloud's messages are read, so many seconds from now.
    pub(crate) async fn read_until(&self, seconds: u64) {
        let source: SourceName = "factory".parse().unwrap();
        let read = clock::now().plus(Duration::from_secs(seconds));
        self.store.record_sweep(&[], Some((&source, TYPE, read))).unwrap();
        self.queues.expire(clock::now()).await.unwrap();
    }

    pub(crate) fn says(&self, device: &str, id: &str, text: &str) -> bool {
        self.item(device, id).reason.is_some_and(|reason| reason.contains(text))
    }

    pub(crate) fn item(&self, device: &str, id: &str) -> Downlink {
        let device: DeviceId = device.parse().unwrap();
        self.queues.list(Some(device)).unwrap().into_iter().find(|item| item.id.as_str() == id).unwrap()
    }

    pub(crate) fn is(&self, device: &str, id: &str, state: DownlinkState) -> bool {
        let item = self.item(device, id);
        item.state == state && !item.reason.is_some_and(|reason| reason.starts_with("unconfirmed"))
    }

    pub(crate) fn cloud<T>(&self, read: impl FnOnce(&mut Cloud) -> T) -> T {
        read(&mut self.cloud.lock().unwrap())
    }
}

//! Downlinks that the gateway brings to a cloud: Soracom's slots and the fixed answer of a Sigfox device type.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sigfox2mqtt::cloud::Client;
use sigfox2mqtt::config::{Config, Environment};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::{Cancelled, Dispatcher, Queues, Target};
use sigfox2mqtt::model::{
    DeviceId, DeviceType, Downlink, DownlinkMode, DownlinkState, Event, Evidence, InventoryDevice,
    PayloadKind, SourceName, Uplink,
};
use sigfox2mqtt::store::Store;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::listener;
use crate::support::eventually;

const TYPE: &str = "5f0000000000000000000001";
const FORMER: &str = "3c06000000000000";

/// What a cloud was asked to do, and how it answers.
#[derive(Default)]
struct Cloud {
    /// Soracom: what was put into slots.
    sent: Vec<(String, String)>,
    /// Soracom: how that is answered; none: accepted.
    status: Option<u16>,
    /// Soracom: when the devices were last heard.
    last_seen: Option<String>,
    /// Sigfox: the fixed answer of the device type, and what was written there.
    answer: Value,
    written: Vec<Value>,
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
struct Rig {
    store: Store,
    queues: Queues,
    config: Arc<Config>,
    cloud: Shared,
    stop: CancellationToken,
    running: JoinSet<()>,
    _cloud: JoinSet<()>,
    _dir: TempDir,
}

impl Rig {
    async fn new(source: &str) -> Self {
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

    async fn soracom() -> Self {
        Self::new(
            "kind = \"soracom\"\nurl = \"http://{address}/v1\"\nauth_key_id = \"keyId-1\"\nauth_key = \"key\"\n",
        )
        .await
    }

    async fn direct(devices: &[&str]) -> Self {
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

    fn start(&mut self) {
        self.stop = CancellationToken::new();
        let client = Client::new(&self.config.sources[0], None).unwrap();
        let dispatcher = Dispatcher::new(&self.config.sources[0], &self.queues, client).unwrap();
        let run = dispatcher.run(self.stop.clone());
        self.running.spawn(async move { run.await.unwrap() });
    }

    /// Ends in order.
    async fn end(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }

    /// Ends as a crash does.
    async fn crash(&mut self) {
        self.running.shutdown().await;
    }

    async fn push(&self, device: &str, id: &str, byte: u8) -> Downlink {
        let outcomes =
            self.queues.push(device.parse().unwrap(), vec![Ok(listener::order(id, byte))]).await.unwrap();
        outcomes.into_iter().next().unwrap().item
    }

    /// The device sends, so many seconds from now.
    async fn uplink(&self, device: &str, in_seconds: i64, ack: Option<bool>) -> Uplink {
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let seq = u16::try_from(now.rem_euclid(4000)).unwrap();
        let uplink = Uplink { ack, ..listener::uplink(device, now + in_seconds, seq) };
        self.store.record_uplink(&uplink).await.unwrap();
        self.queues.expire(uplink.time).await.unwrap();
        uplink
    }

    fn item(&self, device: &str, id: &str) -> Downlink {
        let device: DeviceId = device.parse().unwrap();
        self.queues.list(Some(device)).unwrap().into_iter().find(|item| item.id.as_str() == id).unwrap()
    }

    fn is(&self, device: &str, id: &str, state: DownlinkState) -> bool {
        let item = self.item(device, id);
        item.state == state && !item.reason.is_some_and(|reason| reason.starts_with("unconfirmed"))
    }

    fn cloud<T>(&self, read: impl FnOnce(&mut Cloud) -> T) -> T {
        read(&mut self.cloud.lock().unwrap())
    }
}

#[tokio::test]
async fn only_the_head_is_submitted_and_the_next_when_the_slot_was_served() {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    rig.push("7BFD29", "a", 1).await;
    rig.push("7BFD29", "b", 2).await;
    rig.start();
    eventually("a is submitted", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    assert!(rig.is("7BFD29", "b", DownlinkState::Queued));
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert_eq!((a.state, a.evidence), (DownlinkState::Sent, Some(Evidence::Inferred)));
    eventually("b is submitted", || rig.is("7BFD29", "b", DownlinkState::Submitted)).await;
    let sent: Vec<_> = rig.cloud(|cloud| cloud.sent.iter().map(|(_, data)| data.clone()).collect());
    assert_eq!(sent, ["0101010101010101", "0202020202020202"]);
    rig.end().await;
}

/// A rig whose device `7BFD29` has an item that Soracom took and did not say so, before we crashed.
async fn in_doubt() -> Rig {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    rig.push("7BFD29", "a", 1).await;
    rig.cloud(|cloud| (cloud.status, cloud.last_seen) = (Some(500), Some("2026-03-01T00:00:00Z".to_owned())));
    rig.start();
    eventually("a was sent", || rig.cloud(|cloud| !cloud.sent.is_empty())).await;
    rig.crash().await;
    assert_eq!(rig.item("7BFD29", "a").state, DownlinkState::Submitted);
    rig.cloud(|cloud| cloud.status = None);
    rig
}

#[tokio::test]
async fn what_may_have_been_submitted_takes_its_own_place_again_while_the_device_is_silent() {
    let mut rig = in_doubt().await;
    rig.start();
    eventually("no doubt", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    let sent: Vec<_> = rig.cloud(|cloud| cloud.sent.iter().map(|(_, data)| data.clone()).collect());
    assert_eq!(sent, ["0101010101010101", "0101010101010101"]);
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert_eq!((a.evidence, a.reason), (Some(Evidence::Inferred), None));
    rig.end().await;
}

#[tokio::test]
async fn what_may_have_been_fetched_is_not_submitted_again() {
    let mut rig = in_doubt().await;
    rig.cloud(|cloud| cloud.last_seen = Some("2026-03-01T00:10:00Z".to_owned()));
    rig.uplink("8BFD29", -100, None).await;
    rig.push("8BFD29", "later", 2).await;
    rig.start();
    eventually("the other device is served", || rig.is("8BFD29", "later", DownlinkState::Submitted)).await;
    assert_eq!(rig.cloud(|cloud| cloud.sent.len()), 2);
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert_eq!(a.evidence, Some(Evidence::Inferred));
    assert!(a.reason.is_some_and(|reason| reason.starts_with("unconfirmed")));
    rig.end().await;
}

#[tokio::test]
async fn a_downlink_goes_by_the_spelling_of_its_cloud() {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    let (source, id): (SourceName, DeviceId) = ("factory".parse().unwrap(), "7BFD29".parse().unwrap());
    rig.store.set_spelling(&source, id, "007bfd29").unwrap();
    rig.push("7BFD29", "a", 1).await;
    rig.start();
    eventually("a is submitted", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    assert_eq!(rig.cloud(|cloud| cloud.sent[0].0.clone()), "007bfd29");
    rig.end().await;
}

#[tokio::test]
async fn what_soracom_refuses_fails_or_waits() {
    for (device, status, state) in [
        ("FFFF", Some(404), DownlinkState::Failed),
        ("DEAD", None, DownlinkState::Failed),
        ("7BFD29", Some(400), DownlinkState::Failed),
        ("7BFD29", Some(429), DownlinkState::Queued),
    ] {
        let mut rig = Rig::soracom().await;
        rig.uplink(device, -100, None).await;
        rig.push(device, "a", 1).await;
        rig.cloud(|cloud| cloud.status = status);
        rig.start();
        eventually("the refusal is taken over", || {
            let item = rig.item(device, "a");
            item.state == state && item.reason.is_some()
        })
        .await;
        rig.end().await;
    }
}

#[tokio::test]
async fn a_device_that_soracom_lists_but_does_not_show_alone_gets_its_downlink_once() {
    let mut rig = Rig::soracom().await;
    rig.uplink("FFFF", -100, None).await;
    rig.push("FFFF", "a", 1).await;
    rig.start();
    eventually("a is submitted", || rig.is("FFFF", "a", DownlinkState::Submitted)).await;
    rig.crash().await;
    rig.start();
    rig.uplink("FFFF", 30, Some(true)).await;
    eventually("the device has asked", || rig.is("FFFF", "a", DownlinkState::Sent)).await;
    assert_eq!(rig.cloud(|cloud| cloud.sent.len()), 1);
    rig.end().await;
}

#[tokio::test]
async fn a_fixed_answer_is_written_and_restored_after_use() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    rig.push("4D9A83", "a", 1).await;
    rig.start();
    eventually("a stands in the answer", || rig.is("4D9A83", "a", DownlinkState::Armed)).await;
    assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), "0101010101010101");
    rig.uplink("4D9A83", 30, Some(false)).await;
    assert!(rig.is("4D9A83", "a", DownlinkState::Armed), "the device has not asked");
    rig.uplink("4D9A83", 60, Some(true)).await;
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Sent);
    eventually("the answer is restored", || rig.cloud(|cloud| cloud.answer == FORMER)).await;
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.written.len()), 2);
}

#[tokio::test]
async fn where_the_network_says_what_it_answered_an_ask_alone_shows_nothing() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    let former = rig.uplink("4D9A83", -600, Some(true)).await;
    rig.queues.transmitted(&former, FORMER.parse().unwrap()).await.unwrap();
    rig.push("4D9A83", "a", 1).await;
    rig.start();
    eventually("a stands in the answer", || rig.is("4D9A83", "a", DownlinkState::Armed)).await;
    rig.uplink("4D9A83", 60, Some(true)).await;
    assert!(rig.is("4D9A83", "a", DownlinkState::Armed), "the network has answered nothing");
    let fetched = rig.uplink("4D9A83", 660, Some(true)).await;
    rig.queues.transmitted(&fetched, "0101010101010101".parse().unwrap()).await.unwrap();
    assert!(rig.is("4D9A83", "a", DownlinkState::Sent));
    assert_eq!(rig.item("4D9A83", "a").evidence, Some(Evidence::Network));
    rig.end().await;
}

#[tokio::test]
async fn a_fixed_answer_is_restored_after_cancellation_and_crash() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    rig.push("4D9A83", "a", 1).await;
    rig.start();
    eventually("a stands in the answer", || rig.is("4D9A83", "a", DownlinkState::Armed)).await;
    rig.crash().await;
    let cancelled = rig.queues.cancel("4D9A83".parse().unwrap(), Target::All).await.unwrap();
    assert_eq!(cancelled, Cancelled::Done(vec!["a".parse().unwrap()]));
    rig.start();
    eventually("the answer is restored", || rig.cloud(|cloud| cloud.answer == FORMER)).await;
    rig.end().await;
}

#[tokio::test]
async fn a_gateway_that_stops_takes_its_answer_down() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    rig.push("4D9A83", "a", 1).await;
    rig.start();
    eventually("a stands in the answer", || rig.is("4D9A83", "a", DownlinkState::Armed)).await;
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), FORMER);
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Queued);
}

#[tokio::test]
async fn what_somebody_else_has_written_is_left_alone() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    rig.push("4D9A83", "a", 1).await;
    rig.start();
    eventually("a stands in the answer", || rig.is("4D9A83", "a", DownlinkState::Armed)).await;
    rig.cloud(|cloud| cloud.answer = json!("ffffffffffffffff"));
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), "ffffffffffffffff");
    let events = rig.store.outbox_head(&BTreeSet::new(), 100).unwrap();
    let reported = |event: &Event| matches!(event, Event::Bridge { kind, detail, .. } if kind == "direct_changed" && detail.contains("ffffffffffffffff"));
    assert!(events.iter().any(|entry| reported(&entry.event)), "{events:?}");
}

#[tokio::test]
async fn a_type_with_several_devices_has_no_answer_for_one() {
    let rig = Rig::direct(&["4D9A83", "4D9A84"]).await;
    let item = rig.push("4D9A83", "a", 1).await;
    assert_eq!(item.state, DownlinkState::Rejected);
    assert!(item.reason.unwrap().starts_with("direct_group"));
}

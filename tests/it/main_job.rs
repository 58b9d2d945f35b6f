//! The main job, end to end: from a simulated cloud through the daemon to a real broker, and a downlink back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::model::{DeviceId, Timestamp};
use sigfox2mqtt::simulate::{
    Callback, CallbackKind, Device, DeviceType, Options, Running, Simulator, Telegram, Uplink, World,
};
use std::time::Duration;

use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::subscriber::{Received, Subscriber};

const TYPE: &str = "5f0000000000000000000001";
const DEVICES: [&str; 3] = ["1A2B3C", "3068E", "002C"];

/// A cloud, a broker and a gateway between them that polls every second.
pub(crate) struct Site {
    pub(crate) cloud: Running,
    pub(crate) broker: Mosquitto,
    pub(crate) gateway: Gateway,
}

impl Site {
    pub(crate) async fn new(world: World) -> Self {
        Self::with(world, Mosquitto::start().await, "").await
    }

    /// The same with a broker and configuration of the test's own.
    pub(crate) async fn with(world: World, broker: Mosquitto, more: &str) -> Self {
        let url = broker.url();
        Self::at(world, broker, &url, more).await
    }

    /// The same with a broker that the gateway finds at this URL.
    async fn at(world: World, broker: Mosquitto, url: &str, more: &str) -> Self {
        let cloud =
            Simulator::start(world, Options { rate_limits: false, ..Options::default() }).await.unwrap();
        let gateway = Gateway::new(&format!(
            r#"
            version = 1
            [gateway]
            id = "site"
            data_dir = "{{data}}"
            [mqtt]
            url = "{url}"
            [http]
            listen = "127.0.0.1:0"
            [sources.factory]
            kind = "sigfox"
            url = "{cloud}"
            login = "5f0000000000000000000a91"
            password = "simulated"
            poll = "1s"
            callback_token = "callback-token"
            {more}
            "#,
            cloud = cloud.sigfox_v2_url(),
        ));
        Self { cloud, broker, gateway }
    }

    pub(crate) async fn watch(&self) -> Subscriber {
        Subscriber::start(self.broker.port(), "sigfox2mqtt/#").await
    }

    /// Has the cloud call back what devices of the type send.
    pub(crate) async fn call_back(&self, daemon: &Daemon) {
        let url = format!("http://{}/callback/factory/bidir", daemon.address().await);
        let callback = Callback::post("c1", CallbackKind::Bidir, url, Some("callback-token"));
        self.cloud.world(|world| world.device_type_mut(TYPE).unwrap().callbacks.push(callback));
    }
}

/// A device type with a grammar, three devices, and so many messages of them in turn, a minute apart.
pub(crate) fn world(messages: u16) -> World {
    let kind = DeviceType::new(TYPE, "tank").grammar("count::uint:16 level::uint:8 alarm:3:bool:0");
    let mut world = World::new(7).with_type(kind);
    for device in DEVICES {
        world.add_device(Device::new(id(device), TYPE).name(format!("Tank {device}")));
    }
    let start = clock::now().minus(Duration::from_secs(60 * u64::from(messages)));
    for number in 0..messages {
        world.record(uplink(number, start));
    }
    world
}

/// One message: its number counts over all devices, its sequence number within its device.
pub(crate) fn uplink(number: u16, start: Timestamp) -> Uplink {
    let device = DEVICES[usize::from(number) % DEVICES.len()];
    let payload = format!("{number:04x}{:02x}01", number % 200).parse().unwrap();
    let time = start.plus(Duration::from_secs(60 * u64::from(number)));
    Uplink::new(id(device), time, number / 3, payload)
}

pub(crate) fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

/// The documents by device, each list in the order of arrival.
fn by_device(messages: &[Received]) -> BTreeMap<String, Vec<Value>> {
    let mut devices: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in messages.iter().map(Received::json) {
        devices.entry(document["device"].as_str().unwrap().to_owned()).or_default().push(document);
    }
    devices
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_three_pages_arrives_once_and_in_order() {
    let site = Site::new(world(250)).await;
    let watch = site.watch().await;
    let daemon = site.gateway.start();

    let devices = by_device(&watch.until("/event/up", 250).await);
    assert_eq!(devices.keys().collect::<Vec<_>>(), ["002C", "1A2B3C", "3068E"]);
    for (device, documents) in &devices {
        for (seq, document) in documents.iter().enumerate() {
            assert_eq!(document["seq"], json!(seq), "{device}");
            let time: Timestamp = document["time"].as_str().unwrap().parse().unwrap();
            assert_eq!(document["id"], json!(format!("{device}-{}-{seq}", time.as_seconds())));
            assert_eq!(document["fields"]["alarm"], json!(true));
            assert_eq!(document["decoder"], json!("cloud"));
        }
    }

    // Nothing more comes by itself; a new message comes within a poll, and nothing again with it.
    let mut newest = uplink(250, clock::now());
    newest.time = clock::now();
    site.cloud.record(newest);
    let all = watch.until("/event/up", 251).await;
    assert_eq!(all.len(), 251);
    assert_eq!(all.last().unwrap().json()["fields"]["count"], json!(250));
    eventually("the state of the newest", || {
        watch.on("3068E/state").last().is_some_and(|state| state.json()["fields"]["count"] == json!(250))
    })
    .await;

    assert_eq!(daemon.terminate().await.code(), Some(0));
    assert_eq!(
        watch.until("/bridge/state", 2).await.last().unwrap().json(),
        json!({"v":1,"state":"offline"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_publishes_only_what_is_new() {
    let site = Site::new(world(30)).await;
    let watch = site.watch().await;
    let daemon = site.gateway.start();
    watch.until("/event/up", 30).await;
    assert_eq!(daemon.terminate().await.code(), Some(0));

    let mut missed = uplink(30, clock::now());
    missed.time = clock::now();
    site.cloud.record(missed);
    let daemon = site.gateway.start();
    assert_eq!(watch.until("/event/up", 31).await.len(), 31);
    daemon.logged("source state").await;
    assert_eq!(daemon.terminate().await.code(), Some(0));
    assert_eq!(watch.on("/event/up").len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_daemon_in_the_middle_loses_nothing() {
    let site = Site::new(world(600)).await;
    let watch = site.watch().await;
    // At moments that a run of this machine spreads over storing, publishing and acknowledging.
    for wanted in [1, 200, 450] {
        let daemon = site.gateway.start();
        watch.until("/event/up", wanted).await;
        daemon.kill();
    }
    let daemon = site.gateway.start();
    let expected: Vec<_> = (0..600).map(|number| json!(number)).collect();
    eventually("every message", || {
        let mut counts: Vec<_> =
            watch.on("/event/up").iter().map(|message| message.json()["fields"]["count"].clone()).collect();
        counts.sort_by_key(Value::as_u64);
        counts.dedup();
        counts == expected
    })
    .await;
    // A repeat is allowed after a crash, with the identity that it had.
    for documents in by_device(&watch.on("/event/up")).values() {
        let identities: BTreeMap<_, _> = documents
            .iter()
            .map(|document| (document["id"].to_string(), document["data"].to_string()))
            .collect();
        assert_eq!(identities.len(), 200);
    }
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downlink_goes_out_with_the_answer_to_the_callback() {
    let site = Site::new(world(3)).await;
    let watch = site.watch().await;
    let daemon = site.gateway.start();
    site.call_back(&daemon).await;
    watch.until("/event/up", 3).await;

    watch.publish("sigfox2mqtt/device/1A2B3C/downlink/push", r#"{"id":"set-7","data":"0123456789abcdef"}"#);
    let queued = watch.until("1A2B3C/event/downlink", 1).await[0].json();
    assert_eq!((&queued["id"], &queued["state"]), (&json!("set-7"), &json!("queued")));

    // A message that asks for nothing takes nothing.
    site.cloud.send(id("1A2B3C"), Telegram { payload: "000101".parse().ok(), ack: false }).unwrap();
    watch.until("/event/up", 4).await;
    site.cloud.send(id("1A2B3C"), Telegram { payload: "000102".parse().ok(), ack: true }).unwrap();
    watch.until("/event/up", 5).await;
    eventually("the device to receive it", || !site.cloud.received(id("1A2B3C")).is_empty()).await;
    let received: Vec<_> =
        site.cloud.received(id("1A2B3C")).iter().map(|downlink| downlink.data.to_string()).collect();
    assert_eq!(received, ["0123456789abcdef"]);
    let armed = watch.until("1A2B3C/event/downlink", 2).await[1].json();
    assert_eq!(armed["state"], json!("armed"));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_broker_was_away_is_published_when_it_is_back() {
    let broker = Mosquitto::start().await;
    let door = Proxy::start(broker.port());
    let mut site = Site::at(world(3), broker, &door.url(), "").await;
    let watch = site.watch().await;
    let daemon = site.gateway.start();
    watch.until("/event/up", 3).await;
    door.shut(true);
    site.broker.kill();
    daemon.logged("no connection to the broker").await;
    for number in 3..63 {
        let mut missed = uplink(number, clock::now());
        missed.time = clock::now();
        site.cloud.record(missed);
    }
    let polls = site.cloud.requests_with("/messages");
    eventually("two more polls", || site.cloud.requests_with("/messages") >= polls + 2).await;
    site.broker.begin().await;
    let watch = site.watch().await;
    door.shut(false);
    let devices = by_device(&watch.until("/event/up", 60).await);
    for documents in devices.values() {
        let counts: Vec<_> = documents.iter().map(|document| document["fields"]["count"].as_u64()).collect();
        assert!(counts.is_sorted(), "{counts:?}");
    }
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_command_is_refused_whenever_it_comes() {
    let site = Site::new(world(1)).await;
    let watch = site.watch().await;
    let daemon = site.gateway.start();
    watch.until("/event/up", 1).await;
    watch.retain("sigfox2mqtt/device/1A2B3C/downlink/push", r#"{"id":"kept","data":"0123456789abcdef"}"#);
    let rejected = |message: &Received| {
        let event = message.json();
        event["event"] == json!("command_rejected") && event["reason"].to_string().contains("retained")
    };
    eventually("the refusal", || watch.on("/bridge/event").iter().any(rejected)).await;
    assert_eq!(daemon.terminate().await.code(), Some(0));

    // It is still there at the next start.
    let daemon = site.gateway.start();
    eventually("one more refusal", || {
        watch.on("/bridge/event").iter().filter(|message| rejected(message)).count() >= 2
    })
    .await;
    assert!(watch.on("/event/downlink").is_empty());
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_names_the_message_that_it_came_with() {
    let mut world = world(0);
    let mut located = uplink(0, clock::now()).located(48.1, 2.5, 400, Duration::ZERO);
    located.time = clock::now().minus(Duration::from_secs(60));
    world.record(located);
    let site = Site::new(world).await;
    let watch = site.watch().await;
    let daemon = site.gateway.start();
    let up = watch.until("1A2B3C/event/up", 1).await[0].json();
    watch.until("1A2B3C/event/location", 1).await;
    // The cloud may list the location before the message; what is kept names the message from the next time on that
    // it is published, which is after a crash at the latest.
    let before = watch.until("1A2B3C/location", 1).await.len();
    daemon.kill();
    let daemon = site.gateway.start();
    let retained = watch.until("1A2B3C/location", before + 1).await.pop().unwrap().json();
    assert_eq!((&retained["uplink"], &retained["latitude"]), (&up["id"], &json!(48.1)));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

//! A configuration that is read again while the gateway runs, by SIGHUP and by request.

use std::fs;

use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Telegram, World};

use crate::support::daemon::Gateway;
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::{Received, Subscriber};

const DEVICE: &str = "1A2B3C";
const TYPE: &str = "5f0000000000000000000001";

/// A cloud with one device, a broker, and a gateway between them.
struct Site {
    cloud: Running,
    broker: Mosquitto,
    gateway: Gateway,
    watch: Subscriber,
}

impl Site {
    async fn new() -> Self {
        let mut world = World::new(7).with_type(DeviceType::new(TYPE, "tank"));
        world.add_device(Device::new(DEVICE.parse().unwrap(), TYPE).name("Tank"));
        let options = Options { rate_limits: false, ..Options::default() };
        let cloud = Simulator::start(world, options).await.unwrap();
        let broker = Mosquitto::start().await;
        let watch = Subscriber::start(broker.port(), "#").await;
        let site = Self { cloud, broker, gateway: Gateway::new(""), watch };
        site.password("simulated");
        site.configure("", "");
        site
    }

    /// Writes the configuration, with more lines in `[mqtt]` and at the end.
    fn configure(&self, mqtt: &str, more: &str) {
        self.gateway.configure(&format!(
            "version = 1\n[gateway]\nid = \"site\"\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n{mqtt}\n{}{more}",
            self.broker.url(),
            self.source("factory"),
        ));
    }

    fn source(&self, name: &str) -> String {
        let url = self.cloud.sigfox_v2_url();
        format!(
            "[sources.{name}]\nkind = \"sigfox\"\nurl = \"{url}\"\nlogin = \"5f0000000000000000000a91\"\n\
             password_file = \"password\"\npoll = \"1s\"\n"
        )
    }

    fn password(&self, password: &str) {
        fs::write(self.gateway.configuration().with_file_name("password"), password).unwrap();
    }

    /// Waits until the newest document on a topic is so; an empty one counts as null.
    async fn until(&self, topic: &str, is_so: impl Fn(&Value) -> bool) {
        let newest = |message: &Received| serde_json::from_slice(&message.payload).unwrap_or_default();
        eventually(topic, || self.watch.on(topic).last().map(newest).is_some_and(|value| is_so(&value)))
            .await;
    }

    /// What the gateway said of itself on the way: `online` once, whatever was read again.
    fn states(&self) -> Vec<Value> {
        let states = self.watch.on("sigfox2mqtt/bridge/state");
        states
            .iter()
            .filter(|message| !message.retain)
            .map(|message| message.json()["state"].clone())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_decoders_and_sources_change_while_it_runs() {
    let site = Site::new().await;
    let daemon = site.gateway.start();
    let device = |path: &str| format!("sigfox2mqtt/device/{DEVICE}/{path}");
    site.until(&device("info"), |info| info["name"] == "Tank" && info["decoder"] == json!(null)).await;

    let north = "[devices.1A2B3C]\nname = \"North\"\ndecoder = \"level\"\n\
        [decoders.level]\nformat = \"level::uint:8\"\n";
    site.configure("", &format!("{north}{}", site.source("second")));
    daemon.hang_up();
    site.until(&device("info"), |info| info["name"] == "North" && info["decoder"] == "level").await;
    site.until("homeassistant/device/sigfox2mqtt_site_1A2B3C/config", |config| {
        config["dev"]["name"] == "North" && config["cmps"].get("field_level").is_some()
    })
    .await;
    site.until("sigfox2mqtt/bridge/sources/second", |source| source["state"] == "ok").await;
    site.cloud.send(DEVICE.parse().unwrap(), Telegram { payload: "2a".parse().ok(), ack: false }).unwrap();
    site.until(&device("event/up"), |up| up["fields"] == json!({ "level": 42 })).await;

    // And back: the source that is gone leaves nothing behind.
    site.configure("", "");
    daemon.hang_up();
    site.until(&device("info"), |info| info["name"] == "Tank" && info["decoder"] == json!(null)).await;
    site.until("sigfox2mqtt/bridge/sources/second", Value::is_null).await;
    site.until("sigfox2mqtt/bridge/info", |info| {
        info["sources"].as_array().is_some_and(|all| all.len() == 1)
    })
    .await;
    assert_eq!(site.states(), ["online"]);
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_restart_is_named_and_a_wrong_file_changes_nothing() {
    let site = Site::new().await;
    let daemon = site.gateway.start();
    let info = "sigfox2mqtt/bridge/info";
    let waits = |keys: Value| {
        move |info: &Value| {
            info["restart_keys"] == keys && info["restart_required"] == json!(keys != json!([]))
        }
    };
    site.until(info, waits(json!([]))).await;
    site.configure("base = \"other\"\nmax_inflight = 7", "[downlink]\ndaily_limit = 3\n");
    daemon.hang_up();
    site.until(info, waits(json!(["mqtt.base", "mqtt.max_inflight"]))).await;
    // What needs no restart is in effect all the same.
    site.until(info, |info| info["settings"]["downlink"]["daily_limit"] == 3).await;

    site.configure("nonsense = 1", "[downlink]\ndaily_limit = \"many\"\n");
    daemon.hang_up();
    daemon.logged("configuration not taken over").await;
    for problem in ["mqtt.nonsense", "downlink.daily_limit"] {
        assert!(daemon.log().contains(problem), "{problem} in {}", daemon.log());
    }
    site.configure("", "[downlink]\ndaily_limit = 3\n");
    daemon.hang_up();
    site.until(info, waits(json!([]))).await;
    site.until(info, |info| info["settings"]["downlink"]["daily_limit"] == 3).await;
    assert_eq!(site.states(), ["online"]);
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_put_right_lets_the_source_in() {
    let site = Site::new().await;
    site.password("wrong");
    let daemon = site.gateway.start();
    let source = "sigfox2mqtt/bridge/sources/factory";
    site.until(source, |source| source["state"] == "auth_failed").await;
    site.password("simulated\n");
    daemon.hang_up();
    site.until(source, |source| source["state"] == "ok").await;
    assert!(!daemon.log().contains("simulated"));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_before_the_rooms_change_and_discovery_is_cleared() {
    let site = Site::new().await;
    let daemon = site.gateway.start();
    let config = "homeassistant/device/sigfox2mqtt_site_1A2B3C/config";
    site.until(config, Value::is_object).await;
    site.configure("[mqtt.discovery]\nmode = \"off\"", "");
    for (transaction, changed) in [(1, true), (2, false)] {
        site.watch.publish(
            "sigfox2mqtt/bridge/request/config/reload",
            format!("{{\"transaction\":{transaction}}}"),
        );
        site.until("sigfox2mqtt/bridge/response/config/reload", |answer| {
            answer["transaction"] == transaction
                && answer["data"]
                    == json!({ "changed": changed, "restart_required": false, "restart_keys": [] })
        })
        .await;
    }
    site.until(config, Value::is_null).await;
    let begun = clock::now();
    assert_eq!(daemon.terminate().await.code(), Some(0));
    assert!(clock::now().since(begun).as_secs() < 6, "the rooms ended in order");
}

//! The built-in broker as its clients see it: one address, both versions of the protocol, many retained messages.

use std::collections::BTreeMap;

use serde_json::json;
use sigfox2mqtt::model::{DeviceId, InventoryDevice, Timestamp};
use sigfox2mqtt::mqtt::broker::Broker;
use sigfox2mqtt::mqtt::watch::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::publisher_rig::{Site, config, factory, uplink};
use crate::support::subscriber::Subscriber;

const T0: i64 = 1_789_000_000;

// The broker runs in this runtime, and a subscriber blocks its thread when it leaves.
#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_the_protocol_are_spoken_on_one_address_and_strangers_stay_out() {
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), Some(("gw", "secret"))).await.unwrap();
    let address = broker.address();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(broker.run(stop.clone()));
    for protocol in [4, 5] {
        let login = format!("url = \"mqtt://{address}\"\nprotocol = {protocol}\nusername = \"gw\"\n");
        let site = Site::new(&format!("{login}password = \"secret\""));
        site.store.record_sweep(&[uplink("1A2B3C", T0, "000180")], None).unwrap();
        let publishing = site.publish();
        site.drained().await;
        publishing.stop().await;
        let mut seen =
            watch(&site.config.mqtt, &["sigfox2mqtt/device/+/info"]).await.expect("the right password");
        let info = seen.next().await.unwrap();
        assert!(info.retain);
        let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
        assert_eq!(info["name"], json!("Tank 3"));
        let stranger = config(&format!("{login}password = \"guess\""));
        assert!(watch(&stranger.mqtt, &["#"]).await.is_err(), "MQTT {protocol}");
    }
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_retained_documents_reach_a_new_subscriber_whatever_qos_it_asks_for() {
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = broker.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(broker.run(CancellationToken::new()));
    let site = Site::new(&format!("url = \"mqtt://{address}\""));
    let devices: Vec<_> = (0..2_500).map(listed).collect();
    site.store.record_inventory(&factory(), &[], &devices, Timestamp::from_cloud(T0).unwrap()).unwrap();
    let first = Subscriber::start(address.port(), "sigfox2mqtt/bridge/devices").await;
    let publishing = site.publish();
    // The index is sent last.
    first.until("bridge/devices", 1).await;
    publishing.stop().await;
    let subscriber = Subscriber::start_at_most_once(address.port(), "sigfox2mqtt/device/#").await;
    subscriber.until("", 5_000).await;
    assert_eq!(subscriber.on("/info").len(), 2_500);
    assert_eq!(subscriber.on("/downlink").len(), 2_500);
    let subscriber = Subscriber::start(address.port(), "sigfox2mqtt/device/#").await;
    subscriber.until("", 5_000).await;
    assert_eq!(subscriber.on("/info").len(), 2_500);
    assert_eq!(subscriber.on("/downlink").len(), 2_500);
}

fn listed(number: u32) -> InventoryDevice {
    InventoryDevice {
        id: DeviceId::new(number, 6),
        name: None,
        device_type: None,
        tags: BTreeMap::new(),
        state: None,
        last_seen: None,
        location: None,
    }
}

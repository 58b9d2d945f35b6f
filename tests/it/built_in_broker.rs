//! The built-in broker as its clients see it: one address, both versions of the protocol, many retained messages,
//! clients that send nonsense.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use sigfox2mqtt::model::{DeviceId, InventoryDevice, Timestamp};
use sigfox2mqtt::mqtt::broker::Broker;
use sigfox2mqtt::mqtt::watch::watch;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::publisher_rig::{Site, config, factory, uplink};
use crate::support::subscriber::Subscriber;
use crate::support::within;

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
async fn five_thousand_retained_documents_reach_a_new_subscriber_whatever_qos_and_session_it_asks_for() {
    let (address, _tasks) = open().await;
    let site = Site::new(&format!("url = \"mqtt://{address}\""));
    let devices: Vec<_> = (0..2_500).map(listed).collect();
    site.store.record_inventory(&factory(), &[], &devices, Timestamp::from_cloud(T0).unwrap()).unwrap();
    let first = Subscriber::start(address.port(), "sigfox2mqtt/bridge/devices").await;
    let publishing = site.publish();
    // The index is sent last.
    let told = || !first.on("bridge/devices").is_empty();
    within(Duration::from_secs(180), "all documents", told).await;
    publishing.stop().await;
    for subscriber in [
        Subscriber::start_at_most_once(address.port(), "sigfox2mqtt/device/#").await,
        Subscriber::start(address.port(), "sigfox2mqtt/device/#").await,
        Subscriber::start_remembered(address.port(), "sigfox2mqtt/device/#").await,
    ] {
        within(Duration::from_secs(180), "5,000 documents", || subscriber.count() >= 5_000).await;
        assert_eq!(subscriber.on("/info").len(), 2_500);
        assert_eq!(subscriber.on("/downlink").len(), 2_500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgot_everything_has_our_retained_documents_again() {
    let (address, mut broker) = open().await;
    let site = Site::new(&format!("url = \"mqtt://{address}\""));
    site.store.record_sweep(&[uplink("1A2B3C", T0, "000180")], None).unwrap();
    let publishing = site.publish();
    site.drained().await;
    publishing.stop().await;
    broker.shutdown().await;

    let again = Broker::start(address, None).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(again.run(CancellationToken::new()));
    let empty = Subscriber::start(address.port(), "sigfox2mqtt/device/#").await;
    assert_eq!(empty.count(), 0);
    let publishing = site.publish();
    for document in ["/info", "/state", "/downlink"] {
        empty.until(document, 1).await;
    }
    let seen = Subscriber::start(address.port(), "sigfox2mqtt/device/#").await;
    for document in ["/info", "/state", "/downlink"] {
        assert!(seen.until(document, 1).await[0].retain, "{document}");
    }
    publishing.stop().await;
}

/// What mosquitto's clients say and expect, in either version and with any QoS.
#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_mosquitto_are_served() {
    let (address, _tasks) = open().await;
    let port = address.port().to_string();
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let topic = format!("t/{version}/{qos}");
            let client = |program: &str, more: &[&str]| {
                let mut command = Command::new(program);
                command.args(["-p", &port, "-V", version, "-q", qos, "-t", &topic]).args(more);
                command
            };
            let published = client("mosquitto_pub", &["-r", "-m", "kept"]).status().unwrap();
            assert!(published.success(), "{topic}");
            let seen = client("mosquitto_sub", &["-C", "1", "-W", "20", "-F", "%r %p"]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&seen.stdout), "1 kept\n", "{topic}");
            // Who is remembered gets what came meanwhile.
            let name = format!("sleeper-{version}-{qos}");
            let remembered = ["-c", "-i", &name, "-W", "20"];
            let remembered =
                [&remembered[..], if version == "mqttv5" { &["-x", "60"] } else { &[] }].concat();
            let come = |more: &[&str]| client("mosquitto_sub", &[&remembered[..], more].concat()).output();
            assert!(come(&["-E"]).unwrap().status.success(), "{topic}");
            assert!(client("mosquitto_pub", &["-m", "meanwhile"]).status().unwrap().success());
            if qos != "0" {
                let seen = come(&["-C", "2", "-F", "%r %p"]).unwrap();
                let lines = String::from_utf8_lossy(&seen.stdout).into_owned();
                assert_eq!(
                    BTreeSet::from_iter(lines.lines()),
                    BTreeSet::from(["0 meanwhile", "1 kept"]),
                    "{topic}"
                );
            }
        }
    }
}

/// Packets that a client could send, some bytes of them changed, from either version; the broker serves others on.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_nonsense_cost_only_themselves() {
    let (address, _tasks) = open().await;
    let witness = Subscriber::start(address.port(), "witness").await;
    let mut runner = TestRunner::default();
    for round in 0..300 {
        let packets: Vec<Vec<u8>> = nonsense().new_tree(&mut runner).unwrap().current();
        let mut client = TcpStream::connect(address).await.unwrap();
        for packet in packets {
            // It may have closed already.
            if client.write_all(&packet).await.is_err() {
                break;
            }
        }
        client.shutdown().await.ok();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.ok();
        if round % 100 == 0 {
            witness.publish("witness", "here");
        }
    }
    witness.until("witness", 3).await;
}

/// The same name, twice and with what others refuse in it: neither ends the broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_be_called_anything() {
    let (address, _tasks) = open().await;
    for name in ["a/b", "a/b", "+", "#", "$x", "ü", "a b", ""] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&connect(5, name)).await.unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{name}");
    }
}

/// A broker that lets everybody in, running.
async fn open() -> (SocketAddr, JoinSet<anyhow::Result<()>>) {
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = broker.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(broker.run(CancellationToken::new()));
    (address, tasks)
}

fn nonsense() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let body = prop_oneof![
        Just(vec![0, 1, b't', 0, 1]),
        Just(vec![0, 7, 0, 0, 1, b'#', 1]),
        Just(vec![0, 7, 0, 1, b'#', 1]),
        Just(vec![0, 7]),
        Just(vec![0, 1, b't', 0, 7, 5, 2, 0, 0, 0, 9, b'x']),
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let change = proptest::option::of((any::<usize>(), any::<u8>()));
    let packet = (any::<u8>(), body, change).prop_map(|(first, mut body, change)| {
        if let (Some((place, byte)), false) = (change, body.is_empty()) {
            let place = place % body.len();
            body[place] = byte;
        }
        [vec![first, u8::try_from(body.len()).unwrap()], body].concat()
    });
    let first = prop_oneof![
        9 => (4_u8..6, "[a-c/+]{0,2}").prop_map(|(level, name)| connect(level, &name)),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    (first, proptest::collection::vec(packet, 0..12))
        .prop_map(|(first, packets)| [vec![first], packets].concat())
}

/// A CONNECT that wants to be remembered.
fn connect(level: u8, name: &str) -> Vec<u8> {
    let mut body = [&b"\x00\x04MQTT"[..], &[level, u8::from(name.is_empty()) << 1, 0, 60]].concat();
    if level == 5 {
        body.extend_from_slice(&[5, 0x11, 0, 0, 0, 60]);
    }
    body.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
    body.extend_from_slice(name.as_bytes());
    [vec![0x10, u8::try_from(body.len()).unwrap()], body].concat()
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

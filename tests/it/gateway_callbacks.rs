//! `cloud sigfox callbacks new TYPE --for-gateway URL`: the simulated cloud then calls the gateway with everything.

use std::process::Output;

use serde_json::{Value, json};
use sigfox2mqtt::model::DeviceId;
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Telegram, World};

use crate::support::daemon::{Gateway, command};
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::subscriber::Subscriber;

const TYPE: &str = "5f0000000000000000000001";

async fn cloud() -> Running {
    let id: DeviceId = "1A2B3C".parse().unwrap();
    let world = World::new(5).with_type(DeviceType::new(TYPE, "tank")).with_device(Device::new(id, TYPE));
    Simulator::start(world, Options { rate_limits: false, ..Options::default() }).await.unwrap()
}

fn gateway(cloud: &Running, broker: &Mosquitto, port: u16) -> Gateway {
    Gateway::new(&format!(
        r#"
        version = 1
        [gateway]
        id = "site"
        data_dir = "{{data}}"
        [mqtt]
        url = "{broker}"
        [http]
        listen = "127.0.0.1:{port}"
        [sources.factory]
        kind = "sigfox"
        url = "{cloud}"
        login = "5f0000000000000000000a91"
        password = "simulated"
        poll = "1s"
        locations = "1s"
        callback_token = "callback-token"
        "#,
        broker = broker.url(),
        cloud = cloud.sigfox_v2_url(),
    ))
}

async fn make(gateway: &Gateway, port: u16) -> Output {
    let mut command = command(&gateway.configuration());
    let url = format!("http://127.0.0.1:{port}");
    command.args(["cloud", "sigfox", "callbacks", "new", TYPE, "--for-gateway", &url, "--json"]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn outcomes(output: &Output) -> Vec<(String, String)> {
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "kind"), text(row, "outcome"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_type_gets_the_callbacks_that_the_gateway_wants_once() {
    let (cloud, broker, port) = (cloud().await, Mosquitto::start().await, free_port());
    let gateway = gateway(&cloud, &broker, port);
    let kinds = ["bidir", "ack", "advanced", "status", "error"];
    for outcome in ["made", "there already"] {
        let output = make(&gateway, port).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
        let expected = kinds.map(|kind| (kind.to_owned(), outcome.to_owned()));
        assert_eq!(outcomes(&output), expected);
    }

    // The way there and back: a downlink, the report on it, a complaint of the network.
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let daemon = gateway.start();
    watch.until("1A2B3C/info", 1).await;
    daemon.logged("listening for http").await;
    watch.publish("sigfox2mqtt/device/1A2B3C/downlink/push", r#"{"id":"a","data":"0123456789abcdef"}"#);
    watch.until("1A2B3C/event/downlink", 1).await;
    let id: DeviceId = "1A2B3C".parse().unwrap();
    cloud.send(id, Telegram { payload: "0102".parse().ok(), ack: true }).unwrap();
    eventually("the device to receive it", || !cloud.received(id).is_empty()).await;
    cloud.world(|world| world.complain(id, "WARN", "a station is down", sigfox2mqtt::clock::now()));
    let service = watch.until("1A2B3C/event/service", 1).await;
    assert_eq!(service[0].json()["kind"], json!("warning"));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_type_that_lets_no_downlink_through_is_named_everywhere() {
    let (cloud, broker, port) = (cloud().await, Mosquitto::start().await, free_port());
    let gateway = gateway(&cloud, &broker, port);
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let daemon = gateway.start();
    let obstacle = |word: &str| {
        watch.last("1A2B3C/info").is_some_and(|info| {
            let obstacle = info.json()["downlink"]["obstacle"].clone();
            obstacle.as_str().is_some_and(|said| said.starts_with(word))
        })
    };
    eventually("info to say why", || obstacle("no_callback")).await;
    watch.publish("sigfox2mqtt/device/1A2B3C/downlink/push", r#"{"id":"a","data":"0123456789abcdef"}"#);
    let queued = watch.until("1A2B3C/event/downlink", 1).await[0].json();
    assert!(queued["reason"].as_str().is_some_and(|reason| reason.starts_with("no_callback")), "{queued}");
    assert_eq!(daemon.terminate().await.code(), Some(0));

    let mut doctor = command(&gateway.configuration());
    doctor.args(["doctor", "--json"]);
    let said = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("no_callback") && said.contains("--for-gateway"), "{said}");

    // Without a token there is nothing that the cloud could show.
    let text = std::fs::read_to_string(gateway.configuration()).unwrap();
    gateway.configure(&text.replace("callback_token = \"callback-token\"", ""));
    let output = make(&gateway, port).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no `callback_token`"));
}

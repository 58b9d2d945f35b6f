//! One device at two clouds, whose messages come by polls of both and by three kinds of callbacks: each is published once.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sigfox2mqtt::model::DeviceId;
use sigfox2mqtt::simulate::{
    Callback, CallbackKind, Device, DeviceType, Options, Pace, Running, Simulator, Telegram, World,
};

use crate::support::daemon::Gateway;
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::subscriber::Subscriber;

const TYPE: &str = "5f0000000000000000000001";
const MESSAGES: usize = 12;

/// Callbacks that are still to be called.
async fn pending(cloud: &Running) -> u64 {
    let url = format!("http://{}/sim/state", cloud.address());
    let state: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    state["pending"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_five_ways_is_published_once() {
    let (id, port): (DeviceId, u16) = ("1A2B3C".parse().unwrap(), free_port());
    let mut kind = DeviceType::new(TYPE, "tank");
    for (name, service) in
        [("c1", CallbackKind::Bidir), ("c2", CallbackKind::Uplink), ("c3", CallbackKind::Advanced)]
    {
        let url = format!("http://127.0.0.1:{port}/callback/factory/{}", service.path());
        kind = kind.callback(Callback::post(name, service, url, Some("callback-token")));
    }
    // What comes 30 s after a message comes after half a second.
    let world = World::new(11)
        .pace(Pace::new(60.0).unwrap())
        .with_type(kind)
        .with_device(Device::new(id, TYPE).soracom());
    let options = Options { rate_limits: false, ..Options::default() };
    let cloud = Simulator::start(world, options).await.unwrap();
    let broker = Mosquitto::start().await;
    let gateway = Gateway::new(&format!(
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
        url = "{sigfox}"
        login = "5f0000000000000000000a91"
        password = "simulated"
        poll = "1s"
        callback_token = "callback-token"
        [sources.office]
        kind = "sigfox"
        api = "v1"
        url = "{sigfox_v1}"
        login = "5f0000000000000000000a91"
        password = "simulated"
        poll = "1s"
        [sources.japan]
        kind = "soracom"
        url = "{soracom}"
        auth_key_id = "keyId-simulated"
        auth_key = "secret-simulated"
        poll = "1s"
        "#,
        broker = broker.url(),
        sigfox = cloud.sigfox_v2_url(),
        sigfox_v1 = cloud.sigfox_v1_url(),
        soracom = cloud.soracom_url(),
    ));
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
    let daemon = gateway.start();
    daemon.logged("listening for http").await;

    // In bursts, so that callbacks of one overtake polls of the next, and the other way round.
    for burst in 1..=MESSAGES / 3 {
        for _ in 0..3 {
            cloud.send(id, Telegram { payload: "0102".parse().ok(), ack: burst % 2 == 0 }).unwrap();
        }
        watch.until("/event/up", 3 * burst).await;
    }
    while pending(&cloud).await > 0 {
        tokio::task::yield_now().await;
    }
    let ways = ["/v2/device-types/", "/api/devicetypes/", "/data"];
    eventually("each way polled", || ways.iter().all(|way| cloud.requests_with(way) > 0)).await;
    let polls = ways.map(|way| cloud.requests_with(way));
    let more = [polls[0] + 2, polls[1] + 2, polls[2]];
    eventually("two more polls", || {
        ways.iter().zip(more).all(|(way, more)| cloud.requests_with(way) >= more)
    })
    .await;
    let documents: Vec<Value> = watch.on("/event/up").iter().map(|message| message.json()).collect();
    let ids: BTreeSet<String> = documents.iter().map(|document| document["id"].to_string()).collect();
    assert_eq!((documents.len(), ids.len()), (MESSAGES, MESSAGES), "{documents:#?}");
    assert!(documents.iter().all(|document| document["device"] == json!("1A2B3C")));
    assert_eq!(watch.on("1A2B3C/info").last().unwrap().json()["gone"], json!(false));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

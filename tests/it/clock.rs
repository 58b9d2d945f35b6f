//! A machine without a clock of its own: nothing is judged by it before it is set.

use std::time::Duration;

use serde_json::json;
use sigfox2mqtt::clock;
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Uplink, World};

use crate::support::daemon::{Gateway, command};
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::shim::Shim;
use crate::support::subscriber::Subscriber;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A clock that stands where a Raspberry Pi's begins, for a program that is started with it.
fn unset(gateway: &Gateway) -> Shim {
    let shim = Shim::new(&gateway.data());
    shim.clock(10 - clock::now().as_seconds());
    shim
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_or_taken_before_the_clock_is_set() {
    let broker = Mosquitto::start().await;
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let gateway = Gateway::new(&format!(
        "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n[sources.a]\nkind = \"sigfox\"\n\
         url = \"http://127.0.0.1:{}\"\nlogin = \"l\"\npassword = \"p\"\npoll = \"1s\"\n[devices.2C]\nname = \"a\"\n",
        broker.url(),
        free_port()
    ));
    let clock = unset(&gateway);
    let daemon = gateway.start_with(&clock.environment());
    daemon.logged("the clock is not set").await;
    daemon.logged("gateway ready").await;
    // It says so when it has subscribed.
    watch.until("bridge/state", 1).await;
    watch.publish("sigfox2mqtt/device/2C/downlink/push", r#"{"id":"x","data":"0123456789abcdef"}"#);
    eventually("the refusal", || {
        let events = watch.on("/event/downlink");
        events.iter().any(|event| event.json()["reason"].to_string().contains("clock_not_set"))
    })
    .await;
    let source = watch.until("bridge/sources/a", 1).await;
    assert_eq!(source.last().unwrap().json()["requests"], json!(0));
    let waits = |text: &str| text.contains("waiting until it is set");
    eventually("what the source says", || {
        watch.on("bridge/sources/a").last().is_some_and(|source| waits(&source.json()["error"].to_string()))
    })
    .await;
    assert_eq!(daemon.terminate().await.code(), Some(0));

    let mut doctor = command(&gateway.configuration());
    let doctor = doctor.envs(clock.environment()).arg("doctor").output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("FAIL  clock") && said.contains("timedatectl set-ntp true"), "{said}");
}

/// A cloud whose one device sent so long ago.
async fn cloud(ages: &[Duration]) -> Running {
    const TYPE: &str = "5f0000000000000000000001";
    let device = "A1".parse().unwrap();
    let world = World::new(3).with_type(DeviceType::new(TYPE, "tank")).with_device(Device::new(device, TYPE));
    let options = Options { rate_limits: false, ..Options::default() };
    let cloud = Simulator::start(world, options).await.unwrap();
    for (age, seq) in ages.iter().zip(1..) {
        cloud.record(Uplink::new(device, clock::now().minus(*age), seq, "01".parse().unwrap()));
    }
    cloud
}

/// A gateway of that cloud, with these lines in `[store]`.
fn configuration(cloud: &Running, broker: &Mosquitto, store: &str) -> String {
    format!(
        "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n[store]\n{store}\n\
         [sources.a]\nkind = \"sigfox\"\nurl = \"{}\"\nlogin = \"5f0000000000000000000a91\"\n\
         password = \"simulated\"\npoll = \"1s\"\nbackfill = \"100d\"\n\
         [devices.A1]\nexpected_interval = \"10m\"\n",
        broker.url(),
        cloud.sigfox_v2_url(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_missing_before_the_clock_is_set() {
    let (cloud, broker) = (cloud(&[Duration::ZERO]).await, Mosquitto::start().await);
    let gateway = Gateway::new(&configuration(&cloud, &broker, ""));
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let states = || {
        let told = watch.on("device/A1/availability");
        told.iter().map(|message| message.json()["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let daemon = gateway.start();
    eventually("the device", || states().last().is_some_and(|state| state == "online")).await;
    assert_eq!(daemon.terminate().await.code(), Some(0));

    let clock = unset(&gateway);
    let daemon = gateway.start_with(&clock.environment());
    daemon.logged("gateway ready").await;
    eventually("the second start", || {
        let source = watch.last("bridge/sources/a");
        source.is_some_and(|source| source.json()["error"].to_string().contains("waiting until it is set"))
    })
    .await;
    assert!(states().iter().all(|state| state == "online"), "{:?}", states());
    // Half an hour is what a device has that sends every ten minutes.
    clock.clock(3600);
    eventually("the judgement", || states().last().is_some_and(|state| state == "offline")).await;
    assert_eq!(watch.last("device/A1/availability").unwrap().json()["reason"], json!("missed"));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn age_is_reckoned_from_the_newest_message_whether_or_not_the_clock_is_set() {
    let ages = [90, 60, 30, 10, 0].map(|days| DAY * days);
    let (cloud, broker) = (cloud(&ages).await, Mosquitto::start().await);
    let gateway = Gateway::new(&configuration(&cloud, &broker, "keep = \"400d\""));
    let uplinks = Subscriber::start(broker.port(), "sigfox2mqtt/device/A1/event/up").await;
    let daemon = gateway.start();
    uplinks.until("event/up", ages.len()).await;
    assert_eq!(daemon.terminate().await.code(), Some(0));

    let clock = unset(&gateway);
    let daemon = gateway.start_with(&clock.environment());
    daemon.logged("gateway ready").await;
    // Nobody answers while the configuration is changed.
    let kept = || {
        let mut messages = command(&gateway.configuration());
        let messages = messages.args(["messages", "--json"]).output().unwrap();
        serde_json::from_slice::<Vec<serde_json::Value>>(&messages.stdout).unwrap_or_default().len()
    };
    assert_eq!(kept(), ages.len());
    for (off_by_s, keep, left) in
        [(10 - clock::now().as_seconds(), "75d", 4), (0, "45d", 3), (-clock::now().as_seconds(), "20d", 2)]
    {
        clock.clock(off_by_s);
        gateway.configure(&configuration(&cloud, &broker, &format!("keep = \"{keep}\"")));
        daemon.hang_up();
        eventually(keep, || kept() == left).await;
    }
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_says_no_time_waits_for_the_clock() {
    // Another test of the process may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let broker = Mosquitto::start().await;
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/device/A1/event/up").await;
    // In small letters `data` would stand for the folder.
    let gateway = Gateway::new(&format!(
        "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sources.a]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9/\"\nlogin = \"l\"\npassword = \"p\"\n\
         callback_token = \"token\"\ncallback_batch = \"{{device}};{{DATA}};{{seqNumber}}\"\n",
        broker.url()
    ));
    let clock = unset(&gateway);
    let daemon = gateway.start_with(&clock.environment());
    let url = format!("http://{}/callback/a/uplink", daemon.address().await);
    let call = |body: String| {
        let request = reqwest::Client::new().post(&url).bearer_auth("token").body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    // The cloud calls again when it gets an error.
    assert_eq!(call("A1;01;1\n".to_owned()).await, 503);
    let sent = clock::now();
    let timed = json!({ "device": "A1", "time": sent.as_seconds(), "data": "02", "seqNumber": 2 });
    assert_eq!(call(timed.to_string()).await, 204);
    clock.clock(0);
    assert_eq!(call("A1;01;1\n".to_owned()).await, 204);
    let told = watch.until("event/up", 2).await;
    for document in told.iter().map(|message| message.json()) {
        for key in ["time", "received"] {
            let time: sigfox2mqtt::model::Timestamp = document[key].as_str().unwrap().parse().unwrap();
            assert!(time.as_seconds() >= sent.as_seconds(), "{key} of {document}");
        }
    }
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

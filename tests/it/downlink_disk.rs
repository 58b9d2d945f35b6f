//! Commands while the disk takes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::reading::run;
use crate::support::daemon::Gateway;
use crate::support::mosquitto::Mosquitto;
use crate::support::shim::{FAILING, FULL, Shim, Step};
use crate::support::subscriber::Subscriber;
use crate::support::within;

const PUSH: &str = "sigfox2mqtt/device/2C/downlink/push";
/// The store looks every few seconds whether the disk takes writes again.
const RECOVERY: Duration = Duration::from_secs(40);

/// What was told of an item last.
fn last(watch: &Subscriber, id: &str) -> Option<Value> {
    watch.on("/2C/event/downlink").iter().rev().map(|event| event.json()).find(|item| item["id"] == *id)
}

/// A broker, and a gateway that knows the device.
async fn site() -> (Mosquitto, Gateway) {
    let broker = Mosquitto::start().await;
    let gateway = Gateway::new(&format!(
        "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n\
         [sources.factory]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"a\"\n\
         password = \"b\"\n[devices.2C]\nname = \"a\"\n",
        broker.url()
    ));
    (broker, gateway)
}

async fn each_is_answered(error: i32) {
    let (broker, gateway) = site().await;
    let shim = Shim::new(&gateway.data());
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let daemon = gateway.start_with(&shim.environment());
    daemon.logged("gateway ready").await;
    // It says so when it has subscribed.
    watch.until("bridge/state", 1).await;
    let push = |id: &str| {
        watch.publish(PUSH, json!({ "id": id, "data": "0123456789abcdef", "transaction": "t" }).to_string());
    };
    push("before");
    within(RECOVERY, "a queued item", || last(&watch, "before").is_some()).await;
    shim.disk(error, 0);
    let meanwhile: Vec<String> = (0..5).map(|number| format!("meanwhile-{number}")).collect();
    for id in &meanwhile {
        push(id);
        // Whoever names an item hears of it: it waits, or it is rejected.
        within(RECOVERY, "an answer", || last(&watch, id).is_some()).await;
    }
    let item = last(&watch, "meanwhile-4").unwrap();
    assert_eq!((&item["state"], &item["transaction"]), (&json!("rejected"), &json!("t")), "{item}");
    assert!(item["reason"].as_str().unwrap().starts_with("unavailable"), "{item}");
    let refused = watch.on("/bridge/event");
    assert!(refused.iter().any(|event| event.json()["reason"].to_string().contains("unavailable")));
    shim.disk(0, 0);
    for id in &meanwhile {
        let queued = || last(&watch, id).is_some_and(|item| item["state"] == "queued");
        let limit = Instant::now() + RECOVERY;
        while !queued() {
            assert!(Instant::now() < limit, "{id} is not taken: {}", daemon.log());
            push(id);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    // Each was answered, so that this takes none back.
    daemon.kill();
    let (code, out, err) = run(&gateway, &["downlinks", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
    let kept: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    for id in meanwhile.iter().map(String::as_str).chain(["before"]) {
        assert!(kept.contains(&id), "{id} is lost: {kept:?}");
    }
}

#[tokio::test]
async fn whoever_commands_while_the_disk_takes_nothing_is_answered() {
    tokio::join!(each_is_answered(FULL), each_is_answered(FAILING));
}

#[tokio::test]
async fn what_a_kill_takes_back_was_not_told() {
    // A commit is several writes, of which the last is asked for when the command waits to be durable.
    for writes in 0..4 {
        killed_after(writes).await;
    }
}

async fn killed_after(writes: i32) {
    let (broker, gateway) = site().await;
    let shim = Shim::new(&gateway.data());
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let told = || -> BTreeSet<String> {
        let events = watch.on("/2C/event/downlink");
        events.iter().map(|event| event.json()["id"].as_str().unwrap().to_owned()).collect()
    };
    let daemon = gateway.start_with(&shim.environment());
    daemon.logged("gateway ready").await;
    // It says so when it has subscribed.
    watch.until("bridge/state", 1).await;
    shim.hold_after(Step::Write, writes);
    // Without a name: after a kill the broker brings the command again, and it gets another.
    watch.publish(PUSH, json!({ "data": "0123456789abcdef" }).to_string());
    within(RECOVERY, "a write to wait", || shim.waits() || !told().is_empty()).await;
    // What is told too early is told now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    daemon.kill();
    shim.disk(0, 0);
    let daemon = gateway.start_with(&shim.environment());
    daemon.logged("gateway ready").await;
    within(RECOVERY, "the command again", || !told().is_empty()).await;
    let limit = Instant::now() + RECOVERY;
    let kept = loop {
        let (code, out, err) = run(&gateway, &["downlinks", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
        let kept: BTreeSet<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        // An item is kept before it is told; what was told and taken back never comes.
        if told() == kept {
            break kept;
        }
        assert!(Instant::now() < limit, "killed after {writes} writes: told {:?}, kept {kept:?}", told());
    };
    // Nor does a retained document of it stand.
    let items = watch.all().into_iter().filter(|message| message.topic.contains("/2C/downlink/item/"));
    let shown: BTreeSet<String> =
        items.map(|item| item.topic.rsplit('/').next().unwrap().to_owned()).collect();
    assert!(shown.is_subset(&kept), "killed after {writes} writes: {shown:?}, {kept:?}");
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

//! More actions in the studio than the queues can take. `tests/long/actions` has ten thousand.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;
use sigfox2mqtt::downlink::Target;
use sigfox2mqtt::model::{DeviceId, DownlinkState};

use crate::mirror_rig::Rig;
use crate::publisher_rig::uplink;
use crate::support::{eventually, within};

const DEVICE: &str = "1A2B3C";
const START: i64 = 1_789_000_000;
/// The studio keeps so many of a Thing.
const OF_EACH: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_flood_of_actions_as_many_are_taken_as_there_is_room_for() {
    let mut rig = Rig::new("").await;
    rig.store.record_sweep(&[uplink(DEVICE, START, "012c80")], None).unwrap();
    rig.start();
    rig.told().await;
    let uid = rig.thing(DEVICE).await.uid;
    for number in 0..150 {
        let input = json!(format!("{number:016x}"));
        rig.client.create_action(&uid, "downlink", &input).send().await.unwrap();
    }
    eventually("a full queue", || rig.queue(DEVICE).len() == 16).await;
    rig.queues.cancel(DEVICE.parse().unwrap(), Target::All).await.unwrap();
    eventually("the next ones", || rig.queue(DEVICE).iter().filter(|item| item.is_open()).count() == 16)
        .await;
    assert!(rig.queue(DEVICE).iter().all(|item| item.state != DownlinkState::Rejected));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_longer_than_a_downlink_may_fails() {
    let mut rig = Rig::new("[downlink]\nexpires_after = \"2s\"").await;
    rig.store.record_sweep(&[uplink(DEVICE, START, "012c80")], None).unwrap();
    rig.start();
    rig.told().await;
    let uid = rig.thing(DEVICE).await.uid;
    rig.stop().await;
    let ask = rig.client.create_action(&uid, "downlink", &json!("0123456789abcdef"));
    let late = ask.send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.start();
    let ended = rig.ended(&uid, &late.id).await;
    assert_eq!((ended.status.as_str(), &ended.output["state"]), ("failed", &json!("expired")));
    assert_eq!(rig.queue(DEVICE).len(), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_actions_fill_the_queues_and_hold_up_no_other_device() {
    let actions = std::env::var("ACTIONS").ok().map_or(1_000, |text| text.parse().unwrap());
    let mut rig = Rig::new("").await;
    let asked: Vec<String> =
        (0..actions / OF_EACH).map(|number| format!("{:X}", 0x10_0000 + number)).collect();
    let mut sweep: Vec<_> = asked.iter().map(|device| uplink(device, START, "012c80")).collect();
    sweep.push(uplink(DEVICE, START, "012c80"));
    rig.store.record_sweep(&sweep, None).unwrap();
    rig.start();
    within(Duration::from_secs(120), "every Thing", || rig.waiting() == 0).await;
    rig.stop().await;
    let mut uids = Vec::new();
    for device in &asked {
        uids.push(rig.thing(device).await.uid);
    }
    let client = &rig.client;
    for number in 0..OF_EACH {
        let input = json!(format!("{number:016x}"));
        let asks = uids.iter().map(|uid| client.create_action(uid, "downlink", &input));
        let asked = stream::iter(asks).map(|ask| async { ask.send().await.unwrap() });
        asked.buffer_unordered(16).collect::<Vec<_>>().await;
    }

    let (before, begun) = (rig.studio.requests().values().sum::<u64>(), Instant::now());
    rig.start();
    let open = |rig: &Rig| rig.queues.list(None).unwrap().iter().filter(|item| item.is_open()).count();
    eventually("the first item", || open(&rig) > 0).await;
    // Another device sends meanwhile.
    let sent = Instant::now();
    rig.store.record_sweep(&[uplink(DEVICE, START + 600, "012d80")], None).unwrap();
    let meanwhile = open(&rig);
    within(Duration::from_secs(60), "the other device's uplink", || rig.waiting() == 0).await;
    let told_after = sent.elapsed();
    // Of few devices the queues are full before anybody has looked.
    assert!(asked.len() < 50 || open(&rig) < 16 * asked.len(), "it waited for all actions of the others");
    within(Duration::from_secs(300), "full queues", || open(&rig) == 16 * asked.len()).await;
    let (filled_after, requests) = (begun.elapsed(), rig.studio.requests().values().sum::<u64>() - before);
    // Every device has its oldest actions, each as one item.
    for device in &asked {
        let data: Vec<String> = rig.queue(device).iter().map(|item| item.data.unwrap().to_string()).collect();
        assert_eq!(data, (0..16).map(|number| format!("{number:016x}")).collect::<Vec<_>>(), "{device}");
    }
    // What ends makes room for the next.
    let device: DeviceId = asked[0].parse().unwrap();
    rig.queues.cancel(device, Target::All).await.unwrap();
    within(Duration::from_secs(60), "the next of a device", || {
        rig.queue(&asked[0]).iter().filter(|item| item.is_open()).count() == 16
    })
    .await;
    println!(
        "{actions} actions of {} devices: queues full after {filled_after:.1?} and {requests} requests; another \
         device's uplink was told in {told_after:.1?}, when {meanwhile} items were queued",
        asked.len(),
    );
    rig.stop().await;
}

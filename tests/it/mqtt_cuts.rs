//! Nothing is lost, whatever happens to the connection.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sigfox2mqtt::model::Uplink;

use crate::publisher_rig::{Site, uplink};
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::subscriber::{Received, Subscriber};
use crate::support::{eventually, within};

const T0: i64 = 1_789_000_000;

fn many(count: i64) -> Vec<Uplink> {
    let devices = ["1A2B3C", "2C", "0042", "77"];
    let device = |n: i64| devices[usize::try_from(n % 4).unwrap()];
    (0..count).map(|n| uplink(device(n), T0 + n, "012c80")).collect()
}

/// The distinct ids of what came, and how many came more than once.
fn received(messages: &[Received]) -> (BTreeSet<String>, usize) {
    let ids: BTreeSet<String> =
        messages.iter().map(|message| message.json()["id"].as_str().unwrap().to_owned()).collect();
    let repeated = messages.len() - ids.len();
    (ids, repeated)
}

#[tokio::test]
async fn a_connection_that_is_cut_every_few_milliseconds_loses_nothing() {
    for protocol in [4, 5] {
        let broker = Mosquitto::start().await;
        let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/up").await;
        let proxy = Proxy::start(broker.port());
        let url = format!("url = \"mqtt://127.0.0.1:{}\"\nprotocol = {protocol}", proxy.port());
        let site = Site::new(&url);
        let uplinks = many(3_000);
        site.store.record_sweep(&uplinks, None).unwrap();
        proxy.cut_after(Some(Duration::from_millis(30)));
        let publishing = site.publish();
        // On a machine so slow that each connection is lost before it was good for anything, the gateway waits longer and
        // longer before the next: then fewer are enough.
        let (patience, drained) =
            (Instant::now() + Duration::from_secs(20), || site.store.outbox_depth().unwrap().0 == 0);
        let enough = || proxy.cuts() >= if Instant::now() < patience { 8 } else { 2 };
        eventually("enough cuts", || enough() || drained()).await;
        proxy.cut_after(None);
        within(Duration::from_secs(90), "the rest", drained).await;
        publishing.stop().await;
        subscriber.caught_up().await;
        let (ids, repeated) = received(&subscriber.all());
        println!(
            "MQTT {protocol}: 3000 uplinks, {} cuts, {repeated} repeated, {} lost",
            proxy.cuts(),
            3_000 - ids.len()
        );
        assert_eq!(ids.len(), 3_000);
        assert!(proxy.cuts() >= 1, "nothing was cut");
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_gets_the_rest_in_order() {
    let mut broker = Mosquitto::with("allow_anonymous true\npersistence false\n").await;
    let site = Site::new(&format!("url = \"{}\"", broker.url()));
    site.store.record_sweep(&many(4_000), None).unwrap();
    let publishing = site.publish();
    let store = site.store.clone();
    eventually("the outbox to shrink", || store.outbox_depth().unwrap().0 < 3_500).await;
    broker.kill();
    let left = store.outbox_depth().unwrap().0;
    broker.begin().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/up").await;
    site.drained().await;
    publishing.stop().await;
    subscriber.caught_up().await;
    let messages = subscriber.all();
    let (ids, _) = received(&messages);
    println!("4000 uplinks, broker killed with {left} left, {} came after", ids.len());
    let times: Vec<String> =
        messages.iter().map(|message| message.json()["time"].as_str().unwrap().to_owned()).collect();
    assert!(times.is_sorted(), "out of order");
    // Whoever subscribes before the gateway is back sees the very last one.
    assert!(messages.is_empty() || ids.contains(&many(4_000).pop().unwrap().id().to_string()));
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left_and_asked_again() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/up").await;
    let proxy = Proxy::start(broker.port());
    let site = Site::new(&format!("url = \"mqtt://127.0.0.1:{}\"", proxy.port()));
    let publishing = site.publish();
    let online = Subscriber::start(broker.port(), "sigfox2mqtt/bridge/state").await;
    online.until("bridge/state", 1).await;
    proxy.deaf(true);
    site.store.record_uplink(&uplink("1A2B3C", T0, "012c80")).await.unwrap();
    subscriber.until("/event/up", 1).await;
    assert_eq!(site.store.outbox_depth().unwrap().0, 2, "the broker has it, and nobody knows");
    // The broker sees the connection end, and says so for us.
    online.until("bridge/state", 2).await;
    proxy.deaf(false);
    subscriber.until("/event/up", 2).await;
    site.drained().await;
    publishing.stop().await;
}

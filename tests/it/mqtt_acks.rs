//! Nothing is lost, whatever the broker does with its acknowledgements.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::publisher_rig::{Publishing, Site, uplink};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::puback::Acks;
use crate::support::subscriber::Subscriber;

const T0: i64 = 1_789_000_000;

/// A site whose broker stands behind a proxy.
struct Scene {
    subscriber: Subscriber,
    proxy: Proxy,
    site: Site,
    _broker: Mosquitto,
}

impl Scene {
    async fn new(broker: &str, protocol: u8) -> Self {
        let broker = Mosquitto::with(&format!("allow_anonymous true\n{broker}")).await;
        let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
        let proxy = Proxy::start_for_mqtt(broker.port());
        let url = format!("url = \"mqtt://127.0.0.1:{}\"\nprotocol = {protocol}", proxy.port());
        Self { subscriber, site: Site::new(&url), proxy, _broker: broker }
    }

    fn keep(&self, uplinks: i64) {
        let many: Vec<_> = (0..uplinks)
            .map(|n| uplink(["1A2B3C", "2C"][usize::from(n % 2 == 0)], T0 + n, "012c80"))
            .collect();
        self.site.store.record_sweep(&many, None).unwrap();
    }

    fn arrived(&self) -> (BTreeSet<String>, usize) {
        let came = self.subscriber.on("/event/up");
        let ids: BTreeSet<_> =
            came.iter().map(|message| message.json()["id"].as_str().unwrap().to_owned()).collect();
        let repeated = came.len() - ids.len();
        (ids, repeated)
    }

    async fn all_arrive(&self, what: &str, uplinks: usize) {
        eventually("all uplinks", || self.arrived().0.len() == uplinks).await;
        self.site.drained().await;
        let (ids, repeated) = self.arrived();
        println!(
            "{what}: {uplinks} uplinks, {} faults, {repeated} repeated, lost: {}",
            self.proxy.meddling().faults(),
            uplinks - ids.len()
        );
    }

    /// The reports of `bridge/event` of this kind.
    fn told(&self, kind: &str) -> Vec<Value> {
        let events = self.subscriber.on("bridge/event").into_iter().map(|event| event.json());
        events.filter(|event| event["event"] == kind).collect()
    }
}

#[tokio::test]
async fn acknowledgements_that_are_late_doubled_or_turned_round_lose_nothing() {
    for protocol in [4, 5] {
        for (what, acks, least) in [
            ("PUBACK half a second late", Acks::Late(Duration::from_millis(500)), 300),
            ("every 100th PUBACK twice", Acks::Twice(100), 3),
            ("PUBACKs in the opposite order", Acks::Backwards(7), 300),
        ] {
            let scene = Scene::new("", protocol).await;
            scene.proxy.meddling().acks(acks);
            scene.keep(300);
            let publishing = scene.site.publish();
            scene.all_arrive(&format!("MQTT {protocol}, {what}"), 300).await;
            publishing.stop().await;
            assert!(scene.proxy.meddling().faults() >= least, "{what}");
        }
    }
}

#[tokio::test]
async fn a_broker_that_takes_one_publish_at_a_time_is_sent_one_at_a_time() {
    let scene = Scene::new("max_inflight_messages 1\n", 5).await;
    scene.keep(200);
    let publishing = scene.site.publish();
    scene.all_arrive("receive maximum 1", 200).await;
    publishing.stop().await;
    assert_eq!(scene.proxy.meddling().most_unanswered(), 1);
}

#[tokio::test]
async fn a_broker_that_accepts_and_never_answers_is_left_and_called_again() {
    let scene = Scene::new("", 5).await;
    scene.proxy.deaf(true);
    scene.keep(50);
    let publishing = scene.site.publish();
    // Its CONNACK is swallowed: the connection is given up after ten seconds.
    eventually("a connection", || scene.proxy.lost() > 0).await;
    assert_eq!(scene.arrived().0.len(), 0);
    scene.proxy.deaf(false);
    eventually("another connection", || scene.proxy.connections() > 1).await;
    scene.all_arrive("CONNECT into a black hole", 50).await;
    publishing.stop().await;
}

#[tokio::test]
async fn what_the_broker_refuses_is_parked_and_the_rest_flows() {
    for (reason, said) in [
        (0x87, "not authorised to publish there"),
        (0x99, "the broker does not like the payload"),
        (0x83, "the broker refuses it"),
    ] {
        let scene = Scene::new("", 5).await;
        scene.proxy.meddling().refuse(Some(("/1A2B3C/event/up", reason)));
        scene.keep(10);
        let publishing = scene.site.publish();
        eventually("the other device's", || scene.arrived().0.len() == 5).await;
        scene.site.drained().await;
        let parked = scene.site.store.parked().unwrap();
        let topic = "sigfox2mqtt/device/1A2B3C/event/up";
        assert_eq!(parked.len(), 5, "{reason:#x}");
        assert!(parked.iter().all(|parked| parked.topic == topic && parked.reason == said), "{parked:?}");
        eventually("the reports", || scene.told("publish_failed").len() == 5).await;
        let report = scene.told("publish_failed").remove(0);
        assert_eq!((&report["topic"], &report["reason"]), (&json!(topic), &json!(said)));
        // The broker's rights are mended, and somebody asks for it.
        scene.proxy.meddling().refuse(None);
        assert_eq!(scene.site.store.retry_parked(Some(parked[0].number)).await.unwrap(), 1);
        assert_eq!(scene.site.store.retry_parked(None).await.unwrap(), 4);
        scene.all_arrive(&format!("refused with {reason:#x}, then retried"), 10).await;
        assert_eq!(scene.site.store.parked().unwrap(), []);
        publishing.stop().await;
    }
}

#[tokio::test]
async fn a_quota_that_is_exceeded_is_waited_for() {
    let scene = Scene::new("", 5).await;
    scene.proxy.meddling().refuse(Some(("/1A2B3C/event/up", 0x97)));
    scene.keep(10);
    let publishing: Publishing = scene.site.publish();
    eventually("the other device's", || scene.arrived().0.len() == 5).await;
    eventually("two attempts", || scene.proxy.meddling().faults() >= 10).await;
    assert_eq!(scene.site.store.parked().unwrap(), []);
    scene.proxy.meddling().refuse(None);
    scene.all_arrive("quota exceeded for a while", 10).await;
    publishing.stop().await;
}

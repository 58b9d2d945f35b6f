//! Downlinks and the clock: what ended a day ago is gone from the broker, and nothing is judged before the clock is set.

use std::sync::Arc;
use std::time::Duration;

use sigfox2mqtt::clock;
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::{Expiry, Queues, Target};
use sigfox2mqtt::model::{DeviceId, DownlinkState, Timestamp};
use sigfox2mqtt::mqtt::watch::watch;

use crate::listener;
use crate::publisher_rig::{Site, config, uplink};
use crate::support::mosquitto::Mosquitto;

const HOUR: Duration = Duration::from_secs(3600);

async fn queues(site: &Site) -> (Queues, DeviceId) {
    let registry = Arc::new(Registry::new(&site.config).unwrap());
    site.store.record_uplink(&uplink("1A2B3C", clock::now().as_seconds() - 60, "012c80")).await.unwrap();
    (Queues::new(site.store.clone(), Arc::clone(&site.config), registry), "1A2B3C".parse().unwrap())
}

#[tokio::test]
async fn what_ended_a_day_ago_is_forgotten_and_leaves_the_broker() {
    let broker = Mosquitto::start().await;
    let mqtt = format!("url = \"{}\"\n", broker.url());
    let site = Site::new(&mqtt);
    let (queues, device) = queues(&site).await;
    queues.push(device, vec![Ok(listener::order("a", 1)), Ok(listener::order("b", 2))]).await.unwrap();
    queues.cancel(device, Target::One("a".parse().unwrap())).await.unwrap();
    let mut items = watch(&config(&mqtt).mqtt, &["sigfox2mqtt/device/1A2B3C/downlink/item/+"]).await.unwrap();
    let publishing = site.publish();
    let mut seen = [items.next().await.unwrap(), items.next().await.unwrap()];
    seen.sort_by(|one, other| one.topic.cmp(&other.topic));
    assert!(seen[0].topic.ends_with("/item/a") && !seen[0].payload.is_empty(), "{seen:?}");

    let ended = clock::now();
    queues.expire(ended.plus(23 * HOUR)).await.unwrap();
    assert_eq!(queues.list(Some(device)).unwrap().len(), 2);
    queues.expire(ended.plus(24 * HOUR)).await.unwrap();
    let left: Vec<_> =
        queues.list(Some(device)).unwrap().into_iter().map(|item| item.id.to_string()).collect();
    assert_eq!(left, ["b"]);
    let cleared = items.next().await.unwrap();
    assert!(cleared.topic.ends_with("/item/a") && cleared.payload.is_empty(), "{cleared:?}");
    publishing.stop().await;
}

#[tokio::test]
async fn nothing_ends_by_a_clock_that_was_never_set() {
    let site = Site::new("url = \"mqtt://127.0.0.1:1\"");
    let (queues, device) = queues(&site).await;
    let short = sigfox2mqtt::downlink::Order {
        expiry: Expiry::After(Duration::from_secs(1)),
        ..listener::order("a", 1)
    };
    queues.push(device, vec![Ok(short), Ok(listener::order("b", 2))]).await.unwrap();
    queues.cancel(device, Target::One("b".parse().unwrap())).await.unwrap();
    let state = |id: &str| {
        let items = queues.list(Some(device)).unwrap();
        items.into_iter().find(|item| item.id.as_str() == id).map(|item| item.state)
    };
    let set = clock::now().plus(25 * HOUR);
    queues.expire(Timestamp::from_millis(10_000).unwrap()).await.unwrap();
    assert_eq!((state("a"), state("b")), (Some(DownlinkState::Queued), Some(DownlinkState::Cancelled)));
    queues.expire(set).await.unwrap();
    assert_eq!((state("a"), state("b")), (Some(DownlinkState::Expired), None));
}

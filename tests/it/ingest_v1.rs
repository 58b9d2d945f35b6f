//! A source of the Sigfox API v1: the same world told in seconds, with its reports.

use serde_json::json;
use sigfox2mqtt::config::SigfoxApi;
use sigfox2mqtt::ingest::SourceState;
use sigfox2mqtt::store::UplinkQuery;

use crate::cloud_mock::{Fault, MockCloud, World};
use crate::ingest_rig::{Rig, config, now_ms, sigfox};
use crate::support::eventually;

const TYPE: &str = "5f0000000000000000000003";

/// So many messages a minute apart, of which every ten share their second with another device's.
fn world(count: u16) -> World {
    let newest = now_ms() / 1000 - 60;
    let messages = (0..count).map(|n| {
        json!({
            "device": if n % 2 == 0 { "002C" } else { "002D" }, "time": newest - i64::from(count - n) / 2,
            "data": "7061796c6f6164", "snr": "50.0", "linkQuality": "GOOD", "seqNumber": n,
            "rinfos": [{ "tap": "1A2B", "delay": 0, "lat": "0.0", "lng": "0.0" }]
        })
    });
    World {
        types: vec![json!({ "id": TYPE, "name": "meter", "payloadType": "String", "keepAlive": 0 })],
        devices: ["002C", "002D"]
            .iter()
            .map(|id| json!({ "id": id, "name": id, "type": TYPE, "last": 0, "state": 0 }))
            .collect(),
        messages: [(TYPE.to_owned(), messages.collect())].into(),
        ..World::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_seconds_arrive_once_each_over_pages_that_end_within_a_second() {
    let cloud = MockCloud::start(world(1230)).await;
    let config = config(&cloud.v1_url(), sigfox(SigfoxApi::V1));
    let rig = Rig::start(cloud, config);
    rig.has(1230).await;
    let mut seen = rig.sequence_numbers();
    seen.sort_unstable();
    assert_eq!(seen, (0..1230).collect::<Vec<_>>());
    rig.is(SourceState::Ok).await;
    let uplink = &rig.store.uplinks(&UplinkQuery::default()).unwrap()[0];
    assert_eq!((uplink.snr, uplink.stations), (Some(50.0), Some(1)));
    let device = rig.store.device("2C".parse().unwrap()).unwrap().unwrap();
    assert_eq!((device.device_type.as_deref(), device.last_seen.is_some()), (Some(TYPE), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_reported_once_and_the_good_ones_arrive() {
    let mut world = world(3);
    let bad = [
        json!({ "device": "002C", "time": now_ms() / 1000 - 10, "data": "hello" }),
        json!({ "time": now_ms() / 1000 - 11, "data": "00" }),
        json!("a row that is none"),
    ];
    world.messages.get_mut(TYPE).unwrap().extend(bad);
    let cloud = MockCloud::start(world).await;
    let config = config(&cloud.v1_url(), sigfox(SigfoxApi::V1));
    let rig = Rig::start(cloud, config);
    rig.has(3).await;
    rig.is(SourceState::Degraded).await;
    assert!(rig.status().error.is_some_and(|error| error.starts_with("3 rows of the messages of")));
    let polls = rig.cloud.count("/messages");
    eventually("more polls", || rig.cloud.count("/messages") >= polls + 5).await;
    assert_eq!(rig.told("row_skipped"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_cost_a_poll_each_and_nothing_is_lost() {
    for (fault, state) in [
        (Fault::Status(500), SourceState::Down),
        (Fault::Dropped, SourceState::Down),
        (Fault::Html, SourceState::Degraded),
        (Fault::Truncated, SourceState::Degraded),
        (Fault::Huge, SourceState::Degraded),
        (Fault::RetryAfter(1), SourceState::RateLimited),
    ] {
        let mut world = world(3);
        world.faults = vec![("/messages", fault.clone())];
        let cloud = MockCloud::start(world).await;
        let config = config(&cloud.v1_url(), sigfox(SigfoxApi::V1));
        let rig = Rig::start(cloud, config);
        rig.is(state).await;
        rig.has(3).await;
        rig.is(SourceState::Ok).await;
        assert_eq!((rig.status().error, rig.sequence_numbers().len()), (None, 3), "{fault:?}");
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_of_pages_brings_its_messages_and_ends() {
    let mut world = world(50);
    world.faults = vec![("/messages", Fault::Loop); 100_000];
    let cloud = MockCloud::start(world).await;
    let config = config(&cloud.v1_url(), sigfox(SigfoxApi::V1));
    let rig = Rig::start(cloud, config);
    rig.has(50).await;
    rig.is(SourceState::Degraded).await;
    assert!(rig.status().error.is_some_and(|error| error.contains("circle")));
    rig.cloud.change(|world| world.faults.clear());
    rig.is(SourceState::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_warnings_are_service_events_told_once() {
    let mut world = world(1);
    let report = json!({ "deviceId": "002C", "time": now_ms() - 5000, "message": "no message for 3600 s" });
    world.reports = [("error".to_owned(), vec![report])].into();
    let cloud = MockCloud::start(world).await;
    let mut config = config(&cloud.v1_url(), sigfox(SigfoxApi::V1));
    config.locations = config.poll.clone();
    let rig = Rig::start(cloud, config);
    eventually("the report", || rig.told("error") == 1).await;
    let looks = rig.cloud.count("status/error");
    eventually("more looks", || rig.cloud.count("status/error") >= looks + 3).await;
    assert_eq!(rig.told("error"), 1);
}

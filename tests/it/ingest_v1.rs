//! A source of the Sigfox API v1: the same world told in seconds, with its reports.

use serde_json::json;
use sigfox2mqtt::config::SigfoxApi;
use sigfox2mqtt::ingest::SourceState;
use sigfox2mqtt::store::UplinkQuery;

use crate::cloud_mock::{MockCloud, World};
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

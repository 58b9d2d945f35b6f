//! A source against a scripted cloud and a real store: what is new arrives once, and nothing that a cloud does
//! ends the polling.

use std::time::Duration;

use serde_json::json;
use sigfox2mqtt::config::{self, Filter, Schedule, SigfoxApi};
use sigfox2mqtt::ingest::{Scope, SourceState};
use sigfox2mqtt::model::Timestamp;
use sigfox2mqtt::store::UplinkQuery;

use crate::cloud_mock::{Fault, MockCloud, World, message};
use crate::ingest_rig::{self, Rig, name, now_ms, sigfox};
use crate::support::eventually;

const TYPE: &str = "5f0000000000000000000001";
const OTHER_TYPE: &str = "5f0000000000000000000002";

async fn start(world: World) -> Rig<MockCloud> {
    start_with(world, |_| {}).await
}

async fn start_with(world: World, change: impl FnOnce(&mut config::Source)) -> Rig<MockCloud> {
    let cloud = MockCloud::start(world).await;
    let mut config = ingest_rig::config(&cloud.url(), sigfox(SigfoxApi::V2));
    change(&mut config);
    Rig::start(cloud, config)
}

/// One device type with three devices and so many messages, a second apart, the newest a minute old.
fn world(count: u16) -> World {
    let start = now_ms() - 60_000 - i64::from(count) * 1000;
    let messages = (0..count)
        .map(|n| message(["1A2B", "1A2C", "1A2D"][usize::from(n % 3)], start + i64::from(n) * 1000, n, "00"));
    World {
        types: vec![json!({ "id": TYPE, "name": "tank", "payloadType": 2, "keepAlive": 3600 })],
        devices: ["1A2B", "1A2C", "1A2D"]
            .iter()
            .map(|id| json!({ "id": id, "name": id, "deviceType": { "id": TYPE }, "state": 0 }))
            .collect(),
        messages: [(TYPE.to_owned(), messages.collect())].into(),
        ..World::default()
    }
}

fn add(rig: &Rig<MockCloud>, device: &str, seq: u16) {
    rig.cloud.change(|world| {
        world.messages.get_mut(TYPE).unwrap().push(message(device, now_ms(), seq, "0102"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn three_pages_arrive_once_each_oldest_first_and_then_what_is_new() {
    let rig = start(world(250)).await;
    rig.has(250).await;
    let uplinks: Vec<String> = rig.outbox().into_iter().filter(|event| event.starts_with("uplink")).collect();
    assert_eq!(uplinks, (0..250).map(|n| format!("uplink {n}")).collect::<Vec<_>>());

    add(&rig, "1A2B", 1000);
    rig.has(251).await;
    rig.is(SourceState::Ok).await;
    eventually("the lag of the new message", || rig.status().lag_s.is_some_and(|lag| lag < 30.0)).await;
    let status = rig.status();
    assert!(status.last_success.is_some() && status.next_poll.is_some() && status.requests > 4, "{status:?}");
    assert_eq!(status.error, None);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_many_pages_does_not_change_the_status_page_by_page() {
    let once = Schedule::Every(Duration::from_secs(86_400));
    let rig = start_with(world(2500), |config| config.poll = once).await;
    let versions = rig.board.watch();
    rig.has(2500).await;
    rig.is(SourceState::Ok).await;
    eventually("the time of the next poll", || rig.status().next_poll.is_some()).await;
    let (changes, requests) = (*versions.borrow(), rig.status().requests);
    assert!(changes <= 10 && requests > 25, "{changes} changes for {requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_with_nothing_new_is_one_request_a_device_type() {
    let rig = start(world(3)).await;
    rig.has(3).await;
    let before = rig.cloud.count("");
    let polls = rig.cloud.count("/messages");
    eventually("more polls", || rig.cloud.count("/messages") >= polls + 10).await;
    let (all, polls) = (rig.cloud.count("") - before, rig.cloud.count("/messages") - polls);
    assert!(all <= polls + 1, "{all} requests for {polls} polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_a_replay_and_a_fresh_message_is_not() {
    let mut world = world(1);
    let old = message("1A2B", now_ms() - 7_200_000, 7, "00");
    world.messages.get_mut(TYPE).unwrap().push(old);
    let rig = start(world).await;
    rig.has(2).await;
    let uplinks = rig.store.uplinks(&UplinkQuery::default()).unwrap();
    let replays: Vec<_> = uplinks.iter().map(|uplink| (uplink.seq, uplink.replay)).collect();
    assert_eq!(replays, [(Some(7), true), (Some(0), false)]);
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
        let rig = start(world).await;
        rig.is(state).await;
        assert!(rig.status().error.is_some(), "{fault:?}");
        rig.has(3).await;
        rig.is(SourceState::Ok).await;
        assert_eq!(rig.status().error, None, "{fault:?}");
        assert_eq!(rig.sequence_numbers(), [0, 1, 2], "{fault:?}");
        eventually("both changes of state to be told", || rig.told("source_state") >= 2).await;
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_the_middle_of_a_sweep_is_waited_out_and_the_sweep_goes_on() {
    let mut world = world(250);
    world.faults = vec![("/device-types", Fault::Status(503))];
    let rig = start(world).await;
    rig.has(250).await;
    rig.cloud.change(|world| {
        let more = (0..250).map(|n| message("1A2B", now_ms() - i64::from(n), 1000 + n, "00"));
        world.messages.get_mut(TYPE).unwrap().extend(more);
        world.faults = vec![("never", Fault::Html), ("/messages", Fault::RetryAfter(1))];
    });
    rig.has(500).await;
    rig.is(SourceState::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_of_pages_brings_its_messages_and_leaves_the_cursor_where_it_was() {
    let mut world = world(50);
    world.faults = vec![("/messages", Fault::Loop); 100_000];
    let rig = start(world).await;
    rig.has(50).await;
    rig.is(SourceState::Degraded).await;
    assert!(rig.status().error.is_some_and(|error| error.contains("circle")));
    assert_eq!(rig.store.cursor(&name(), TYPE).unwrap(), None);
    rig.cloud.change(|world| world.faults.clear());
    rig.is(SourceState::Ok).await;
    assert!(rig.store.cursor(&name(), TYPE).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_is_reported_once_and_the_good_ones_arrive() {
    let mut world = world(3);
    let bad = json!({ "device": { "id": "1A2B" }, "time": now_ms() - 1000, "data": "hello" });
    world.messages.get_mut(TYPE).unwrap().push(bad);
    let rig = start(world).await;
    rig.has(3).await;
    rig.is(SourceState::Degraded).await;
    assert!(rig.status().error.is_some_and(|error| error.contains("`hello` is not hexadecimal")));
    let polls = rig.cloud.count("/messages");
    eventually("more polls", || rig.cloud.count("/messages") >= polls + 5).await;
    assert_eq!(rig.outbox().iter().filter(|event| *event == "row_skipped").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_type_that_may_not_be_read_costs_only_itself() {
    let mut world = world(3);
    world.types.insert(0, json!({ "id": OTHER_TYPE, "name": "secret" }));
    world.faults = vec![(concat!("/device-types/", "5f0000000000000000000002"), Fault::Status(403)); 1000];
    let rig = start(world).await;
    rig.has(3).await;
    rig.is(SourceState::Degraded).await;
    assert!(rig.status().error.is_some_and(|error| error.contains(OTHER_TYPE)));
    add(&rig, "1A2B", 1000);
    rig.has(4).await;
    assert_eq!(rig.cloud.count(&format!("/device-types/{OTHER_TYPE}")), 1, "it is left alone for a while");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_and_a_nudge_tries_again_at_once() {
    let mut world = world(3);
    world.faults = vec![("/messages", Fault::Status(401))];
    let rig = start(world).await;
    rig.is(SourceState::AuthFailed).await;
    assert!(rig.status().error.is_some_and(|error| error.contains("login and password")));
    rig.nudge.poll_now(Scope::default());
    rig.has(3).await;
    rig.is(SourceState::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_from_a_time_reads_again_from_there() {
    let rig = start_with(world(3), |config| config.backfill = Duration::from_secs(600)).await;
    rig.has(3).await;
    let old = now_ms() - 86_400_000;
    rig.cloud.change(|world| world.messages.get_mut(TYPE).unwrap().push(message("1A2B", old, 99, "00")));
    let from = Timestamp::from_millis(old - 1000);
    rig.nudge.poll_now(Scope { device: None, from });
    rig.has(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_for_a_device_asks_for_it_alone_and_an_unknown_one_is_no_error() {
    let rig = start_with(world(3), |config| config.poll = Schedule::Every(Duration::from_secs(3600))).await;
    rig.has(3).await;
    add(&rig, "1A2B", 99);
    let polls = rig.cloud.count("/device-types/");
    rig.nudge.poll_now(Scope { device: Some("1A2B".parse().unwrap()), from: None });
    rig.has(4).await;
    assert_eq!(rig.cloud.count("/device-types/"), polls);
    rig.cloud.change(|world| world.faults = vec![("/devices/FFFF", Fault::Status(404))]);
    rig.nudge.poll_now(Scope { device: Some("FFFF".parse().unwrap()), from: None });
    eventually("the request", || rig.cloud.count("/devices/FFFF/messages") == 1).await;
    rig.is(SourceState::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_longer_than_the_clouds_history_is_told() {
    let rig = start_with(world(3), |config| config.poll = Schedule::Every(Duration::from_secs(3600))).await;
    rig.has(3).await;
    rig.is(SourceState::Ok).await;
    assert_eq!(rig.told("gap_possible"), 0);
    let long_ago = Timestamp::from_millis(now_ms() - 5 * 86_400_000).unwrap();
    rig.store.record_sweep(&[], Some((&name(), TYPE, long_ago))).unwrap();
    rig.nudge.poll_now(Scope::default());
    eventually("the gap", || rig.told("gap_possible") == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_finds_what_came_later_than_the_overlap_reaches() {
    let rig =
        start_with(world(3), |config| config.resync = Schedule::Every(Duration::from_millis(300))).await;
    rig.has(3).await;
    let late = message("1A2B", now_ms() - 7_200_000, 77, "00");
    rig.cloud.change(|world| world.messages.get_mut(TYPE).unwrap().push(late));
    rig.has(4).await;
    assert_eq!(rig.sequence_numbers(), [77, 0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_expression_polls_too() {
    let rig = start_with(world(3), |config| config.poll = Schedule::Cron("* * * * * *".to_owned())).await;
    rig.has(3).await;
    add(&rig, "1A2B", 99);
    rig.has(4).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_did_not_arrive_is_taken_from_the_report() {
    let mut world = world(1);
    world.undelivered = vec![json!({
        "deviceId": "1A2B", "deviceTypeId": TYPE, "time": now_ms() - 5000, "data": "0a0b", "status": "503",
        "message": "Service Unavailable", "parameters": { "seqNumber": "88" }
    })];
    let rig = start_with(world, |config| {
        config.callback_token = Some("token".to_owned().into());
        config.locations = Schedule::Every(Duration::from_millis(100));
    })
    .await;
    rig.has(2).await;
    assert_eq!(rig.sequence_numbers(), [0, 88]);
    eventually("the event", || rig.told("callbacks_missed") == 1).await;
    rig.is(SourceState::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_known_with_its_type_before_its_first_message_is() {
    let rig = start(world(3)).await;
    rig.has(3).await;
    add(&rig, "BEEF", 500);
    rig.has(4).await;
    let device = rig.store.device("BEEF".parse().unwrap()).unwrap().unwrap();
    assert_eq!(device.device_type.as_deref(), Some(TYPE));
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_types_that_are_not_wanted_are_left_out() {
    let mut world = world(3);
    world.types.push(json!({ "id": OTHER_TYPE, "name": "other" }));
    let rig = start_with(world, |config| {
        config.filter = Filter {
            device_types: vec!["tank".to_owned()],
            devices: vec![],
            except_devices: vec!["1A2C".to_owned()],
        };
    })
    .await;
    rig.has(2).await;
    add(&rig, "1A2B", 77);
    rig.has(3).await;
    assert_eq!(rig.sequence_numbers(), [0, 2, 77]);
    assert_eq!(rig.cloud.count(OTHER_TYPE), 0);
    assert_eq!(rig.store.devices().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_that_comes_late_is_told_once_and_the_message_not_again() {
    let rig = start_with(world(1), |config| {
        config.locations = Schedule::Every(Duration::from_millis(50));
    })
    .await;
    rig.has(1).await;
    let time = rig.store.uplinks(&UplinkQuery::default()).unwrap()[0].time.as_millis();
    let place = |time: i64, lat: f64| json!({ "time": time, "valid": true, "lat": lat, "lng": 2.5, "radius": 400, "source": 2 });
    rig.cloud.change(|world| {
        let positions =
            vec![place(time, 48.1), place(time - 600_000, 48.2), json!({ "time": time, "valid": false })];
        world.locations.insert("1A2B".to_owned(), positions);
    });
    eventually("locations", || {
        rig.outbox().iter().filter(|event| event.starts_with("location")).count() == 2
    })
    .await;
    let reads = rig.cloud.count("/locations");
    eventually("more reads", || rig.cloud.count("/locations") >= reads + 5).await;
    let outbox = rig.outbox();
    assert_eq!(outbox.iter().filter(|event| *event == "location true").count(), 1, "{outbox:?}");
    assert_eq!(outbox.iter().filter(|event| *event == "location false").count(), 1, "{outbox:?}");
    assert_eq!(outbox.iter().filter(|event| event.starts_with("uplink")).count(), 1, "{outbox:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_larger_than_memory_comes_in_pieces_oldest_first() {
    let count = 12_500_u32;
    let first = now_ms() - 60_000 - i64::from(count) * 1000;
    let mut world = world(0);
    let messages = (0..count)
        .map(|n| message("1A2B", first + i64::from(n) * 1000, u16::try_from(n % 4096).unwrap(), "00"));
    world.messages.insert(TYPE.to_owned(), messages.collect());
    let rig = start(world).await;
    rig.has(usize::try_from(count).unwrap()).await;
    let uplinks = rig.store.uplinks(&UplinkQuery::default()).unwrap();
    assert!(uplinks.windows(2).all(|pair| pair[0].time < pair[1].time));
    rig.is(SourceState::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_the_cloud_throws_away_are_told_once() {
    let often = Schedule::Every(Duration::from_millis(50));
    let rig = start_with(world(3), |config| config.inventory = often).await;
    rig.has(3).await;
    for (seq, told) in [(4000, 1), (4000, 1), (7, 2)] {
        rig.cloud.change(|world| world.devices[0]["trashSequenceNumber"] = json!(seq));
        let inventories = rig.cloud.count("/devices");
        eventually("two inventories", || rig.cloud.count("/devices") >= inventories + 3).await;
        eventually("the rejection", || rig.told("messages_rejected") >= told).await;
        assert_eq!(rig.told("messages_rejected"), told, "{seq}");
    }
    rig.end().await;
}

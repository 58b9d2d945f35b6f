//! Devices as Things in the studio: made once, told everything once, in whatever weather.

use serde_json::{Value, json};
use sigfox2mqtt::downlink::Target;
use sigfox2mqtt::ingest::SourceState;
use sigfox2mqtt::model::{Downlink, DownlinkState, Event, Location, LocationSource, Uplink};
use sigfox2mqtt::store::{Located, QueueChange};
use tokio::task::JoinSet;

use crate::mirror_rig::Rig;
use crate::publisher_rig::uplink;
use crate::support::eventually;

const DEVICE: &str = "1A2B3C";
const START: i64 = 1_789_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_becomes_a_thing_with_values_of_their_time_and_only_the_newest_is_current() {
    let mut rig = Rig::new("category = \"sigfox\"").await;
    let sweep: Vec<_> = (0..3).map(|n| uplink(DEVICE, START + n * 60, "012c80")).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    rig.source_is_well();
    rig.start();
    rig.told().await;
    let thing = rig.thing(DEVICE).await;
    assert_eq!(
        (thing.title.as_str(), thing.types.as_slice()),
        ("Tank 3", ["SigfoxDevice".to_owned()].as_slice())
    );
    assert_eq!(thing.properties["level"]["unit"], "mm");
    assert_eq!(thing.properties["alarm"]["type"], "boolean");
    assert_eq!((&thing.status["level"], &thing.status["alarm"]), (&json!(300), &json!(false)));
    assert_eq!(thing.status["last_seen"], json!(sweep[2].time));
    rig.client.category("sigfox").send().await.unwrap();

    rig.store
        .record_sweep(&[uplink(DEVICE, START + 30, "000100"), uplink(DEVICE, START + 240, "000200")], None)
        .unwrap();
    let location = Location {
        latitude: 48.0,
        longitude: 2.0,
        accuracy_m: Some(4000.0),
        source: LocationSource::Network,
        time: sweep[1].time,
    };
    rig.store.record_locations(&[Located { device: sweep[1].device, location, uplink: None }]).unwrap();
    rig.told().await;
    let levels: Vec<(i64, Value)> = rig
        .history(&thing.uid, "level")
        .await
        .into_iter()
        .map(|moment| (moment.at.as_seconds() - START, moment.properties["level"].clone()))
        .collect();
    let expected = [(0, json!(300)), (30, json!(1)), (60, json!(300)), (120, json!(300)), (240, json!(2))];
    assert_eq!(levels, expected);
    let places = rig.history(&thing.uid, "location").await;
    assert_eq!((places.len(), &places[0].properties["location"]["gps_accuracy"]), (1, &json!(4000.0)));
    let thing = rig.thing(DEVICE).await;
    assert_eq!(thing.status["level"], json!(2));
    eventually("well", || rig.state() == SourceState::Ok).await;
    assert_eq!(rig.studio.requests_with("POST /spaces/s/categories/sigfox/things"), 1);
    rig.stop().await;
    assert!(rig.studio.requests_with("/oauth2/revoke") == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_device_is_there_is_shown_also_of_one_that_never_sent() {
    let mut rig = Rig::new("").await;
    rig.store.record_sweep(&[uplink(DEVICE, START, "012c80")], None).unwrap();
    rig.source_is_well();
    rig.start();
    rig.told().await;
    loop {
        // Years have passed since.
        if rig.thing(DEVICE).await.status["availability"] == "offline" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_our_store_makes_no_thing_twice_and_no_value() {
    let mut rig = Rig::new("").await;
    let sweep: Vec<_> = (0..20).map(|n| uplink(DEVICE, START + n * 60, "012c80")).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    rig.start();
    rig.told().await;
    rig.stop().await;
    rig.lose_the_store();
    rig.store.record_sweep(&sweep, None).unwrap();
    rig.store.record_sweep(&[uplink(DEVICE, START + 6000, "000100")], None).unwrap();
    rig.start();
    rig.told().await;
    let things = rig.things().await;
    assert_eq!(things.len(), 1);
    assert_eq!(rig.history(&things[0].uid, "level").await.len(), 21);
    assert_eq!(rig.thing(DEVICE).await.status["level"], json!(1));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_was_told_before_its_message_costs_one_look() {
    let mut rig = Rig::new("").await;
    let place = |time| Location {
        latitude: 48.0,
        longitude: 2.0,
        accuracy_m: None,
        source: LocationSource::Network,
        time,
    };
    let sweep: Vec<_> = (0..100)
        .map(|n| uplink(DEVICE, START + n * 60, "012c80"))
        .map(|uplink| Uplink { location: Some(place(uplink.time)), ..uplink })
        .collect();
    rig.store.record_sweep(&sweep[99..], None).unwrap();
    rig.start();
    rig.told().await;
    let location = place(sweep[50].time);
    rig.store.record_locations(&[Located { device: sweep[0].device, location, uplink: None }]).unwrap();
    rig.told().await;
    let before: u64 = rig.studio.requests().values().sum();
    rig.store.record_sweep(&sweep[..99], None).unwrap();
    rig.told().await;
    let thing = rig.thing(DEVICE).await;
    assert_eq!(rig.history(&thing.uid, "level").await.len(), 100);
    assert_eq!(rig.history(&thing.uid, "location").await.len(), 100);
    let made: u64 = rig.studio.requests().values().sum::<u64>() - before;
    assert!(made < 30, "{made} requests");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_studio_answers_everything_arrives_once() {
    let mut weathers = JoinSet::new();
    for fault in [
        "401:/properties-history:1",
        "500:/things:2",
        "429=1:/properties:1",
        "html:/properties-history:1",
        "truncate:/things:1",
        "drop:/properties-history:2",
        "huge=50:/things:1",
        "html:/oauth2/token:1",
    ] {
        weathers.spawn(async move {
            let mut rig = Rig::new("").await;
            let sweep: Vec<_> = (0..250).map(|n| uplink(DEVICE, START + n * 60, "012c80")).collect();
            rig.store.record_sweep(&sweep, None).unwrap();
            rig.studio.fault(fault.parse().unwrap());
            rig.start();
            rig.told().await;
            let things = rig.things().await;
            assert_eq!(things.len(), 1, "{fault}");
            assert_eq!(rig.history(&things[0].uid, "level").await.len(), 250, "{fault}");
            eventually(fault, || rig.state() == SourceState::Ok).await;
            rig.stop().await;
        });
    }
    weathers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_credentials_are_told_of_and_nothing_is_lost() {
    let mut rig = Rig::new("").await;
    rig.studio.fault("401:/oauth2/token:*".parse().unwrap());
    rig.store.record_sweep(&[uplink(DEVICE, START, "012c80")], None).unwrap();
    rig.start();
    eventually("refused", || rig.state() == SourceState::AuthFailed).await;
    let told = rig.store.outbox_head(&std::collections::BTreeSet::new(), 100).unwrap();
    let told = told.iter().find_map(|entry| match &entry.event {
        Event::Bridge { kind, detail, .. } if kind == "mirror_state" => Some(detail.clone()),
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.contains("auth_failed") && !told.contains("secret-simulated"), "{told}");
    assert_eq!(rig.waiting(), 1);
    rig.stop().await;
    rig.studio.heal();
    rig.start();
    rig.told().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thing_that_somebody_deletes_or_retypes_is_mended() {
    let mut rig = Rig::new("").await;
    rig.store.record_sweep(&[uplink(DEVICE, START, "012c80")], None).unwrap();
    rig.start();
    rig.told().await;
    let first = rig.thing(DEVICE).await;
    rig.client.delete_thing(&first.uid).send().await.unwrap();
    rig.store.record_sweep(&[uplink(DEVICE, START + 60, "012c80")], None).unwrap();
    rig.told().await;
    let second = rig.thing(DEVICE).await;
    assert_ne!(first.uid, second.uid);
    let steps = json!([{ "op": "replace", "path": "/properties/level", "value": { "type": "string" } }]);
    rig.client.patch_thing(&second.uid, steps).send().await.unwrap();
    rig.stop().await;
    rig.start();
    rig.store.record_sweep(&[uplink(DEVICE, START + 120, "000700")], None).unwrap();
    rig.told().await;
    let thing = rig.thing(DEVICE).await;
    assert_eq!((&thing.properties["level"]["type"], &thing.status["level"]), (&json!("number"), &json!(7)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_payload_is_an_event() {
    let mut rig = Rig::new("").await;
    rig.store.record_sweep(&[uplink(DEVICE, START, "01")], None).unwrap();
    rig.start();
    rig.told().await;
    let thing = rig.thing(DEVICE).await;
    let page = rig.client.events(&thing.uid, Some("error")).next_page().await.unwrap().unwrap();
    let said = page.rows[0].data.as_str().unwrap();
    assert!(said.starts_with("2026-09-10T00:26:40.000Z: "), "{said}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_becomes_a_downlink_and_ends_with_it_over_restarts() {
    let mut rig = Rig::new("").await;
    rig.store.record_sweep(&[uplink(DEVICE, START, "012c80")], None).unwrap();
    rig.start();
    rig.told().await;
    let uid = rig.thing(DEVICE).await.uid;
    let ask = |input: Value| {
        let call = rig.client.create_action(&uid, "downlink", &input);
        async move { call.send().await.unwrap().id }
    };
    let (sent, cancelled, wrong) =
        (ask(json!("0123456789abcdef")).await, ask(json!("1111111111111111")).await, ask(json!("xyz")).await);
    eventually("two items", || rig.queue(DEVICE).len() == 2).await;
    let refused = rig.ended(&uid, &wrong).await;
    assert_eq!((refused.status.as_str(), &refused.output["state"]), ("failed", &json!("rejected")));
    rig.stop().await;
    let device = DEVICE.parse().unwrap();
    rig.queues.cancel(device, Target::One(format!("altair-{cancelled}").parse().unwrap())).await.unwrap();
    let name = format!("altair-{sent}");
    let acked = |queue: &[Downlink]| {
        let item = queue.iter().find(|item| item.id.as_str() == name).unwrap().clone();
        assert_eq!(item.transaction.as_deref(), Some("mirror/studio"));
        let item = Downlink { state: DownlinkState::Acked, ..item };
        let events = vec![Event::Downlink(Box::new(item.clone()))];
        // Forgotten with its end: what asked for it must not ask again.
        (QueueChange { forget: vec![item.id.clone()], events, ..QueueChange::default() }, ())
    };
    rig.store.change_queue(device, acked).await.unwrap();
    let before = rig.studio.requests_with("GET /spaces/s/things/");
    rig.start();
    assert_eq!(rig.ended(&uid, &sent).await.status, "completed");
    assert_eq!(rig.ended(&uid, &cancelled).await.status, "failed");
    eventually("a look for actions", || rig.studio.requests_with("GET /spaces/s/things/") > before + 20)
        .await;
    assert_eq!(rig.queue(DEVICE).len(), 1, "the cancelled one alone is kept");
    rig.stop().await;
}

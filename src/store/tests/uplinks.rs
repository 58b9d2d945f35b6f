//! Keeping uplinks and locations, and reading them back.

use proptest::prelude::*;

use super::{Rig, id, location, publish_all, source, time, uplink, waiting};
use crate::model::{LinkQuality, Uplink};
use crate::store::{Located, UplinkQuery};

#[test]
fn an_uplink_is_kept_and_published_once_and_survives_the_end_of_the_process() {
    let rig = Rig::new();
    let message = [uplink("002C", 0, Some(251))];
    assert_eq!(rig.store.record_sweep(&message, None).unwrap().new, [message[0].id()]);
    let again = rig.store.record_sweep(&message, None).unwrap();
    assert_eq!((again.new.len(), again.known), (0, 1));
    let rig = rig.reopened();
    assert_eq!(rig.store.uplinks(&UplinkQuery::default()).unwrap(), message);
    assert_eq!(rig.store.outbox_depth().unwrap(), (2, Some(time(0))));
    assert_eq!(
        publish_all(&rig.store),
        ["up 002C-1789000000-251", r#"device_added {"device":"002C","source":"factory"}"#]
    );
    assert_eq!(rig.store.outbox_depth().unwrap(), (0, None));
    let device = rig.store.device(id("2C")).unwrap().unwrap();
    assert_eq!((device.id.to_string(), device.source), ("002C".to_owned(), source("factory")));
}

#[tokio::test]
async fn what_is_newer_than_all_that_is_kept_is_new_also_of_a_device_that_was_forgotten() {
    let rig = Rig::new();
    let messages: Vec<_> = (0..6_u16).map(|n| uplink("A", i64::from(n) * 700_000_000, Some(n))).collect();
    let new = |rig: &Rig, messages: &[Uplink]| {
        let recorded = rig.store.record_sweep(messages, None).unwrap();
        recorded.new.iter().map(|id| id.to_string()).collect::<Vec<_>>()
    };
    // Two weeks and more apart; the second and the fourth come last.
    let some: Vec<_> = [0, 2, 4].map(|n: usize| messages[n].clone()).into();
    assert_eq!(new(&rig, &some).len(), 3);
    assert!(rig.store.forget_device(id("A")).await.unwrap());
    let rig = rig.reopened();
    // An older one makes the device known again, and what came before is known still.
    assert_eq!(new(&rig, &messages[1..2]), [messages[1].id().to_string()]);
    assert_eq!(new(&rig, &messages[..5]), [messages[3].id().to_string()]);
    assert_eq!(new(&rig, &messages), [messages[5].id().to_string()]);
    assert!(rig.store.forget_device(id("A")).await.unwrap());
    assert!(new(&rig, &messages).is_empty());
    assert_eq!(rig.store.device(id("A")).unwrap(), None);
}

#[test]
fn a_message_is_the_same_whichever_way_it_comes() {
    let other_payload = |message: Uplink| Uplink { payload: "ff".parse().unwrap(), ..message };
    for (what, first, second, same) in [
        ("the same once more", uplink("2C", 0, Some(1)), uplink("2C", 0, Some(1)), true),
        ("by a source of whole seconds", uplink("2C", 123, Some(1)), uplink("2C", 0, Some(1)), true),
        ("printed with leading zeros", uplink("2C", 0, Some(1)), uplink("0000002C", 0, Some(1)), true),
        ("by a source without numbers", uplink("2C", 0, Some(1)), uplink("2C", 0, None), true),
        ("first by one without numbers", uplink("2C", 0, None), uplink("2C", 0, Some(1)), true),
        (
            "without numbers, another payload",
            uplink("2C", 0, None),
            other_payload(uplink("2C", 0, None)),
            false,
        ),
        ("another number", uplink("2C", 0, Some(1)), uplink("2C", 0, Some(2)), false),
        ("another second", uplink("2C", 0, Some(1)), uplink("2C", 1000, Some(1)), false),
        ("another device", uplink("2C", 0, Some(1)), uplink("2C0", 0, Some(1)), false),
        ("only the payload tells", uplink("2C", 0, Some(1)), other_payload(uplink("2C", 0, None)), false),
    ] {
        for together in [false, true] {
            let rig = Rig::new();
            let mut new = Vec::new();
            let sweep = [first.clone(), second.clone()];
            for part in sweep.chunks(if together { 2 } else { 1 }) {
                new.extend(rig.store.record_sweep(part, None).unwrap().new);
            }
            assert_eq!(new.len(), if same { 1 } else { 2 }, "{what}, in one sweep: {together}");
        }
    }
}

#[test]
fn a_copy_that_knows_more_is_merged_and_only_its_location_is_told() {
    let rig = Rig::new();
    let bare = uplink("2C", 0, Some(1));
    rig.store.record_sweep(std::slice::from_ref(&bare), None).unwrap();
    publish_all(&rig.store);
    let more = Uplink {
        link_quality: Some(LinkQuality::Good),
        rssi: Some(-118.0),
        snr: Some(12.1),
        stations: Some(3),
        ack: Some(false),
        location: Some(location(0, 4000.0)),
        source: source("japan"),
        received: time(99_000),
        replay: true,
        ..bare.clone()
    };
    rig.store.record_sweep(std::slice::from_ref(&more), None).unwrap();
    let merged = Uplink { source: bare.source, received: bare.received, replay: false, ..more.clone() };
    assert_eq!(rig.store.uplinks(&UplinkQuery::default()).unwrap(), [merged]);
    assert_eq!(publish_all(&rig.store), ["location 2C of 2C-1789000000-1"]);
    let other = Uplink { rssi: Some(-1.0), location: Some(location(0, 1.0)), ..more };
    let commits = rig.store.database().commits();
    rig.store.record_sweep(&[other], None).unwrap();
    assert_eq!((rig.store.database().commits(), waiting(&rig.store)), (commits, vec![]));
}

#[test]
fn nothing_new_writes_nothing() {
    let rig = Rig::new();
    let (source, sweep) = (source("factory"), [uplink("2C", 0, Some(1)), uplink("2D", 5, None)]);
    let poll = |ms| rig.store.record_sweep(&sweep, Some((&source, "type", time(ms)))).unwrap();
    poll(0);
    let commits = rig.store.database().commits();
    for minute in 1..10 {
        poll(minute * 60_000);
        assert_eq!(rig.store.database().commits(), commits, "minute {minute}");
        assert_eq!(rig.store.cursor(&source, "type").unwrap(), Some(time(minute * 60_000)));
    }
    poll(10 * 60_000);
    assert_eq!(rig.store.database().commits(), commits + 1, "the cursor is kept after ten minutes");
    assert_eq!(rig.reopened().store.cursor(&source, "type").unwrap(), Some(time(10 * 60_000)));
}

#[test]
fn a_source_of_any_number_has_a_cursor_for_each_scope() {
    let rig = Rig::new();
    for (name, scope, ms) in [("a", "x", 1), ("a", "y", 2), ("b", "x", 3)] {
        rig.store.record_sweep(&[], Some((&source(name), scope, time(ms)))).unwrap();
    }
    let rig = rig.reopened();
    for (name, scope, found) in
        [("a", "x", Some(1)), ("a", "y", Some(2)), ("b", "x", Some(3)), ("c", "x", None)]
    {
        assert_eq!(rig.store.cursor(&source(name), scope).unwrap(), found.map(time), "{name} {scope}");
    }
}

#[test]
fn the_history_is_read_by_device_time_and_number() {
    let rig = Rig::new();
    let week = 7 * 24 * 3_600_000;
    let all = [
        uplink("A", 0, Some(1)),
        uplink("B", 500, Some(1)),
        uplink("A", 900, Some(2)),
        uplink("A", week, Some(3)),
    ];
    rig.store.record_sweep(&[all[2].clone(), all[3].clone(), all[0].clone(), all[1].clone()], None).unwrap();
    let query = UplinkQuery::default;
    for (query, expected) in [
        (query(), vec![0, 1, 2, 3]),
        (UplinkQuery { newest_first: true, ..query() }, vec![3, 2, 1, 0]),
        (UplinkQuery { newest_first: true, limit: Some(2), ..query() }, vec![3, 2]),
        (UplinkQuery { limit: Some(0), ..query() }, vec![]),
        (UplinkQuery { device: Some(id("A")), ..query() }, vec![0, 2, 3]),
        (UplinkQuery { device: Some(id("C")), ..query() }, vec![]),
        (UplinkQuery { from: Some(time(500)), ..query() }, vec![1, 2, 3]),
        (UplinkQuery { from: Some(time(501)), to: Some(time(week)), ..query() }, vec![2]),
        (UplinkQuery { to: Some(time(1)), device: Some(id("A")), newest_first: true, ..query() }, vec![0]),
        (UplinkQuery { from: Some(time(9)), to: Some(time(3)), ..query() }, vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|place: usize| all[place].clone()).collect();
        assert_eq!(rig.store.uplinks(&query).unwrap(), expected, "{query:?}");
    }
    assert_eq!(rig.store.uplink(&all[1].id()).unwrap().as_ref(), Some(&all[1]));
    assert_eq!(rig.store.uplink(&uplink("B", 500, Some(2)).id()).unwrap(), None);
    assert_eq!(rig.reopened().store.device(id("A")).unwrap().unwrap().last_seen, Some(time(week)));
}

#[test]
fn a_location_goes_with_its_uplink_or_stands_alone_and_is_told_once() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("2C", 300, Some(7))], None).unwrap();
    publish_all(&rig.store);
    let at = |ms, accuracy| Located { device: id("2C"), location: location(ms, accuracy), uplink: None };
    let stranger = Located { device: id("FF"), ..at(0, 1.0) };
    let reports = [at(0, 500.0), at(60_000, 500.0), stranger];
    assert_eq!(rig.store.record_locations(&reports).unwrap(), 2);
    assert_eq!(publish_all(&rig.store), ["location 2C of 2C-1789000000-7", "location 2C"]);
    let rig = rig.reopened();
    assert_eq!(rig.store.record_locations(&reports).unwrap(), 0, "the same once more");
    assert_eq!(
        rig.store.record_locations(&[at(0, 900.0), at(60_000, 100.0)]).unwrap(),
        1,
        "only the better one"
    );
    let kept: Vec<_> = rig.store.locations(&UplinkQuery::default()).map(Result::unwrap).collect();
    let with_uplink = Located { uplink: Some(uplink("2C", 300, Some(7)).id()), ..at(0, 500.0) };
    assert_eq!(kept, [with_uplink, at(60_000, 100.0)]);
    assert_eq!(
        rig.store.device(id("2C")).unwrap().unwrap().last_seen.map(|seen| seen.as_seconds()),
        Some(time(0).as_seconds())
    );
}

#[test]
fn an_uplink_takes_less_than_a_hundred_bytes() {
    let rig = Rig::new();
    let message = Uplink {
        payload: "00112233445566778899aabb".parse().unwrap(),
        link_quality: Some(LinkQuality::Good),
        rssi: Some(-118.0),
        snr: Some(12.1),
        stations: Some(3),
        ack: Some(false),
        location: Some(location(123, 4000.0)),
        ..uplink("01234567", 123, Some(4095))
    };
    rig.store.record_sweep(&[message], None).unwrap();
    let (_, week) = rig.store.database().weeks().remove(0);
    let (key, value) = week.loose[&0].tree.first().unwrap().unwrap();
    assert!(key.len() + value.len() < 100, "{} + {}", key.len(), value.len());
}

fn any_uplink() -> impl Strategy<Value = Uplink> {
    let devices = prop::sample::select(vec!["A", "B", "00C"]);
    (devices, 0_i64..20, prop::option::of(0_u16..3), any::<bool>()).prop_map(
        |(device, second, seq, located)| Uplink {
            // One payload a number, as a device sends it; without a number the payload of number 0.
            payload: format!("{:02x}", seq.unwrap_or(0)).parse().unwrap(),
            location: located.then(|| location(second * 1000, 10.0)),
            ..uplink(device, second * 1000, seq)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_uplinks_are_swept_each_is_kept_and_told_once(
        sweeps in prop::collection::vec(prop::collection::vec(any_uplink(), 0..130), 1..5),
    ) {
        let mut rig = Rig::new();
        let mut new = Vec::new();
        for sweep in &sweeps {
            let recorded = rig.store.record_sweep(sweep, None).unwrap();
            prop_assert_eq!(recorded.new.len() + recorded.known, sweep.len());
            new.extend(recorded.new);
            rig = rig.reopened();
        }
        let kept = rig.store.uplinks(&UplinkQuery::default()).unwrap();
        let mut ids: Vec<_> = kept.iter().map(Uplink::id).collect();
        ids.sort();
        new.sort();
        prop_assert_eq!(&ids, &new);
        prop_assert!(kept.is_sorted_by_key(|uplink| uplink.time));
        let mut told: Vec<_> = waiting(&rig.store).into_iter().filter(|event| event.starts_with("up ")).collect();
        told.sort();
        let mut expected: Vec<_> = kept.iter().map(|uplink| format!("up {}", uplink.id())).collect();
        expected.sort();
        prop_assert_eq!(told, expected);
        prop_assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
        let commits = rig.store.database().commits();
        for sweep in &sweeps {
            prop_assert_eq!(rig.store.record_sweep(sweep, None).unwrap().new, vec![]);
        }
        prop_assert_eq!(rig.store.database().commits(), commits, "the same once more writes nothing");
    }
}

//! The outbox: order, what is done and what a crash repeats.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Rig, copy_dir, id, location, open, printed, publish_all, source, time, uplink, waiting};
use crate::model::{Event, Fields, Uplink};
use crate::store::{DeviceState, Located, OutboxKey, Store, UplinkQuery};

fn note(ms: i64, kind: &str) -> Event {
    Event::Bridge { time: time(ms), kind: kind.to_owned(), detail: "{}".to_owned() }
}

fn state(message: &Uplink, level: f64) -> DeviceState {
    let mut fields = Fields::new();
    fields.insert("level".to_owned(), level.into());
    DeviceState {
        newest: message.id(),
        time: message.time,
        fields: fields.into(),
        location: message.location,
    }
}

#[test]
fn events_come_out_in_order_of_time_whatever_block_they_lie_in() {
    let rig = Rig::new();
    let sweep: Vec<_> = (0..150).map(|n| uplink("A", n * 2000, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    let late: Vec<_> =
        (0..150).map(|n| uplink("B", n * 2000 + 1000, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&late, None).unwrap();
    rig.store.tell(&note(1500, "between")).unwrap();
    let head = rig.store.outbox_head(&BTreeSet::new(), usize::MAX).unwrap();
    assert_eq!(head.len(), 303);
    assert!(head.is_sorted_by_key(|entry| entry.event.time()));
    assert_eq!(printed(&head[2].event), "between {}");
}

#[test]
fn of_one_moment_the_first_that_came_is_the_first_that_goes() {
    let rig = Rig::new();
    for kind in ["one", "two", "three"] {
        rig.store.tell(&note(0, kind)).unwrap();
    }
    let rig = rig.reopened();
    rig.store.tell(&note(0, "four")).unwrap();
    let mut told = waiting(&rig.store);
    assert_eq!(told.pop().unwrap(), "four {}");
    assert_eq!(told, ["one {}", "two {}", "three {}"]);
}

#[test]
fn what_is_on_its_way_is_not_given_out_again() {
    let rig = Rig::new();
    for n in 0..5 {
        rig.store.tell(&note(n, &format!("n{n}"))).unwrap();
    }
    let first = rig.store.outbox_head(&BTreeSet::new(), 2).unwrap();
    let skip: BTreeSet<OutboxKey> = first.iter().map(|entry| entry.key.clone()).collect();
    let next = rig.store.outbox_head(&skip, 2).unwrap();
    assert_eq!(next.iter().map(|entry| printed(&entry.event)).collect::<Vec<_>>(), ["n2 {}", "n3 {}"]);
    rig.store.outbox_done(&[first[1].key.clone()], Vec::new()).unwrap();
    rig.store.outbox_done(&[first[1].key.clone()], Vec::new()).unwrap();
    assert_eq!(rig.store.outbox_depth().unwrap(), (4, Some(time(0))));
    assert_eq!(waiting(&rig.store), ["n0 {}", "n2 {}", "n3 {}", "n4 {}"]);
}

#[tokio::test]
async fn what_is_done_of_a_block_is_remembered_by_a_flush_with_the_states_that_it_led_to() {
    let rig = Rig::new();
    let sweep: Vec<_> = (0..10).map(|n| uplink("A", n * 1000, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    let head = rig.store.outbox_head(&BTreeSet::new(), 4).unwrap();
    let keys: Vec<_> = head.into_iter().map(|entry| entry.key).collect();
    rig.store.outbox_done(&keys, vec![(id("A"), state(&sweep[3], 1.5))]).unwrap();
    assert_eq!(rig.store.device_state(id("A")).unwrap(), Some(state(&sweep[3], 1.5)));
    rig.store.flush().await.unwrap();
    let rig = rig.reopened();
    assert_eq!(rig.store.outbox_depth().unwrap(), (7, Some(time(4000))));
    assert_eq!(waiting(&rig.store)[0], "up A-1789000004-4");
    assert_eq!(rig.store.device_state(id("A")).unwrap(), Some(state(&sweep[3], 1.5)));
}

#[test]
fn a_crash_repeats_what_was_done_last_and_loses_nothing() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("A", 0, Some(1))], None).unwrap();
    rig.store.database().sync_blocking().unwrap();
    let image = tempfile::tempdir().unwrap();
    copy_dir(rig.dir.path(), image.path());
    let published = publish_all(&rig.store);
    assert_eq!(published, waiting(&open(image.path())));
}

#[test]
fn a_report_too_large_to_be_kept_is_told_by_its_length() {
    let rig = Rig::new();
    let detail = format!("\"{}\"", "x".repeat(60_000));
    rig.store.tell(&Event::Bridge { time: time(0), kind: "big".to_owned(), detail }).unwrap();
    assert_eq!(waiting(&rig.store), [r#"big {"omitted_bytes":60002}"#]);
}

#[test]
fn an_uplink_that_is_gone_from_the_history_does_not_hold_up_the_rest() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("A", 0, Some(1)), uplink("A", 9000, Some(2))], None).unwrap();
    {
        let (_, week) = rig.store.database().weeks().remove(0);
        let tree = &week.loose[&0].tree;
        let (key, _) = tree.first().unwrap().unwrap();
        tree.remove(key).unwrap();
    }
    let rig = rig.reopened();
    let told = publish_all(&rig.store);
    assert_eq!(told[0], "up A-1789000009-2");
    assert_eq!(rig.store.outbox_depth().unwrap(), (0, None));
}

#[test]
fn a_state_that_is_too_large_is_not_kept_and_holds_up_nothing() {
    let rig = Rig::new();
    let message = uplink("A", 0, Some(1));
    rig.store.record_sweep(std::slice::from_ref(&message), None).unwrap();
    let mut large = state(&message, 1.0);
    Arc::make_mut(&mut large.fields).insert("text".to_owned(), "x".repeat(20_000).into());
    let head = rig.store.outbox_head(&BTreeSet::new(), 9).unwrap();
    let keys: Vec<_> = head.into_iter().map(|entry| entry.key).collect();
    rig.store.outbox_done(&keys, vec![(id("A"), large)]).unwrap();
    let rig = rig.reopened();
    assert_eq!(rig.store.device_state(id("A")).unwrap(), None);
    assert_eq!(rig.store.outbox_depth().unwrap(), (0, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sweeps, publishing in windows with acknowledgements out of order, and restarts, in any order.
    #[test]
    fn everything_is_published_and_nothing_twice_without_a_crash(
        steps in prop::collection::vec((0_u8..4, 0_usize..60, any::<prop::sample::Index>()), 1..40),
    ) {
        let mut rig = Rig::new();
        let (mut on_the_way, mut published, mut sent) = (Vec::new(), Vec::new(), 0_u16);
        for (step, size, index) in steps {
            match step {
                0 => {
                    let sweep: Vec<_> = (0..size).map(|n| {
                        sent += 1;
                        uplink("A", i64::from(sent) * 1000 - i64::try_from(n).unwrap() * 50, Some(sent % 4096))
                    }).collect();
                    rig.store.record_sweep(&sweep, Some((&source("factory"), "", time(i64::from(sent))))).unwrap();
                }
                1 => {
                    let skip = on_the_way.iter().map(|(key, _)| OutboxKey::clone(key)).collect();
                    let head = rig.store.outbox_head(&skip, size).unwrap();
                    on_the_way.extend(head.into_iter().map(|entry| (entry.key, printed(&entry.event))));
                }
                2 if !on_the_way.is_empty() => {
                    let (key, event) = on_the_way.remove(index.index(on_the_way.len()));
                    rig.store.outbox_done(&[key], Vec::new()).unwrap();
                    published.push(event);
                }
                2 => {}
                _ => {
                    on_the_way.clear();
                    rig = rig.reopened();
                }
            }
            let waits = rig.store.outbox_depth().unwrap().0;
            let kept = rig.store.uplinks(&UplinkQuery::default()).unwrap().len();
            let added = usize::from(kept > 0);
            prop_assert_eq!(published.len() + usize::try_from(waits).unwrap(), kept + added);
        }
        published.extend(publish_all(&rig.store));
        let all: BTreeSet<_> = published.iter().collect();
        prop_assert_eq!(all.len(), published.len(), "published twice");
        prop_assert_eq!(all.iter().filter(|event| event.starts_with("up ")).count(), usize::from(sent));
    }
}

#[test]
fn an_uplink_is_published_as_it_is_kept_whether_it_was_read_back_or_not() {
    let told = |store: &Store| -> Vec<Uplink> {
        let head = store.outbox_head(&BTreeSet::new(), usize::MAX).unwrap();
        let uplinks = head.into_iter().filter_map(|entry| match entry.event {
            Event::Uplink(uplink) => Some(*uplink),
            _ => None,
        });
        uplinks.collect()
    };
    let message = Uplink { rssi: Some(f32::NAN), snr: Some(12.25), ..uplink("002C", 123, Some(1)) };
    let copy = Uplink { rssi: Some(-130.5), location: Some(location(123, 900.0)), ..message.clone() };
    let located = Located { device: id("2C"), location: location(123, 900.0), uplink: Some(message.id()) };
    for what in ["alone", "with a second copy", "located"] {
        let rig = Rig::new();
        rig.store.record_sweep(std::slice::from_ref(&message), None).unwrap();
        match what {
            "with a second copy" => drop(rig.store.record_sweep(std::slice::from_ref(&copy), None).unwrap()),
            "located" => drop(rig.store.record_locations(std::slice::from_ref(&located)).unwrap()),
            _ => {}
        }
        let first = told(&rig.store);
        assert_eq!(first[0].location.is_some(), what != "alone", "{what}");
        assert_eq!(told(&rig.store), first, "{what}, read once more");
        assert_eq!(rig.store.uplinks(&UplinkQuery::default()).unwrap(), first, "{what}");
        assert_eq!(told(&rig.reopened().store), first, "{what}, by another process");
    }
}

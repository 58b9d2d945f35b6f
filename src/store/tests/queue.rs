//! The downlink queues and what is kept of answers.

use std::collections::BTreeSet;

use super::{Rig, beside, id, options, time, uplink, waiting};
use crate::model::{Downlink, DownlinkPayload, DownlinkState, Event, Evidence, ItemId};
use crate::store::{Change, QueueChange, Store};

pub(super) fn item(name: &str, state: DownlinkState) -> Downlink {
    Downlink {
        id: name.parse().unwrap(),
        device: id("2C"),
        data: Some(DownlinkPayload::new(*b"01234567")),
        awaits_device_ack: false,
        state,
        evidence: Some(Evidence::Network),
        created: time(0),
        updated: time(5),
        expires: time(172_800_000),
        not_before: Some(time(1)),
        coalesce: Some("key".to_owned()),
        via: Some("callback".to_owned()),
        reason: Some("why".to_owned()),
        history: vec![(DownlinkState::Queued, time(0)), (state, time(5))],
        uplink: Some(uplink("2C", 3000, None).id()),
        transaction: Some("t".to_owned()),
    }
}

fn put(items: &[Downlink]) -> QueueChange {
    let events = items.iter().map(|item| Event::Downlink(Box::new(item.clone()))).collect();
    QueueChange { put: items.to_vec(), events, ..QueueChange::default() }
}

fn names(store: &Store) -> Vec<String> {
    store.queue(id("2C")).unwrap().iter().map(|item| format!("{} {}", item.id, item.state)).collect()
}

#[tokio::test]
async fn a_queue_keeps_its_order_over_changes_and_restarts() {
    let rig = Rig::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| item(name, DownlinkState::Queued));
    let all = [a.clone(), b, c.clone()];
    rig.store.change_queue(id("2C"), |queue| (put(&all[..queue.len() + 2]), ())).await.unwrap();
    let armed = item("a", DownlinkState::Armed);
    let seen = rig
        .store
        .change_queue(id("02C"), |queue| {
            (QueueChange { forget: vec!["b".parse().unwrap()], ..put(&[c, armed]) }, queue.len())
        })
        .await
        .unwrap();
    assert_eq!(seen, 2);
    let rig = rig.reopened();
    assert_eq!(names(&rig.store), ["a armed", "c queued"]);
    assert_eq!(rig.store.queue(id("2C")).unwrap()[1], item("c", DownlinkState::Queued));
    assert_eq!(rig.store.queued_devices().unwrap(), [id("2C")]);
    assert_eq!(
        waiting(&rig.store),
        ["downlink a queued", "downlink b queued", "downlink c queued", "downlink a armed"]
    );
}

#[tokio::test]
async fn an_answer_is_kept_with_what_it_changed() {
    let rig = Rig::new();
    let (first, second) = (uplink("2C", 0, Some(1)).id(), uplink("2C", 1000, Some(2)).id());
    let answer = |uplink, item: Option<ItemId>| QueueChange {
        answered: Some((uplink, item)),
        ..QueueChange::default()
    };
    assert_eq!(rig.store.answer(&first).unwrap(), None);
    rig.store.change_queue(id("2C"), |_| (answer(first, None), ())).await.unwrap();
    rig.store.change_queue(id("2C"), |_| (answer(second, Some("a".parse().unwrap())), ())).await.unwrap();
    let rig = rig.reopened();
    assert_eq!(rig.store.answer(&first).unwrap(), Some(None));
    assert_eq!(rig.store.answer(&second).unwrap(), Some(Some("a".parse().unwrap())));
    let day = 24 * 3_600_000;
    for (days, known) in [(7, true), (9, false)] {
        let later = uplink("2C", days * day, Some(3)).id();
        rig.store.change_queue(id("2C"), |_| (answer(later, None), ())).await.unwrap();
        assert_eq!(rig.store.answer(&first).unwrap().is_some(), known, "after {days} days");
    }
}

#[tokio::test]
async fn a_change_that_says_nothing_writes_nothing() {
    let rig = Rig::new();
    let commits = rig.store.database().commits();
    rig.store.change_queue(id("2C"), |_| (QueueChange::default(), ())).await.unwrap();
    assert_eq!((rig.store.database().commits(), rig.store.take_changes()), (commits, BTreeSet::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_change_a_queue_at_once_each_sees_what_the_one_before_did() {
    let dir = tempfile::tempdir().unwrap();
    let (store, syncer) = Store::open(options(dir.path())).unwrap();
    let changed = store.clone();
    let seen = beside(syncer, async move {
        let mut changes = tokio::task::JoinSet::new();
        for n in 0..40 {
            let store = changed.clone();
            changes.spawn(async move {
                let decide =
                    |queue: &[Downlink]| (put(&[item(&format!("n{n}"), DownlinkState::Queued)]), queue.len());
                store.change_queue(id("2C"), decide).await.unwrap()
            });
        }
        changes.join_all().await
    })
    .await;
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..40).collect());
    assert_eq!(store.queue(id("2C")).unwrap().len(), 40);
    assert_eq!(store.take_changes(), [Change::Queue(id("2C")), Change::Outbox].into());
}

//! Devices that ask at once.

use super::queue::item;
use super::{Rig, id, uplink, waiting};
use crate::model::{Downlink, DownlinkState, Uplink};
use crate::store::{Answer, Ask, QueueChange};

/// Arms an item of the ask's own name, or says how the ask was answered before.
fn arm(uplink: &Uplink, before: Answer, queue: &[Downlink]) -> (QueueChange, (Answer, usize)) {
    if before.is_some() {
        return (QueueChange::default(), (before, queue.len()));
    }
    let name = format!("for-{}", uplink.seq.unwrap());
    let armed = Downlink { device: uplink.device, ..item(&name, DownlinkState::Armed) };
    let change = QueueChange {
        events: vec![crate::model::Event::Downlink(Box::new(armed.clone()))],
        answered: Some((uplink.id(), Some(armed.id.clone()))),
        put: vec![armed],
        ..QueueChange::default()
    };
    (change, (None, queue.len()))
}

fn asked(rig: &Rig, uplinks: &[Uplink]) -> Vec<(Answer, usize)> {
    let asks = uplinks.iter().map(|uplink| Ask {
        uplink,
        decide: move |before: Answer, queue: &[Downlink]| arm(uplink, before, queue),
    });
    rig.store.record_asks(asks.collect()).into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_hundred_devices_that_ask_at_once_cost_a_few_commits() {
    let rig = Rig::new();
    let uplinks: Vec<_> = (0..100_u16).map(|n| uplink(&format!("{:X}", 0x100 + n), 1000, Some(n))).collect();
    let before = rig.store.database().commits();
    assert!(asked(&rig, &uplinks).iter().all(|outcome| *outcome == (None, 0)));
    let commits = rig.store.database().commits() - before;
    assert!(commits <= 10, "{commits} commits");
    // Its uplink, its new device and its item, each.
    assert_eq!(waiting(&rig.store).len(), 300);
    rig.store.durable().await.unwrap();
    let rig = rig.reopened();
    for uplink in &uplinks {
        let item = format!("for-{}", uplink.seq.unwrap()).parse().unwrap();
        assert_eq!(rig.store.answer(&uplink.id()).unwrap(), Some(Some(item)));
        assert_eq!(rig.store.queue(uplink.device).unwrap().len(), 1);
    }
}

#[tokio::test]
async fn of_asks_that_come_at_once_each_sees_what_the_one_before_did() {
    let rig = Rig::new();
    let (one, two) = (uplink("2C", 0, Some(1)), uplink("2C", 600_000, Some(2)));
    let other = uplink("2D", 0, Some(1));
    let outcomes = asked(&rig, &[one.clone(), other, two, one.clone()]);
    let first = Some(Some("for-1".parse().unwrap()));
    assert_eq!(outcomes, [(None, 0), (None, 0), (None, 1), (first, 2)]);
    assert_eq!(rig.store.queue(id("2C")).unwrap().len(), 2);
}

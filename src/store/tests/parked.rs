//! What the broker refuses, kept aside.

use std::collections::BTreeSet;

use super::{Rig, id, location, printed, publish_all, time, uplink, waiting};
use crate::model::Event;
use crate::store::Store;

fn parked(store: &Store) -> Vec<(u64, String, String)> {
    let parked = store.parked().unwrap().into_iter();
    parked.map(|parked| (parked.number, printed(&parked.event), parked.reason)).collect()
}

fn located(ms: i64) -> Event {
    Event::Location { device: id("A"), location: location(ms, 100.0), uplink: None }
}

#[tokio::test]
async fn a_parked_event_is_listed_retried_or_dropped_over_a_restart() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("A", 0, Some(1)), uplink("A", 1000, Some(2))], None).unwrap();
    let events: Vec<Event> =
        rig.store.outbox_head(&BTreeSet::new(), 9).unwrap().into_iter().map(|entry| entry.event).collect();
    publish_all(&rig.store);
    let uplinks: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Uplink(_))).collect();
    for (event, reason) in
        [(uplinks[0], "why"), (&located(5), "large"), (uplinks[1], "no"), (uplinks[0], "still")]
    {
        rig.store.park(event, "t", reason, time(9)).unwrap();
    }
    let rig = rig.reopened();
    let rows = |rows: &[(u64, &str, &str)]| -> Vec<(u64, String, String)> {
        rows.iter().map(|(n, event, reason)| (*n, (*event).to_owned(), (*reason).to_owned())).collect()
    };
    let all = rows(&[
        (1, "up A-1789000000-1", "still"),
        (2, "location A", "large"),
        (3, "up A-1789000001-2", "no"),
    ]);
    assert_eq!(parked(&rig.store), all, "parked twice is parked once, for the newer reason");
    assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
    assert_eq!(rig.store.stats().unwrap().parked, 3);
    assert_eq!(rig.store.retry_parked(Some(9)).await.unwrap(), 0);
    assert_eq!(rig.store.retry_parked(Some(1)).await.unwrap(), 1);
    assert_eq!(waiting(&rig.store), ["up A-1789000000-1"]);
    assert_eq!(rig.store.drop_parked(Some(2)).await.unwrap(), 1);
    assert_eq!(parked(&rig.store), all[2..]);
    assert_eq!(rig.store.retry_parked(None).await.unwrap(), 1);
    let rig = rig.reopened();
    assert_eq!(waiting(&rig.store), ["up A-1789000000-1", "up A-1789000001-2"]);
    assert_eq!(parked(&rig.store), []);
}

#[tokio::test]
async fn a_tenant_that_has_had_an_event_is_not_given_it_again() {
    let rig = Rig::new();
    let tenant = rig.store.tenant("studio").unwrap();
    rig.store.park(&located(0), "t", "no", time(0)).unwrap();
    assert_eq!(rig.store.retry_parked(None).await.unwrap(), 1);
    assert_eq!(waiting(&rig.store), ["location A"]);
    assert_eq!(tenant.head(&BTreeSet::new(), 9).unwrap(), []);
}

#[test]
fn a_broker_that_refuses_everything_does_not_fill_the_disk() {
    let rig = Rig::new();
    for n in 0..1_003 {
        rig.store.park(&located(n), "t", "no", time(n)).unwrap();
    }
    let parked = parked(&rig.store);
    assert_eq!((parked.len(), parked[0].0), (1_000, 4));
}

#[tokio::test]
async fn an_uplink_that_is_gone_from_the_history_is_parked_no_more() {
    let rig = Rig::new();
    rig.store.park(&Event::Uplink(Box::new(uplink("A", 0, Some(1)))), "t", "no", time(0)).unwrap();
    assert_eq!(parked(&rig.store), []);
    assert_eq!(rig.store.retry_parked(None).await.unwrap(), 0);
    assert_eq!(rig.store.stats().unwrap().parked, 0);
}

//! Tenants: each gets everything about devices once, whatever the broker and the others do.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Rig, copy_dir, location, open, printed, publish_all, time, uplink, waiting};
use crate::model::Event;
use crate::store::{Located, OutboxKey, Store, Tenant, Upkeep, UplinkQuery};

const DAY_MS: i64 = 24 * 3_600_000;

fn all(tenant: &Tenant) -> Vec<String> {
    let head = tenant.head(&BTreeSet::new(), usize::MAX).unwrap();
    head.into_iter().map(|entry| printed(&entry.event)).collect()
}

/// Takes so many events.
fn take(tenant: &Tenant, many: usize) -> Vec<String> {
    let head = tenant.head(&BTreeSet::new(), many).unwrap();
    let keys: Vec<_> = head.iter().map(|entry| entry.key.clone()).collect();
    tenant.done(&keys).unwrap();
    head.iter().map(|entry| printed(&entry.event)).collect()
}

fn bridge_event(ms: i64) -> Event {
    Event::Bridge { time: time(ms), kind: "note".to_owned(), detail: "{}".to_owned() }
}

#[test]
fn a_tenant_gets_what_is_about_devices_from_when_it_was_named() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("A", 0, Some(1))], None).unwrap();
    let studio = rig.store.tenant("mirror/studio").unwrap();
    assert_eq!(studio.depth().unwrap(), (0, None));
    rig.store.record_sweep(&[uplink("A", 2000, Some(2)), uplink("B", 1000, Some(3))], None).unwrap();
    rig.store.tell(&bridge_event(3000)).unwrap();
    let located = Located { device: "A".parse().unwrap(), location: location(5000, 9.0), uplink: None };
    rig.store.record_locations(&[located]).unwrap();
    let expected = ["up B-1789000001-3", "up A-1789000002-2", "location A"];
    assert_eq!(all(&studio), expected);
    assert_eq!(studio.depth().unwrap(), (3, Some(time(1000))));
    drop(studio);
    let rig = rig.reopened();
    assert_eq!(all(&rig.store.tenant("mirror/studio").unwrap()), expected);
}

#[test]
fn nobody_waits_for_a_tenant_and_a_tenant_for_nobody() {
    let rig = Rig::new();
    let (slow, fast) = (rig.store.tenant("slow").unwrap(), rig.store.tenant("fast").unwrap());
    let sweep: Vec<_> = (0..250).map(|n| uplink("A", n * 1000, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    assert_eq!(take(&fast, 200).len(), 200);
    assert_eq!(publish_all(&rig.store).len(), 251);
    assert_eq!(slow.depth().unwrap(), (250, Some(time(0))));
    assert_eq!(take(&fast, 200).len(), 50);
    drop((slow, fast));
    let rig = rig.reopened();
    let depth = |name| rig.store.tenant(name).unwrap().depth().unwrap().0;
    assert_eq!((depth("slow"), depth("fast"), waiting(&rig.store).len()), (250, 0, 0));
}

#[test]
fn a_tenant_that_is_no_longer_configured_is_forgotten_with_all_that_waits() {
    let rig = Rig::new();
    for name in ["gone", "kept"] {
        rig.store.tenant(name).unwrap();
    }
    rig.store.record_sweep(&[uplink("A", 0, Some(1))], None).unwrap();
    assert_eq!(rig.store.retain_tenants(&["kept"]).unwrap(), ["gone"]);
    let rig = rig.reopened();
    assert_eq!(rig.store.retain_tenants(&["kept"]).unwrap(), Vec::<String>::new());
    assert_eq!(all(&rig.store.tenant("kept").unwrap()), ["up A-1789000000-1"]);
    assert_eq!(all(&rig.store.tenant("gone").unwrap()), Vec::<String>::new(), "begins anew");
    assert!(rig.store.tenant(&"x".repeat(65)).is_err());
}

#[test]
fn where_there_is_no_tenant_nothing_more_is_written() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("A", 0, Some(1))], None).unwrap();
    let waiting = rig.store.database().table(crate::store::Table::Waiting).unwrap().clone();
    assert!(waiting.is_empty());
}

#[test]
fn what_a_tenant_has_not_taken_goes_with_its_week_and_is_told() {
    let rig = Rig::new();
    let tenant = rig.store.tenant("mirror/studio").unwrap();
    let sweep: Vec<_> = (0..70).map(|n| uplink("A", n * DAY_MS, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    take(&tenant, 3);
    publish_all(&rig.store);
    let keep = Duration::from_secs(30 * 24 * 3600);
    rig.store.retain(&Upkeep { keep, max_size: u64::MAX, clock: || time(70 * DAY_MS) }).unwrap();
    let kept = rig.store.uplinks(&UplinkQuery::default()).unwrap();
    assert!(kept.len() < 40, "{}", kept.len());
    let expected: Vec<_> = kept.iter().map(|uplink| format!("up {}", uplink.id())).collect();
    assert_eq!(all(&tenant), expected);
    let gaps: Vec<serde_json::Value> = waiting(&rig.store)
        .iter()
        .map(|told| serde_json::from_str(told.strip_prefix("gap ").unwrap()).unwrap())
        .collect();
    assert!(gaps.iter().all(|gap| gap["tenant"] == "mirror/studio"), "{gaps:?}");
    let given_up: u64 = gaps.iter().filter_map(|gap| gap["events"].as_u64()).sum();
    assert_eq!(given_up, 67 - u64::try_from(kept.len()).unwrap());
    drop(tenant);
    let rig = rig.reopened();
    assert_eq!(all(&rig.store.tenant("mirror/studio").unwrap()), expected);
    assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_tenant_goes_with_a_copy_and_with_a_backup() {
    let rig = Rig::new();
    let tenant = rig.store.tenant("mirror/studio").unwrap();
    let sweep: Vec<_> = (0..150).map(|n| uplink("A", n * 1000, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&sweep, None).unwrap();
    take(&tenant, 20);
    let expected = all(&tenant);
    rig.store.compact().unwrap();
    assert_eq!(all(&tenant), expected);
    let file = rig.dir.path().join("backup");
    rig.store.settle_now(true).unwrap();
    rig.store.backup(&file).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    Store::restore(elsewhere.path(), &file).unwrap();
    assert_eq!(all(&open(elsewhere.path()).tenant("mirror/studio").unwrap()), expected);
}

#[tokio::test]
async fn who_waits_for_something_new_is_woken() {
    let rig = Rig::new();
    let tenant = rig.store.tenant("mirror/studio").unwrap();
    let arrived = tenant.arrived();
    let woken = arrived.notified();
    rig.store.record_sweep(&[uplink("A", 0, Some(1))], None).unwrap();
    woken.await;
    assert_eq!(tenant.depth().unwrap().0, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sweeps, taking, publishing, restarts and crashes in any order: each tenant gets everything, in order, and
    /// repeats only after a crash.
    #[test]
    fn a_tenant_gets_everything_and_repeats_only_after_a_crash(
        steps in prop::collection::vec((0_u8..6, 1_usize..60), 1..40),
    ) {
        let mut rig = Rig::new();
        let (mut sent, mut crashed) = (0_u16, false);
        let mut taken = [Vec::new(), Vec::new()];
        let tenants = |rig: &Rig| [rig.store.tenant("one").unwrap(), rig.store.tenant("two").unwrap()];
        tenants(&rig);
        let mut image = tempfile::tempdir().unwrap();
        for (step, size) in steps {
            match step {
                0 => {
                    let sweep: Vec<_> = (0..size).map(|_| {
                        sent += 1;
                        uplink("A", i64::from(sent) * 1000, Some(sent % 4096))
                    }).collect();
                    rig.store.record_sweep(&sweep, None).unwrap();
                    rig.store.database().sync_blocking().unwrap();
                    image = tempfile::tempdir().unwrap();
                    copy_dir(rig.dir.path(), image.path());
                }
                1 => taken[0].extend(take(&tenants(&rig)[0], size)),
                2 => taken[1].extend(take(&tenants(&rig)[1], size)),
                3 => drop(publish_all(&rig.store)),
                4 => rig = rig.reopened(),
                _ if sent > 0 => {
                    let crashed_at = tempfile::tempdir().unwrap();
                    copy_dir(image.path(), crashed_at.path());
                    rig = Rig { store: open(crashed_at.path()), dir: crashed_at };
                    crashed = true;
                }
                _ => {}
            }
        }
        for (tenant, mut taken) in tenants(&rig).iter().zip(taken) {
            let skip: BTreeSet<OutboxKey> = BTreeSet::new();
            prop_assert!(tenant.head(&skip, usize::MAX).unwrap().is_sorted_by_key(|entry| entry.event.time()));
            taken.extend(take(tenant, usize::MAX));
            let once: BTreeSet<_> = taken.iter().collect();
            prop_assert_eq!(once.len(), usize::from(sent));
            prop_assert!(crashed || taken.len() == once.len(), "taken twice");
            prop_assert_eq!(tenant.depth().unwrap(), (0, None));
        }
    }
}

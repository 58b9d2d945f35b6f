//! The registry and what an inventory changes.

use std::collections::BTreeMap;

use super::{Rig, id, location, publish_all, source, time, uplink, waiting};
use crate::model::{CloudState, DeviceType, DownlinkMode, InventoryDevice, PayloadKind};
use crate::store::{Change, InventoryChange, Store};

fn listed(device: &str, name: &str) -> InventoryDevice {
    InventoryDevice {
        id: id(device),
        name: Some(name.to_owned()),
        device_type: Some("t1".to_owned()),
        tags: BTreeMap::from([("site".to_owned(), "north".to_owned())]),
        state: Some(CloudState::Ok),
        last_seen: Some(time(0)),
        location: None,
    }
}

fn kind(grammar: &str) -> DeviceType {
    DeviceType {
        id: "t1".to_owned(),
        name: Some("Tank".to_owned()),
        payload: PayloadKind::Grammar(grammar.to_owned()),
        keep_alive_s: Some(7200),
        downlink: Some(DownlinkMode::Callback),
    }
}

#[test]
fn an_inventory_is_told_by_what_it_changes() {
    let rig = Rig::new();
    let (source, types) = (source("factory"), [kind("level::uint:16")]);
    let inventory = |types: &[DeviceType], devices: &[InventoryDevice]| {
        let change = rig.store.record_inventory(&source, types, devices, time(0)).unwrap();
        (change, rig.store.take_changes(), publish_all(&rig.store))
    };
    let (a, b) = (listed("00A", "one"), listed("B", "two"));
    let (change, changes, told) = inventory(&types, &[a.clone(), b.clone()]);
    assert_eq!(change, InventoryChange { added: vec![id("A"), id("B")], ..InventoryChange::default() });
    assert_eq!(changes, [Change::Device(id("A")), Change::Device(id("B")), Change::Outbox].into());
    assert_eq!(told[0], r#"device_added {"device":"00A","source":"factory"}"#);

    let commits = rig.store.database().commits();
    let (change, changes, told) = inventory(&types, &[a.clone(), b.clone()]);
    assert_eq!(
        (change, changes, told),
        (InventoryChange::default(), [].into(), vec![]),
        "the same once more"
    );
    assert_eq!(rig.store.database().commits(), commits);

    let renamed = listed("A", "uno");
    let (change, _, told) = inventory(&types, &[renamed.clone(), b.clone()]);
    assert_eq!((change.changed, told), (vec![id("A")], vec![]));

    let (change, changes, _) = inventory(&[kind("level::uint:8")], &[renamed.clone(), b.clone()]);
    assert_eq!(change, InventoryChange::default());
    assert_eq!(changes, [Change::Device(id("A")), Change::Device(id("B"))].into(), "their type has changed");

    let (change, _, told) = inventory(&types, &[renamed]);
    assert_eq!(change.gone, [id("B")]);
    assert_eq!(told, [r#"device_removed {"device":"B","source":"factory"}"#]);
    let (change, _, told) = inventory(&types, &[listed("A", "uno"), b]);
    assert_eq!((change.changed, told.len()), (vec![id("B")], 1), "back again");

    let rig = rig.reopened();
    let device = rig.store.device(id("A")).unwrap().unwrap();
    assert_eq!((device.id.to_string().as_str(), device.name.as_deref()), ("00A", Some("uno")));
    assert_eq!(device.tags["site"], "north");
    assert_eq!(rig.store.device_types(&source).unwrap(), types);
    assert_eq!(rig.store.device_type(&source, "t1").unwrap(), Some(types[0].clone()));
    assert_eq!(rig.store.device_type(&source, "t2").unwrap(), None);
}

#[test]
fn an_inventory_says_how_an_id_is_printed() {
    let rig = Rig::new();
    rig.store.record_sweep(&[uplink("2C", 0, Some(1))], None).unwrap();
    rig.store.record_inventory(&source("factory"), &[], &[listed("002C", "")], time(0)).unwrap();
    rig.store.record_inventory(&source("factory"), &[], &[listed("00002C", "")], time(0)).unwrap();
    rig.store.record_sweep(&[uplink("2C", 1000, Some(2))], None).unwrap();
    let rig = rig.reopened();
    let told = waiting(&rig.store);
    assert!(told.contains(&"up 002C-1789000000-1".to_owned()), "{told:?}");
    assert!(told.contains(&"up 002C-1789000001-2".to_owned()), "{told:?}");
}

#[test]
fn of_two_sources_that_list_a_device_the_first_describes_it_for_as_long_as_it_does() {
    let rig = Rig::new();
    let name = || rig.store.device(id("A")).unwrap().unwrap().name.unwrap();
    let inventory = |of: &str, devices: &[InventoryDevice]| {
        rig.store.record_inventory(&source(of), &[], devices, time(0)).unwrap()
    };
    inventory("one", &[listed("A", "by one")]);
    assert_eq!(inventory("two", &[listed("A", "by two")]), InventoryChange::default());
    assert_eq!(inventory("two", &[]), InventoryChange::default());
    assert_eq!(name(), "by one");
    assert_eq!(inventory("one", &[]).gone, [id("A")]);
    inventory("two", &[listed("A", "by two")]);
    assert_eq!(name(), "by two");
}

#[tokio::test]
async fn a_forgotten_device_stays_away_until_it_sends_again() {
    let inventory = |store: &Store, seen| {
        let device = InventoryDevice { last_seen: seen, ..listed("A", "one") };
        store.record_inventory(&source("factory"), &[], &[device], time(0)).unwrap().added
    };
    for (seen, later) in [(None, time(1_000)), (Some(time(5_500)), time(6_000))] {
        let rig = Rig::new();
        inventory(&rig.store, seen);
        assert!(rig.store.forget_device(id("A")).await.unwrap());
        assert_eq!(inventory(&rig.store, seen), [], "its cloud still lists it, last seen {seen:?}");
        let rig = rig.reopened();
        assert_eq!(inventory(&rig.store, seen), [], "after a restart, last seen {seen:?}");
        assert_eq!(inventory(&rig.store, Some(later)), [id("A")]);
    }
}

#[test]
fn a_place_is_told_when_it_changes() {
    let rig = Rig::new();
    let at = |accuracy| InventoryDevice { location: Some(location(0, accuracy)), ..listed("A", "one") };
    let told = |device| {
        rig.store.record_inventory(&source("factory"), &[], &[device], time(5)).unwrap();
        publish_all(&rig.store).iter().filter(|event| *event == "location A").count()
    };
    assert_eq!(
        [told(at(9.0)), told(at(9.0)), told(listed("A", "one")), told(at(9.0)), told(at(8.0))],
        [1, 0, 0, 0, 1]
    );
}

#[test]
fn what_a_cloud_says_has_a_bound() {
    let rig = Rig::new();
    let tags = (0..500).map(|n| (format!("{n}{}", "k".repeat(500)), "v".repeat(500))).collect();
    let device = InventoryDevice { name: Some("ä".repeat(50_000)), tags, ..listed("A", "") };
    rig.store.record_inventory(&source("factory"), &[kind(&"x".repeat(50_000))], &[device], time(0)).unwrap();
    let rig = rig.reopened();
    let known = rig.store.device(id("A")).unwrap().unwrap();
    assert_eq!(known.name.unwrap().chars().count(), 250);
    assert!(known.tags.len() < 20);
    let kind = rig.store.device_type(&source("factory"), "t1").unwrap().unwrap();
    assert_eq!(kind.payload, PayloadKind::Raw);
}

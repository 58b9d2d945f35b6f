//! Packing that ends at any of its steps: all is there, and the next attempt comes to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::packing::{HOUR_MS, five_weeks, history, kept, pack};
use super::{OnStep, copy_dir, id, location, open, publish_all, uplink};
use crate::model::{LinkQuality, Uplink};
use crate::store::{Located, UplinkQuery};

/// So many pieces are looked at.
const PIECES: usize = 6;

#[test]
fn packing_that_ends_at_any_step_loses_nothing_and_is_taken_up_again() {
    let rig = five_weeks();
    publish_all(&rig.store);
    rig.store.database().sync_blocking().unwrap();
    // What is on the disk after each step, whether or not it was durable by then.
    let images: Arc<Mutex<Vec<(String, tempfile::TempDir)>>> = Arc::default();
    let (from, kept_images) = (rig.dir.path().to_owned(), Arc::clone(&images));
    let mut steps = BTreeMap::new();
    *rig.store.inner.on_step.lock().unwrap() = Some(OnStep(Box::new(move |name| {
        let times = steps.entry(name).or_insert(0);
        *times += 1;
        if *times <= PIECES {
            let image = tempfile::tempdir().unwrap();
            copy_dir(&from, image.path());
            kept_images.lock().unwrap().push((format!("{name} {times}"), image));
        }
    })));
    let before = kept(&rig.store);
    // A week that was packed before, with a record that has changed since, and late ones.
    let first = rig.store.database().weeks()[0].0;
    let stop = CancellationToken::new();
    assert!(rig.store.pack_week(first, &stop).unwrap());
    let better = Uplink { link_quality: Some(LinkQuality::Good), ..before[7].clone() };
    let late: Vec<_> = (0..50_u16).map(|n| uplink("A", i64::from(n) * HOUR_MS + 7, Some(n + 4000))).collect();
    images.lock().unwrap().retain(|(name, image)| {
        let there = kept(&open(image.path()));
        assert_eq!(there, before, "after {name}");
        false
    });
    rig.store.record_sweep(&[late, vec![better]].concat(), None).unwrap();
    rig.store.database().sync_blocking().unwrap();
    let after = kept(&rig.store);
    assert_eq!(after.len(), before.len() + 50);
    assert!(rig.store.pack_week(first, &stop).unwrap());
    assert!(pack(&rig.store) >= 3);
    *rig.store.inner.on_step.lock().unwrap() = None;
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > 12, "{}", images.len());
    for (name, image) in images {
        let store = open(image.path());
        assert_eq!(kept(&store), after, "after {name}");
        store.pack_week(first, &stop).unwrap();
        pack(&store);
        assert_eq!(kept(&store), after, "after {name}, packed to the end");
        assert_eq!(store.verify().unwrap().faults, Vec::<String>::new(), "after {name}");
    }
}

#[test]
fn an_older_tree_that_is_still_read_never_outlives_what_is_newer() {
    let rig = five_weeks();
    publish_all(&rig.store);
    let first = rig.store.database().weeks()[0].0;
    let stop = CancellationToken::new();
    let mut reading = rig.store.history(&UplinkQuery::default());
    let uplink = reading.next().unwrap().unwrap();
    assert!(rig.store.pack_week(first, &stop).unwrap(), "it is packed, and dropped later");
    let better = Uplink { link_quality: Some(LinkQuality::Good), ..uplink.clone() };
    rig.store.record_sweep(std::slice::from_ref(&better), None).unwrap();
    assert!(!rig.store.pack_week(first, &stop).unwrap(), "not before the older tree is gone");
    rig.store.database().sync_blocking().unwrap();
    // The end of the process while the reader still reads: the older tree is found again.
    let image = tempfile::tempdir().unwrap();
    copy_dir(rig.dir.path(), image.path());
    let store = open(image.path());
    assert_eq!(store.uplink(&uplink.id()).unwrap(), Some(better.clone()));
    assert!(store.pack_week(first, &stop).unwrap());
    assert_eq!(store.uplink(&uplink.id()).unwrap(), Some(better.clone()));
    assert_eq!(kept(&store).len(), history(5).len());
    // Without one.
    drop(reading);
    pack(&rig.store);
    assert!(rig.store.pack_week(first, &stop).unwrap());
    assert_eq!(rig.store.uplink(&uplink.id()).unwrap(), Some(better));
    assert_eq!(rig.store.database().weeks()[0].1.loose.len(), 0);
}

#[test]
fn uplinks_and_locations_that_come_while_a_week_is_packed_are_kept() {
    let rig = five_weeks();
    publish_all(&rig.store);
    let before = kept(&rig.store);
    let (store, target) = (rig.store.clone(), before[12].clone());
    let mut steps = 0_u16;
    *rig.store.inner.on_step.lock().unwrap() = Some(OnStep(Box::new(move |name| {
        steps += 1;
        let mut better = target.clone();
        better.link_quality = Some(LinkQuality::Good);
        let late = uplink("A", i64::from(steps) * 1000 + 11, Some(4000));
        store.record_sweep(&[late, better], None).unwrap();
        let accuracy = 1000.0 - f64::from(steps);
        let told = Located { device: id("B"), location: location(HOUR_MS + 61_000, accuracy), uplink: None };
        assert_eq!(store.record_locations(&[told]).unwrap(), 1, "{name}");
    })));
    let first = rig.store.database().weeks()[0].0;
    let stop = CancellationToken::new();
    assert!(rig.store.pack_week(first, &stop).unwrap());
    *rig.store.inner.on_step.lock().unwrap() = None;
    let told = publish_all(&rig.store);
    let late = told.iter().filter(|event| event.starts_with("up ")).count();
    assert!(late > 7, "{late} steps");
    for packed in [false, true] {
        if packed {
            assert!(rig.store.pack_week(first, &stop).unwrap());
        }
        let after = kept(&rig.store);
        assert_eq!(after.len(), before.len() + late);
        let target = rig.store.uplink(&before[12].id()).unwrap().unwrap();
        assert_eq!(target.link_quality, Some(LinkQuality::Good));
        let located = after
            .iter()
            .find(|uplink| uplink.device == id("B") && uplink.time == location(HOUR_MS + 61_000, 0.0).time);
        let accuracy = located.and_then(|uplink| uplink.location).and_then(|location| location.accuracy_m);
        assert_eq!(accuracy, Some(1000.0 - f64::from(u16::try_from(late).unwrap())));
    }
}

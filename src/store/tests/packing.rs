//! History that is over lies packed, and nobody who reads can tell.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Rig, id, location, open, publish_all, time, uplink};
use crate::model::{LinkQuality, Timestamp, Uplink};
use crate::store::packing::QUIET;
use crate::store::{Located, Store, StoreError, Upkeep, UplinkQuery};

pub(super) const HOUR_MS: i64 = 3_600_000;
const DEVICES: [&str; 5] = ["A", "B", "00C", "D1", "E"];
const WEEKS: i64 = 5;

/// Each device every hour, with a location here and there.
pub(super) fn history(weeks: i64) -> Vec<Uplink> {
    let mut uplinks = Vec::new();
    for hour in 0..weeks * 7 * 24 {
        for (device, name) in (0..).zip(DEVICES) {
            let ms = hour * HOUR_MS + device * 61_000;
            let seq = (device != 2).then(|| u16::try_from(hour % 4096).unwrap());
            let located = hour % 50 == device;
            uplinks.push(Uplink {
                payload: format!("{hour:08x}{device:02x}").parse().unwrap(),
                location: located.then(|| location(ms, 4000.0)),
                rssi: Some(-118.0),
                ..uplink(name, ms, seq)
            });
        }
    }
    uplinks
}

pub(super) fn five_weeks() -> Rig {
    let rig = Rig::new();
    rig.store.record_sweep(&history(WEEKS), None).unwrap();
    let apart = Located { device: id("B"), location: location(90_500, 20.0), uplink: None };
    assert_eq!(rig.store.record_locations(&[apart]).unwrap(), 1);
    rig
}

pub(super) fn pack(store: &Store) -> usize {
    store.pack_quiet(Duration::ZERO, &CancellationToken::new()).unwrap()
}

pub(super) fn kept(store: &Store) -> Vec<Uplink> {
    store.uplinks(&UplinkQuery::default()).unwrap()
}

/// How many trees lie loose, and how many packs there are.
fn lying(store: &Store) -> (usize, usize) {
    let weeks = store.database().weeks();
    let packs = weeks.iter().filter_map(|(_, bucket)| bucket.packed.as_ref());
    (
        weeks.iter().map(|(_, bucket)| bucket.loose.len()).sum(),
        packs.map(|packs| packs.named.tree.len()).sum(),
    )
}

/// Everything that readers can see.
fn seen(store: &Store) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut readings = Vec::new();
    for device in [None, Some(id("A")), Some(id("C")), Some(id("77"))] {
        for (from, to) in
            [(None, None), (Some(3), Some(400)), (Some(167), Some(169)), (Some(200), None), (None, Some(0))]
        {
            let bound = |hour: i64| time(hour * HOUR_MS + 61_000);
            for (newest_first, limit) in [(false, None), (true, None), (false, Some(7)), (true, Some(333))] {
                let (from, to) = (from.map(bound), to.map(bound));
                let query = UplinkQuery { device, from, to, limit, newest_first };
                let located: Vec<_> = store.locations(&query).map(Result::unwrap).collect();
                readings.push((store.uplinks(&query).unwrap(), located));
            }
        }
    }
    let by_id: Vec<_> = kept(store).iter().map(|uplink| store.uplink(&uplink.id()).unwrap()).collect();
    let stats = store.stats().unwrap();
    let verified = store.verify().unwrap();
    assert_eq!(verified.faults, Vec::<String>::new());
    let waiting = super::waiting(store);
    (readings, by_id, (stats.uplinks, stats.oldest, stats.newest, stats.weeks), verified.records, waiting)
}

#[test]
fn packed_history_is_read_as_loose_history_is() {
    let rig = five_weeks();
    let before = seen(&rig.store);
    assert!(lying(&rig.store).0 >= 5);
    assert!(pack(&rig.store) >= 4);
    let (loose, packs) = lying(&rig.store);
    assert!(loose <= 2 && (20..60).contains(&packs), "{loose} trees, {packs} packs");
    assert_eq!(seen(&rig.store), before);
    assert_eq!(pack(&rig.store), 0, "what is packed stays as it is");
    let rig = rig.reopened();
    assert_eq!(seen(&rig.store), before);
    let newest = rig.store.device(id("E")).unwrap().unwrap().last_seen;
    assert_eq!(
        newest.map(Timestamp::as_seconds),
        kept(&rig.store).last().map(|uplink| uplink.time.as_seconds())
    );
}

#[test]
fn a_device_that_fell_silent_was_last_seen_in_a_pack() {
    let rig = Rig::new();
    let sweep = history(WEEKS);
    let silent: Vec<_> = (0..600).map(|n| uplink("F", n * 60_000, Some(u16::try_from(n).unwrap()))).collect();
    rig.store.record_sweep(&[silent.clone(), sweep].concat(), None).unwrap();
    assert!(pack(&rig.store) >= 4);
    let rig = rig.reopened();
    assert_eq!(rig.store.device(id("F")).unwrap().unwrap().last_seen, Some(silent[599].time));
}

#[test]
fn a_week_is_packed_when_it_is_over_quiet_and_worth_it() {
    let rig = five_weeks();
    let stop = CancellationToken::new();
    assert_eq!(rig.store.pack_quiet(QUIET, &stop).unwrap(), 0, "it was written a moment ago");
    assert!(pack(&rig.store) >= 4);
    let before = lying(&rig.store);
    let newest = rig.store.database().weeks().into_iter().next_back().unwrap().1;
    assert!(newest.packed.is_none(), "the newest week is not over");
    // A few late ones stay as they are.
    rig.store.record_sweep(&[uplink("A", 5, Some(4000)), uplink("B", 6, Some(4000))], None).unwrap();
    assert_eq!(pack(&rig.store), 0);
    assert_eq!(lying(&rig.store), (before.0 + 1, before.1));
    let stopped = CancellationToken::new();
    stopped.cancel();
    let late: Vec<_> = (0..600).map(|n| uplink("A", n * 1000 + 500, Some(3000))).collect();
    rig.store.record_sweep(&late, None).unwrap();
    assert_eq!(rig.store.pack_quiet(Duration::ZERO, &stopped).unwrap(), 0);
    assert_eq!(pack(&rig.store), 1);
    assert_eq!(rig.store.stats().unwrap().uplinks, u64::try_from(kept(&rig.store).len()).unwrap() + 1);
}

#[test]
fn a_packed_uplink_that_comes_again_is_known_and_takes_what_the_copy_adds() {
    let rig = five_weeks();
    publish_all(&rig.store);
    pack(&rig.store);
    let sweep = history(WEEKS);
    let again = rig.store.record_sweep(&sweep, None).unwrap();
    assert_eq!((again.new.len(), again.known), (0, sweep.len()));
    assert_eq!(publish_all(&rig.store), Vec::<String>::new());
    let before = kept(&rig.store);
    let place =
        before.iter().position(|uplink| uplink.device == id("A") && uplink.location.is_none()).unwrap();
    let copy = Uplink { link_quality: Some(LinkQuality::Good), ..before[place].clone() };
    // Also by its payload, from a cloud that gives no sequence number.
    let without_seq = Uplink { seq: None, ..before[place + 5].clone() };
    assert_eq!(rig.store.record_sweep(&[copy.clone(), without_seq], None).unwrap().known, 2);
    let told = Located { device: id("A"), location: location(0, 30.0), uplink: Some(copy.id()) };
    assert_eq!(rig.store.record_locations(std::slice::from_ref(&told)).unwrap(), 1);
    assert_eq!(rig.store.record_locations(&[told]).unwrap(), 0, "told once");
    let expected = |uplinks: &[Uplink]| {
        let mut uplinks = uplinks.to_vec();
        uplinks[place] = Uplink { location: Some(location(0, 30.0)), ..copy.clone() };
        uplinks
    };
    assert_eq!(kept(&rig.store), expected(&before));
    assert_eq!(rig.store.stats().unwrap().uplinks, u64::try_from(before.len()).unwrap() + 1);
    let rig = rig.reopened();
    assert_eq!(kept(&rig.store), expected(&before));
    let week = rig.store.database().weeks()[0].0;
    assert!(rig.store.pack_week(week, &CancellationToken::new()).unwrap());
    assert_eq!(rig.store.uplink(&copy.id()).unwrap().as_ref(), expected(&before).get(place));
    assert_eq!(kept(&rig.store), expected(&before));
}

#[test]
fn what_is_packed_before_it_is_published_is_published() {
    let rig = five_weeks();
    let tenant = rig.store.tenant("studio").unwrap();
    rig.store.record_sweep(&[uplink("A", 77, Some(4000))], None).unwrap();
    let before = super::waiting(&rig.store);
    let week = rig.store.database().weeks()[0].0;
    assert!(rig.store.pack_week(week, &CancellationToken::new()).unwrap());
    pack(&rig.store);
    assert_eq!(publish_all(&rig.store), before);
    let head = tenant.head(&BTreeSet::new(), 9).unwrap();
    assert_eq!(head.len(), 1);
}

#[test]
fn a_reading_that_has_begun_goes_on_over_the_packing() {
    for newest_first in [false, true] {
        let rig = five_weeks();
        pack(&rig.store);
        let late: Vec<_> =
            (0..900_u16).map(|n| uplink("A", i64::from(n) * 600_000 + 300_000, Some(n))).collect();
        rig.store.record_sweep(&late, None).unwrap();
        let query = UplinkQuery { newest_first, ..UplinkQuery::default() };
        let whole = rig.store.uplinks(&query).unwrap();
        let known: BTreeSet<_> = whole.iter().map(Uplink::id).collect();
        for begun in [0, 30, 3000] {
            let mut reading = rig.store.history(&query);
            let mut read: Vec<_> = reading.by_ref().take(begun).map(Result::unwrap).collect();
            pack(&rig.store);
            // What comes between divides the packs anew under the reader.
            let more: Vec<_> = (0..600_u16)
                .map(|n| uplink("E", i64::from(n) * 600_000 + 1 + i64::try_from(begun).unwrap(), Some(n)))
                .collect();
            rig.store.record_sweep(&more, None).unwrap();
            for (week, _) in rig.store.database().weeks() {
                rig.store.pack_week(week, &CancellationToken::new()).unwrap();
            }
            read.extend(reading.map(Result::unwrap));
            read.retain(|uplink| known.contains(&uplink.id()));
            assert!(read == whole, "newest first: {newest_first}, begun: {begun}, {} read", read.len());
        }
    }
}

#[test]
fn packed_weeks_are_dropped_whole_even_while_somebody_reads_them() {
    let rig = five_weeks();
    publish_all(&rig.store);
    pack(&rig.store);
    let before = kept(&rig.store);
    let mut reading = rig.store.history(&UplinkQuery::default());
    let first: Vec<_> = reading.by_ref().take(10).map(Result::unwrap).collect();
    let keep = Duration::from_secs(8 * 24 * 3600);
    let upkeep = Upkeep { keep, max_size: u64::MAX, clock: || time(WEEKS * 7 * 24 * HOUR_MS) };
    let retained = rig.store.retain(&upkeep).unwrap();
    assert!(retained.dropped >= 3, "{retained:?}");
    let left = kept(&rig.store);
    assert!(left.len() < before.len() && before.ends_with(&left));
    // A late one of a week that is going begins it anew.
    rig.store.record_sweep(&[uplink("A", 1, Some(4001))], None).unwrap();
    let rest: Vec<_> = reading.map(Result::unwrap).collect();
    assert_eq!([first, rest].concat(), before, "the reader has what there was when it began");
    pack(&rig.store);
    assert_eq!(kept(&rig.store).len(), left.len() + 1);
    let rig = rig.reopened();
    assert_eq!(kept(&rig.store).len(), left.len() + 1);
    assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_copy_and_a_backup_hold_what_is_packed() {
    let rig = five_weeks();
    let before = seen(&rig.store);
    let file = rig.dir.path().join("backup");
    pack(&rig.store);
    rig.store.record_sweep(&[uplink("A", 1, Some(4001))], None).unwrap();
    let after = seen(&rig.store);
    rig.store.backup(&file).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    Store::restore(elsewhere.path(), &file).unwrap();
    assert_eq!(seen(&open(elsewhere.path())), after);
    rig.store.compact().unwrap();
    assert_eq!(seen(&rig.store), after);
    // A copy packs what is over.
    let other = five_weeks();
    other.store.compact().unwrap();
    assert!(lying(&other.store).1 > 0);
    assert_eq!(seen(&other.store), before);
    let other = other.reopened();
    assert_eq!(seen(&other.store), before);
}

#[test]
fn files_that_hold_much_more_than_what_lives_are_copied_when_packing_is_over() {
    let rig = five_weeks();
    publish_all(&rig.store);
    let before = kept(&rig.store);
    let stop = CancellationToken::new();
    let tidy = |settled| rig.store.tidy_by(Duration::ZERO, settled, 0, &stop).unwrap();
    let copied = || rig.dir.path().join("store-2").is_dir();
    tidy(Duration::ZERO);
    assert!(lying(&rig.store).1 > 0 && !copied(), "packing comes first");
    tidy(Duration::from_secs(3600));
    assert!(!copied(), "more may come");
    tidy(Duration::ZERO);
    assert!(copied());
    assert_eq!(kept(&rig.store), before);
    let database = rig.dir.path().join("store-2");
    let noted = std::fs::read_dir(database)
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with("snap."));
    assert!(noted, "the next opening need not read all of it");
    tidy(Duration::ZERO);
    assert!(copied(), "once is enough");
}

#[test]
fn a_pack_that_cannot_be_read_is_told_and_never_made_less() {
    let rig = five_weeks();
    publish_all(&rig.store);
    // Else the outbox names uplinks that cannot be read.
    rig.store.settle_now(false).unwrap();
    pack(&rig.store);
    let (week, bucket) = rig.store.database().weeks().remove(0);
    let packs = bucket.packed.unwrap();
    let (key, value) = packs.named.tree.first().unwrap().unwrap();
    let mut broken = value.to_vec();
    broken[40] ^= 1;
    packs.named.tree.insert(&key, broken.clone()).unwrap();
    assert_eq!(rig.store.verify().unwrap().faulty, 1);
    let before = kept(&rig.store).len();
    assert!((4000 - 140..4200).contains(&before), "the others are read: {before}");
    rig.store.record_sweep(&[uplink("A", HOUR_MS + 5, Some(4001))], None).unwrap();
    let packed = rig.store.pack_week(week, &CancellationToken::new());
    assert!(matches!(packed, Err(StoreError::Damaged(_))), "{packed:?}");
    assert_eq!(packs.named.tree.get(&key).unwrap().unwrap(), broken);
    assert_eq!(kept(&rig.store).len(), before + 1);
}

//! Whatever happens to the history in whatever order, a list in memory says the same.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::packing::pack;
use super::{Rig, copy_dir, id, location, open, publish_all, time, uplink};
use crate::model::{LinkQuality, Timestamp, Uplink, UplinkId};
use crate::store::{Located, Store, Upkeep, UplinkQuery};

const WEEK_MS: i64 = 7 * 24 * 3_600_000;
const DEVICES: [&str; 3] = ["A", "B", "0C"];

#[derive(Debug, Clone)]
enum Step {
    /// Uplinks: device, week, second and whether they know their link quality.
    Sweep(Vec<(usize, i64, u16, bool)>),
    /// A location of an uplink that may be there.
    Locate(usize, i64, u16, u16),
    /// A week by its place, as far as it came until it was stopped.
    Pack(usize),
    /// What the daemon does by itself.
    PackQuiet,
    Retain(u64),
    Compact,
    Reopen,
    /// The process is killed; what was durable is there.
    Crash,
    Backup,
}

fn step() -> impl Strategy<Value = Step> {
    let uplink = (0..DEVICES.len(), 0_i64..4, 0_u16..600, any::<bool>());
    prop_oneof![
        6 => prop::collection::vec(uplink, 1..150).prop_map(Step::Sweep),
        3 => (0..DEVICES.len(), 0_i64..4, 0_u16..600, 1_u16..900).prop_map(|(d, w, s, a)| Step::Locate(d, w, s, a)),
        5 => (0_usize..4).prop_map(Step::Pack),
        1 => Just(Step::PackQuiet),
        1 => (8_u64..20).prop_map(Step::Retain),
        1 => Just(Step::Compact),
        2 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::Backup),
    ]
}

type Model = BTreeMap<(Timestamp, UplinkId), Uplink>;

fn message(device: usize, week: i64, second: u16, good: bool) -> Uplink {
    let ms = week * WEEK_MS + i64::from(second) * 1000;
    Uplink {
        payload: format!("{second:04x}").parse().unwrap(),
        link_quality: good.then_some(LinkQuality::Good),
        ..uplink(DEVICES[device], ms, Some(second))
    }
}

/// A rig that did not end by itself: its folder as it was at that moment.
fn crashed(rig: Rig) -> Rig {
    rig.store.database().sync_blocking().unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy_dir(rig.dir.path(), dir.path());
    drop(rig);
    Rig { store: open(dir.path()), dir }
}

fn restored(rig: &Rig) -> Rig {
    let file = rig.dir.path().join("backup");
    rig.store.backup(&file).unwrap();
    let dir = tempfile::tempdir().unwrap();
    Store::restore(dir.path(), &file).unwrap();
    Rig { store: open(dir.path()), dir }
}

fn take(mut rig: Rig, model: &mut Model, step: Step) -> Rig {
    match step {
        Step::Sweep(uplinks) => {
            let sweep: Vec<_> = uplinks.iter().map(|&(d, w, s, good)| message(d, w, s, good)).collect();
            let recorded = rig.store.record_sweep(&sweep, None).unwrap();
            let before = model.len();
            for uplink in sweep {
                let known = model.entry((uplink.time, uplink.id())).or_insert_with(|| uplink.clone());
                known.link_quality = known.link_quality.or(uplink.link_quality);
            }
            assert_eq!(recorded.new.len(), model.len() - before);
        }
        Step::Locate(device, week, second, accuracy) => {
            let uplink = message(device, week, second, false);
            let Some(known) = model.get_mut(&(uplink.time, uplink.id())) else { return rig };
            let place = location(week * WEEK_MS + i64::from(second) * 1000, f64::from(accuracy));
            let told = Located { device: id(DEVICES[device]), location: place, uplink: Some(uplink.id()) };
            let better = known.location.is_none_or(|known| place.accuracy_m < known.accuracy_m);
            assert_eq!(rig.store.record_locations(&[told]).unwrap(), usize::from(better));
            known.location = if better { Some(place) } else { known.location };
        }
        Step::Pack(place) => {
            let week = rig.store.database().weeks().get(place).map(|(week, _)| *week);
            if let Some(week) = week {
                rig.store.pack_week(week, &CancellationToken::new()).unwrap();
            }
        }
        Step::PackQuiet => drop(pack(&rig.store)),
        Step::Retain(days) => {
            publish_all(&rig.store);
            let keep = Duration::from_secs(days * 24 * 3600);
            rig.store.retain(&Upkeep { keep, max_size: u64::MAX, clock: || time(4 * WEEK_MS) }).unwrap();
            let weeks: Vec<_> = rig.store.database().weeks().into_iter().map(|(week, _)| week).collect();
            let week = |time: Timestamp| crate::store::layout::Week::of(crate::store::layout::seconds(time));
            model.retain(|(time, _), _| weeks.contains(&week(*time)));
        }
        Step::Compact => drop(rig.store.compact().unwrap()),
        Step::Reopen => rig = rig.reopened(),
        Step::Crash => rig = crashed(rig),
        Step::Backup => rig = restored(&rig),
    }
    rig
}

fn agree(rig: &Rig, model: &Model) {
    let expected: Vec<&Uplink> = model.values().collect();
    let kept = rig.store.uplinks(&UplinkQuery::default()).unwrap();
    assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_history_is_what_a_list_in_memory_says(steps in prop::collection::vec(step(), 1..25)) {
        let (mut rig, mut model) = (Rig::new(), Model::new());
        for step in steps {
            rig = take(rig, &mut model, step);
            agree(&rig, &model);
        }
        let newest_first = UplinkQuery { newest_first: true, ..UplinkQuery::default() };
        let mut backwards = rig.store.uplinks(&newest_first).unwrap();
        backwards.sort_by_key(|uplink| (uplink.time, uplink.id()));
        assert_eq!(backwards.iter().collect::<Vec<_>>(), model.values().collect::<Vec<_>>());
        for uplink in model.values() {
            assert_eq!(rig.store.uplink(&uplink.id()).unwrap().as_ref(), Some(uplink));
        }
        prop_assert_eq!(rig.store.stats().unwrap().uplinks, model.len() as u64);
        prop_assert_eq!(rig.store.verify().unwrap().faulty, 0);
    }
}

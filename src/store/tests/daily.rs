//! The daily backup, and what is restored when the store cannot be opened.

use std::fs;
use std::path::Path;

use super::{Rig, options, publish_all, time, uplink, waiting};
use crate::model::Timestamp;
use crate::store::{Backups, Store, UplinkQuery};

const DAY_MS: i64 = 24 * 3_600_000;

fn backups(folder: &Path, clock: fn() -> Option<Timestamp>) -> Backups {
    Backups { folder: folder.to_owned(), keep: 2, hour: 3, clock }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_written_once_a_day_and_the_oldest_go() {
    let rig = Rig::new();
    let elsewhere = tempfile::tempdir().unwrap();
    // Made when it is not there.
    let folder = elsewhere.path().join("a/b");
    let clocks: [fn() -> Option<Timestamp>; 6] = [
        || None,
        || Some(time(0)),
        || Some(time(3_600_000)),
        || Some(time(DAY_MS)),
        || Some(time(2 * DAY_MS)),
        || Some(time(2 * DAY_MS + 1)),
    ];
    let made = clocks.map(|clock| rig.store.back_up_daily(&backups(&folder, clock)));
    assert_eq!(made, [false, true, false, true, true, false]);
    assert_eq!(
        names(&folder),
        ["sigfox2mqtt-20260911T002640000Z.backup", "sigfox2mqtt-20260912T002640000Z.backup"]
    );
    let told = publish_all(&rig.store);
    assert_eq!(told.len(), 3);
    assert!(told[0].starts_with("backup_done {\"file\":") && told[0].contains("\"records\":"), "{told:?}");
}

#[test]
fn a_clock_that_ran_ahead_costs_no_backup() {
    let rig = Rig::new();
    let folder = tempfile::tempdir().unwrap();
    for clock in
        [|| Some(time(300 * DAY_MS)), || Some(time(301 * DAY_MS)), || Some(time(0)), || Some(time(DAY_MS))]
    {
        assert!(rig.store.back_up_daily(&backups(folder.path(), clock)));
    }
    assert!(names(folder.path()).contains(&"sigfox2mqtt-20260911T002640000Z.backup".to_owned()));
}

#[test]
fn a_backup_that_cannot_be_written_is_told_and_leaves_nothing() {
    let rig = Rig::new();
    let file = rig.dir.path().join("a file");
    fs::write(&file, "").unwrap();
    assert!(rig.store.back_up_daily(&backups(&file, || Some(time(0)))));
    let told = waiting(&rig.store);
    assert!(told.len() == 1 && told[0].starts_with("backup_failed {"), "{told:?}");
}

#[test]
fn of_two_backups_the_newest_that_is_whole_is_restored() {
    let rig = Rig::new();
    let folder = tempfile::tempdir().unwrap();
    for (ms, clock) in [(0, (|| Some(time(0))) as fn() -> Option<Timestamp>), (1, || Some(time(DAY_MS)))] {
        rig.store.record_sweep(&[uplink("A", ms * 1000, None)], None).unwrap();
        assert!(rig.store.back_up_daily(&backups(folder.path(), clock)));
    }
    let newest = folder.path().join(names(folder.path()).pop().unwrap());
    let Rig { store, dir } = rig;
    drop(store);
    for (kept, damage) in [(2, None), (1, Some(&newest))] {
        if let Some(file) = damage {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() - 3]).unwrap();
        }
        let pointer = fs::read_to_string(dir.path().join("current")).unwrap();
        fs::write(dir.path().join(pointer.trim()).join("db"), "").unwrap();
        let (store, _syncer) = Store::open_or_restore(options(dir.path()), Some(folder.path())).unwrap();
        assert_eq!(store.uplinks(&UplinkQuery::default()).unwrap().len(), kept);
        let databases = names(dir.path()).into_iter().filter(|name| name.starts_with("store-"));
        assert_eq!(databases.count(), 1, "what was read of a damaged backup is removed");
    }
}

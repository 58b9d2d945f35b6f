//! Opening the store in whatever state it is.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{Rig, copy_dir, open, options, publish_all, uplink, waiting};
use crate::store::layout::Table;
use crate::store::{Store, UplinkQuery};

fn refusal(dir: &Path) -> String {
    Store::open(options(dir)).unwrap_err().to_string().replace(&dir.display().to_string(), "DIR")
}

fn kept(store: &Store) -> usize {
    store.uplinks(&UplinkQuery::default()).unwrap().len()
}

/// A directory with ten uplinks in it, published.
fn used() -> tempfile::TempDir {
    let Rig { store, dir } = Rig::new();
    let sweep: Vec<_> = (0..10).map(|n| uplink("A", n * 1000, Some(u16::try_from(n).unwrap()))).collect();
    store.record_sweep(&sweep, None).unwrap();
    publish_all(&store);
    dir
}

#[test]
fn what_cannot_be_opened_is_refused_in_a_sentence() {
    let rig = Rig::new();
    assert_eq!(
        refusal(rig.dir.path()),
        "the store in DIR is in use by another process (only one daemon can run on a data directory)"
    );
    let meta = rig.store.database().table(Table::Meta).unwrap().clone();
    meta.insert("schema", &99_u32.to_be_bytes()).unwrap();
    drop(meta);
    let Rig { store, dir } = rig;
    drop(store);
    assert_eq!(
        refusal(dir.path()),
        "the store in DIR is of version 99, this program knows up to 2 (expected a newer program, or a backup of before the update)"
    );
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(refusal(&file), "DIR is not a folder (expected the data directory)");
    assert_eq!(refusal(&file.join("below")), "DIR is not a folder (expected the data directory)");
}

#[test]
fn a_folder_is_made_with_those_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("a/b");
    drop(open(&below));
    assert!(below.join("current").is_file());
}

#[test]
fn what_a_crash_leaves_behind_is_no_damage() {
    for (what, leave) in [
        (
            "a snapshot that was being made",
            &(|dir: &Path| fs::write(dir.join("store-1/snap.0.generating"), "x")) as &dyn Fn(&Path) -> _,
        ),
        ("a copy that was being made", &|dir| fs::create_dir(dir.join("store-2"))),
        ("a pointer that was being written", &|dir| fs::write(dir.join("current.new"), "sto")),
        ("an opening that was cut short", &|dir| fs::write(dir.join("opening"), "1\n")),
        ("no pointer any more", &|dir| fs::remove_file(dir.join("current"))),
        ("half a pointer", &|dir| fs::write(dir.join("current"), "sto")),
        ("two openings that were cut short", &|dir| fs::write(dir.join("opening"), "2\n")),
    ] {
        let dir = used();
        leave(dir.path()).unwrap();
        assert_eq!(kept(&open(dir.path())), 10, "{what}");
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.contains(&"store-2".into()) && !left.contains(&"opening".into()), "{what}: {left:?}");
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_costs_nothing_but_a_word() {
    let dir = used();
    let snapshots: Vec<_> = fs::read_dir(dir.path().join("store-1"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap."))
        .collect();
    for snapshot in &snapshots {
        fs::write(snapshot, "not a snapshot").unwrap();
    }
    let store = open(dir.path());
    assert_eq!(kept(&store), 10);
}

#[test]
fn a_store_beyond_repair_is_put_aside_and_said() {
    for (what, damage) in [
        ("no database", &(|store: &Path| fs::remove_file(store.join("db"))) as &dyn Fn(&Path) -> _),
        ("an empty one", &|store| fs::write(store.join("db"), "")),
        ("no folder", &|store| fs::remove_dir_all(store)),
        ("zeros", &|store| fs::write(store.join("db"), vec![0; 1 << 20])),
    ] {
        let dir = used();
        damage(&dir.path().join("store-1")).unwrap();
        let store = open(dir.path());
        assert_eq!(kept(&store), 0, "{what}");
        let told = waiting(&store);
        assert!(told.len() == 1 && told[0].starts_with("store_repaired "), "{what}: {told:?}");
        store.record_sweep(&[uplink("B", 0, None)], None).unwrap();
        drop(store);
        assert_eq!(kept(&open(dir.path())), 1, "{what}: and goes on");
    }
}

#[test]
fn the_newest_backup_takes_the_place_of_a_damaged_store() {
    let dir = used();
    let backups = dir.path().join("backups");
    fs::create_dir(&backups).unwrap();
    open(dir.path()).backup(&backups.join("monday")).unwrap();
    fs::write(dir.path().join("store-1/db"), "").unwrap();
    let store = open(dir.path());
    assert_eq!(kept(&store), 10);
    assert!(waiting(&store)[0].contains("backups/monday was restored"));
}

#[test]
fn no_damage_ends_in_a_crash_loop() {
    let whole = used();
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    // In `tests/long/damage` more, from another seed on.
    let (first, stores): (u64, u64) = (number("STORE_DAMAGE_SEED", 0), number("STORE_DAMAGES", 40));
    let mut intact = 0;
    for seed in first..first + stores {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        copy_dir(whole.path(), dir.path());
        let path = dir.path().join("store-1/db");
        let mut bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        match seed % 3 {
            0 => bytes.truncate(random.usize(..used)),
            1 => (0..20).for_each(|_| bytes[random.usize(..used)] ^= 1 << random.u8(..8)),
            _ => {
                let from = random.usize(..used);
                bytes[from..(from + 2000).min(used)].fill(0xFF);
            }
        }
        fs::write(&path, bytes).unwrap();
        // sled may die of what it reads: the service manager starts the daemon again.
        let opened = (0..5).find_map(|_| catch_unwind(AssertUnwindSafe(|| open(dir.path()))).ok());
        let store = opened.unwrap_or_else(|| panic!("seed {seed}"));
        store.record_sweep(&[uplink("B", 0, None)], None).unwrap();
        let left = kept(&store);
        assert!(left >= 1, "seed {seed}");
        intact += u64::from(left == 11);
    }
    println!("{stores} damaged stores from seed {first} on: all opened, {intact} with everything in them");
}

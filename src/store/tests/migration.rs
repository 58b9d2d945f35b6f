//! From an older layout to a newer one, shown with steps that only these tests have.

use std::fs;
use std::path::{Path, PathBuf};

use super::copy_dir;
use crate::model::Event;
use crate::store::commit::Place;
use crate::store::layout::Table;
use crate::store::migration::{CURRENT, Layout, Step, Stored};
use crate::store::opening::{Opened, open_as};
use crate::store::{OpenError, Store, StoreError};

const CACHE: u64 = 8 << 20;

type Moved = Result<Option<Stored>, StoreError>;

/// Every note gets a longer key.
fn rename_notes(place: Place, key: &[u8], value: &[u8]) -> Moved {
    let prefix: &[u8] = if place == Place::Table(Table::Notes) { b"note/" } else { b"" };
    Ok(Some((place, [prefix, key].concat(), value.to_vec())))
}

/// Notes are shouted, and the outbox is given up.
fn shout(place: Place, key: &[u8], value: &[u8]) -> Moved {
    Ok(match place {
        Place::Table(Table::Outbox) => None,
        Place::Table(Table::Notes) => Some((place, key.to_vec(), value.to_ascii_uppercase())),
        _ => Some((place, key.to_vec(), value.to_vec())),
    })
}

fn fail(place: Place, _key: &[u8], _value: &[u8]) -> Moved {
    if place == Place::Table(Table::States) { Err(StoreError::Full) } else { Ok(None) }
}

const FIRST: Layout = Layout { version: 1, steps: &[] };
const SECOND: Layout = Layout { version: 2, steps: &[rename_notes as Step] };
const THIRD: Layout = Layout { version: 3, steps: &[rename_notes as Step, shout as Step] };
const FAILING: Layout = Layout { version: 2, steps: &[fail as Step] };

/// A data directory with the store of the first version that is kept for good.
fn first_version() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store/version-1.backup");
    Store::restore(dir.path(), &file).unwrap();
    dir
}

fn opened(layout: Layout, dir: &Path) -> Opened {
    open_as(layout, dir, CACHE, None).unwrap()
}

/// All records by tree, key and value, without the version.
fn records(opened: &Opened) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let trees = opened.database.places().into_iter().filter(|(place, _)| *place != Place::Table(Table::Meta));
    let records = trees.flat_map(|(place, named)| {
        named
            .tree
            .iter()
            .map(Result::unwrap)
            .map(|(key, value)| (place.name(), key.to_vec(), value.to_vec()))
            .collect::<Vec<_>>()
    });
    records.collect()
}

fn note(opened: &Opened, key: &str) -> Option<Vec<u8>> {
    opened.database.table(Table::Notes).unwrap().get(key).unwrap().map(|value| value.to_vec())
}

fn snapshot(dir: &Path) -> PathBuf {
    dir.join("backups/version-1.backup")
}

#[test]
fn an_older_store_is_migrated_step_by_step_after_a_snapshot() {
    let dir = first_version();
    let (before, version) = {
        let opened = opened(FIRST, dir.path());
        (records(&opened), opened.database.version())
    };
    assert_eq!(version, 1);
    let migrated = opened(THIRD, dir.path());
    assert_eq!(migrated.database.version(), 3);
    assert_eq!(note(&migrated, "note/token").as_deref(), Some(b"SECRET".as_slice()));
    let kept = |records: &[(String, Vec<u8>, Vec<u8>)]| {
        records.iter().filter(|(tree, ..)| !["notes", "outbox"].contains(&tree.as_str())).count()
    };
    assert_eq!(kept(&records(&migrated)), kept(&before));
    assert_eq!(migrated.database.table(Table::Outbox).unwrap().len(), 0);
    let Some(Event::Bridge { kind, detail, .. }) = migrated.told else { panic!("not told") };
    assert!(kind == "store_migrated" && detail.contains(r#""from":1,"to":3"#), "{detail}");
    drop((migrated.folder, migrated.database, migrated.memory));
    // Once is enough.
    assert!(opened(THIRD, dir.path()).told.is_none());
    // The way back.
    let elsewhere = tempfile::tempdir().unwrap();
    Store::restore(elsewhere.path(), &snapshot(dir.path())).unwrap();
    assert_eq!(records(&opened(FIRST, elsewhere.path())), before);
}

#[test]
fn a_store_on_the_way_takes_only_the_steps_that_are_left() {
    let dir = first_version();
    drop(opened(SECOND, dir.path()));
    let migrated = opened(THIRD, dir.path());
    assert_eq!(note(&migrated, "note/token").as_deref(), Some(b"SECRET".as_slice()));
    assert!(dir.path().join("backups/version-2.backup").is_file());
}

#[test]
fn a_migration_that_is_cut_short_or_fails_leaves_the_old_store() {
    let dir = first_version();
    let Err(OpenError::Io { source, .. }) = open_as(FAILING, dir.path(), CACHE, None) else {
        panic!("it went through")
    };
    assert_eq!(source.to_string(), "the disk is full");
    // What a crash leaves: half a copy, and half a snapshot.
    let whole = dir.path().join(fs::read_to_string(dir.path().join("current")).unwrap().trim());
    copy_dir(&whole, &dir.path().join("store-9"));
    fs::write(snapshot(dir.path()).with_extension("backup.new"), "half").unwrap();
    let migrated = opened(SECOND, dir.path());
    assert_eq!(note(&migrated, "note/token").as_deref(), Some(b"secret".as_slice()));
    assert!(!dir.path().join("store-9").exists());
}

#[test]
fn a_store_of_the_first_version_is_brought_to_todays_with_everything_in_it() {
    let dir = first_version();
    let before = records(&opened(FIRST, dir.path()));
    let migrated = opened(CURRENT, dir.path());
    assert_eq!(migrated.database.version(), CURRENT.version);
    assert_eq!(records(&migrated), before);
    assert!(snapshot(dir.path()).is_file());
}

#[test]
fn a_newer_store_is_refused_by_its_version() {
    let dir = first_version();
    drop(opened(SECOND, dir.path()));
    assert!(matches!(
        open_as(FIRST, dir.path(), CACHE, None),
        Err(OpenError::Newer { found: 2, known: 1, .. })
    ));
    assert!(opened(SECOND, dir.path()).told.is_none(), "and is as it was");
}

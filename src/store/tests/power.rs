//! Loss of power: of what was written, only what was synced is sure to be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::packing::{HOUR_MS, history};
use super::{OnStep, OnSync, copy_dir, open, publish_all, uplink};
use crate::store::{Store, UplinkQuery};

const BLOCK: usize = 4096;

/// How many uplinks were acknowledged and how many of them are gone after the power was lost.
struct Loss {
    acknowledged: usize,
    lost: usize,
}

/// Keeps uplinks, some acknowledged, and loses power at the end: each block that was written after the last sync
/// is on the disk or not, as the seed says. `synced` says whether an acknowledgement waits for our sync.
async fn lose_power(seed: u64, synced: bool) -> Loss {
    let mut random = fastrand::Rng::with_seed(seed);
    let (dir, disk) = (tempfile::tempdir().unwrap(), Arc::new(tempfile::tempdir().unwrap()));
    let store = open(dir.path());
    keep_what_is_synced(&store, dir.path(), &disk);
    let mut acknowledged = BTreeSet::new();
    for n in 0..random.u16(20..60) {
        let message = uplink("A", i64::from(n) * 1000, Some(n));
        if random.u8(..3) == 0 {
            store.record_sweep(&[message], None).unwrap();
        } else if synced {
            store.record_uplink(&message).await.unwrap();
            acknowledged.insert(message.id());
        } else {
            // What sled calls a flush is not on the disk.
            store.record_sweep(std::slice::from_ref(&message), None).unwrap();
            store.database().flush_unsynced();
            acknowledged.insert(message.id());
        }
    }
    store.database().flush_unsynced();
    if synced {
        tear(&mut random, dir.path(), disk.path());
    }
    drop(store);
    let there = kept(&open(disk.path()));
    Loss { acknowledged: acknowledged.len(), lost: acknowledged.difference(&there).count() }
}

/// From now on the second folder has what is sure to be on the disk.
fn keep_what_is_synced(store: &Store, dir: &Path, disk: &Arc<tempfile::TempDir>) {
    copy_dir(dir, disk.path());
    let image = Arc::new(Mutex::new(()));
    let (from, to) = (dir.to_owned(), Arc::clone(disk));
    let on_sync = OnSync(Box::new(move || {
        let _one_at_a_time = image.lock().unwrap();
        fs::remove_dir_all(to.path()).unwrap();
        copy_dir(&from, to.path());
    }));
    *store.database().on_sync.lock().unwrap() = Some(on_sync);
}

/// Packs weeks, with late uplinks between them, and loses power at the step that the seed says.
async fn lose_power_while_packing(seed: u64) -> Loss {
    let mut random = fastrand::Rng::with_seed(seed);
    let (dir, disk) = (tempfile::tempdir().unwrap(), Arc::new(tempfile::tempdir().unwrap()));
    let store = open(dir.path());
    store.record_sweep(&history(3), None).unwrap();
    publish_all(&store);
    store.flush().await.unwrap();
    keep_what_is_synced(&store, dir.path(), &disk);
    let mut acknowledged = kept(&store);
    let lost_after = random.usize(1..40);
    let torn = Arc::new(tempfile::tempdir().unwrap());
    let (from, image, to) = (dir.path().to_owned(), Arc::clone(&disk), Arc::clone(&torn));
    let (database, mut step, mut dice) = (store.database(), 0, random.fork());
    *store.inner.on_step.lock().unwrap() = Some(OnStep(Box::new(move |_| {
        step += 1;
        if step == lost_after {
            copy_dir(image.path(), to.path());
            database.flush_unsynced();
            tear(&mut dice, &from, to.path());
        }
    })));
    let is_lost = || fs::read_dir(torn.path()).unwrap().next().is_some();
    for n in 0..6_u16 {
        for (week, _) in store.database().weeks() {
            store.pack_week(week, &CancellationToken::new()).unwrap();
            if is_lost() {
                break;
            }
            let late = uplink("A", i64::from(random.u16(..480)) * HOUR_MS + i64::from(n) + 7, Some(4000 + n));
            store.record_uplink(&late).await.unwrap();
            acknowledged.insert(late.id());
        }
    }
    assert!(is_lost(), "seed {seed}: there were fewer than {lost_after} steps");
    *store.inner.on_step.lock().unwrap() = None;
    let there = kept(&open(torn.path()));
    Loss { acknowledged: acknowledged.len(), lost: acknowledged.difference(&there).count() }
}

fn kept(store: &Store) -> BTreeSet<crate::model::UplinkId> {
    store.uplinks(&UplinkQuery::default()).unwrap().iter().map(crate::model::Uplink::id).collect()
}

/// Puts some of the blocks that were written since the last sync into the image.
fn tear(random: &mut fastrand::Rng, written: &Path, image: &Path) {
    let database = Path::new("store-1").join("db");
    let now = fs::read(written.join(&database)).unwrap();
    let mut torn = fs::read(image.join(&database)).unwrap();
    for (number, block) in now.chunks(BLOCK).enumerate() {
        let range = number * BLOCK..number * BLOCK + block.len();
        if random.bool() {
            if torn.len() < range.end {
                torn.resize(range.end, 0);
            }
            torn[range].copy_from_slice(block);
        }
    }
    fs::write(image.join(&database), torn).unwrap();
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_with_the_power() {
    let mut acknowledged = 0;
    for seed in 0..25 {
        let loss = lose_power(seed, true).await;
        assert_eq!(loss.lost, 0, "seed {seed}: of {}", loss.acknowledged);
        acknowledged += loss.acknowledged;
    }
    println!("25 losses of power, {acknowledged} acknowledged uplinks, 0 lost");
}

#[tokio::test]
async fn nothing_is_lost_with_the_power_while_history_is_packed() {
    let mut acknowledged = 0;
    for seed in 0..12 {
        let loss = lose_power_while_packing(seed).await;
        assert_eq!(loss.lost, 0, "seed {seed}: of {}", loss.acknowledged);
        acknowledged += loss.acknowledged;
    }
    println!("12 losses of power while packing, {acknowledged} acknowledged uplinks, 0 lost");
}

#[tokio::test]
async fn without_our_sync_the_loss_of_power_is_seen() {
    let loss = lose_power(1, false).await;
    assert!(loss.lost > 0, "the test above would see nothing");
}

//! What is forgotten, copied and backed up, and what happens when the disk takes nothing.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Rig, beside, id, location, open, options, publish_all, source, time, uplink, waiting};
use crate::model::{DownlinkState, LinkQuality, Timestamp, Uplink};
use crate::store::{Store, StoreError, Upkeep, UplinkQuery};

const DAY_MS: i64 = 24 * 3_600_000;
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The clock of the tests stands 70 days after their beginning of time.
fn upkeep(keep_days: u64, max_size: u64) -> Upkeep {
    Upkeep { keep: Duration::from_secs(keep_days * 24 * 3600), max_size, clock: || time(70 * DAY_MS) }
}

/// A store with an uplink of `A` each day of ten weeks, and one of `B` on the first.
fn ten_weeks() -> Rig {
    let rig = Rig::new();
    let mut sweep: Vec<_> =
        (0..70).map(|n| uplink("A", n * DAY_MS, Some(u16::try_from(n).unwrap()))).collect();
    sweep.push(uplink("B", 0, None));
    rig.store.record_sweep(&sweep, None).unwrap();
    rig
}

fn kept(store: &Store) -> Vec<Uplink> {
    store.uplinks(&UplinkQuery::default()).unwrap()
}

#[test]
fn old_weeks_are_dropped_whole_but_never_before_they_are_published() {
    let rig = ten_weeks();
    let retained = rig.store.retain(&upkeep(30, u64::MAX)).unwrap();
    assert_eq!((retained.dropped, kept(&rig.store).len()), (0, 71), "nothing is published yet");
    publish_all(&rig.store);
    rig.store.retain(&upkeep(30, u64::MAX)).unwrap();
    let left = kept(&rig.store);
    let oldest = time(70 * DAY_MS).since(left[0].time).as_secs() / (24 * 3600);
    assert!((30..=37).contains(&oldest), "{oldest} days");
    let rig = rig.reopened();
    assert_eq!(kept(&rig.store), left);
    assert_eq!(
        rig.store.device(id("B")).unwrap().unwrap().last_seen,
        Some(time(0)),
        "written down when its week went"
    );
    assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_clock_that_runs_ahead_drops_nothing_that_is_not_old() {
    let rig = ten_weeks();
    publish_all(&rig.store);
    let ahead =
        Upkeep { clock: || "2099-01-01T00:00:00Z".parse::<Timestamp>().unwrap(), ..upkeep(100, u64::MAX) };
    assert_eq!(rig.store.retain(&ahead).unwrap().dropped, 0);
}

#[test]
fn a_clock_that_runs_ahead_and_stamps_uplinks_drops_nothing_either() {
    let rig = ten_weeks();
    publish_all(&rig.store);
    let before = kept(&rig.store);
    let right = upkeep(100, u64::MAX);
    assert_eq!(rig.store.retain(&right).unwrap().dropped, 0);
    // A batch of callbacks that give no time: the gateway's own clock stamps them.
    let stamped = uplink("A", 435 * DAY_MS, Some(435));
    rig.store.record_sweep(std::slice::from_ref(&stamped), None).unwrap();
    publish_all(&rig.store);
    let ahead = Upkeep { clock: || time(435 * DAY_MS), ..right };
    for _ in 0..20 {
        assert_eq!(rig.store.retain(&ahead).unwrap().dropped, 0);
    }
    let rig = rig.reopened();
    assert_eq!(rig.store.retain(&ahead).unwrap().dropped, 0, "also after a restart");
    assert_eq!(rig.store.retain(&right).unwrap().dropped, 0, "the clock is right again");
    let known: Vec<_> = kept(&rig.store).into_iter().filter(|uplink| *uplink != stamped).collect();
    assert_eq!(known, before);
    // Where it really is that late, it is believed a day a look.
    let looks = (1..400).find(|_| rig.store.retain(&ahead).unwrap().dropped > 0);
    assert!(looks.is_some_and(|looks| (25..50).contains(&looks)), "{looks:?}");
}

#[test]
fn a_store_that_is_too_large_loses_its_oldest_weeks_and_is_copied() {
    let rig = ten_weeks();
    publish_all(&rig.store);
    rig.store.database().sync_blocking().unwrap();
    let retained = rig.store.retain(&Upkeep { keep: FOREVER, ..upkeep(0, 5_000) }).unwrap();
    assert!(retained.compacted && (1..10).contains(&retained.dropped), "{retained:?}");
    assert!(kept(&rig.store).iter().any(|uplink| uplink.time == time(69 * DAY_MS)));
    assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_copy_takes_the_place_of_the_store_while_it_goes_on() {
    let rig = ten_weeks();
    let before = waiting(&rig.store);
    let head = rig.store.outbox_head(&std::collections::BTreeSet::new(), 1).unwrap();
    let copies = AtomicUsize::new(0);
    let written = std::thread::scope(|scope| {
        // Goes on until it was copied under the writer's hands more than once.
        let writer = scope.spawn(|| {
            let more = |n: &u16| *n < 300 || copies.load(Ordering::SeqCst) < 2;
            let written = (0..u16::MAX).take_while(more).map(|n| {
                let message = uplink("C", i64::from(n) * 60_000, Some(n));
                rig.store.record_sweep(&[message], None).unwrap();
            });
            written.count()
        });
        while !writer.is_finished() {
            assert!(rig.store.compact().unwrap().records > 70);
            copies.fetch_add(1, Ordering::SeqCst);
        }
        writer.join().unwrap()
    });
    rig.store.outbox_done(&[head[0].key.clone()], Vec::new()).unwrap();
    let rig = rig.reopened();
    assert_eq!(kept(&rig.store).len(), 71 + written);
    assert_eq!(waiting(&rig.store).len(), before.len() - 1 + written + 1);
    assert_eq!(rig.store.verify().unwrap().faults, Vec::<String>::new());
    let databases = fs::read_dir(rig.dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("store-"));
    assert_eq!(databases.count(), 1);
}

#[test]
fn a_backup_is_restored_elsewhere_with_everything_in_it() {
    let rig = ten_weeks();
    let file = rig.dir.path().join("backup");
    let records = rig.store.backup(&file).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    drop(open(elsewhere.path()));
    assert_eq!(Store::restore(elsewhere.path(), &file).unwrap(), records);
    let restored = open(elsewhere.path());
    assert_eq!(kept(&restored), kept(&rig.store));
    assert_eq!(waiting(&restored), waiting(&rig.store));
    assert_eq!(restored.stats().unwrap().uplinks, 71);
}

#[test]
fn a_backup_that_is_not_whole_is_refused_and_changes_nothing() {
    let rig = ten_weeks();
    let file = rig.dir.path().join("backup");
    rig.store.backup(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let Rig { store, dir } = rig;
    assert!(Store::restore(dir.path(), &file).is_err(), "a daemon runs on it");
    drop(store);
    let half = whole.len() / 2;
    let flipped = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    };
    for (what, bytes) in [
        ("empty", vec![]),
        ("something else", b"a letter to a friend, of some length".to_vec()),
        ("cut short", whole[..half].to_vec()),
        ("without its end", whole[..whole.len() - 1].to_vec()),
        ("changed in the middle", flipped(half)),
        ("changed in a length", flipped(29)),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = Store::restore(dir.path(), &file).unwrap_err().to_string();
        assert!(error.contains("is not a whole backup: "), "{what}: {error}");
        assert_eq!(kept(&open(dir.path())).len(), 71, "{what}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_lets_go_what_is_published() {
    let rig = ten_weeks();
    rig.store.database().set_reserve(u64::MAX);
    let message = uplink("C", 0, Some(1));
    assert_eq!(rig.store.record_uplink(&message).await, Err(StoreError::Full));
    assert_eq!(rig.store.trouble(), Some(StoreError::Full));
    assert_eq!(publish_all(&rig.store).len(), 73);
    assert_eq!(rig.store.outbox_depth().unwrap(), (0, None));
    rig.store.database().set_reserve(0);
    rig.store.recover().unwrap();
    assert_eq!(rig.store.trouble(), None);
    assert_eq!(rig.store.record_uplink(&message).await.unwrap().new, [message.id()]);
}

#[tokio::test]
async fn a_store_whose_write_failed_goes_on_with_a_copy() {
    let Rig { store, dir } = ten_weeks();
    drop(store);
    let (store, syncer) = Store::open(options(dir.path())).unwrap();
    let beside_it = store.clone();
    beside(syncer, async move {
        beside_it.database().fail(StoreError::Failing("input/output error".to_owned()));
        assert!(beside_it.trouble().is_some());
        while beside_it.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        beside_it.record_uplink(&uplink("C", 0, Some(1))).await.unwrap();
    })
    .await;
    assert_eq!(kept(&store).len(), 72);
    assert!(dir.path().join("store-2").is_dir());
}

#[tokio::test]
async fn a_data_directory_that_vanishes_is_written_anew_with_all_that_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let (store, syncer) = Store::open(options(&dir)).unwrap();
    let beside_it = store.clone();
    beside(syncer, async move {
        beside_it.record_uplink(&uplink("2C", 0, Some(1))).await.unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(beside_it.record_uplink(&uplink("2C", 1000, Some(2))).await, Err(StoreError::Gone));
        assert_eq!(beside_it.trouble(), Some(StoreError::Gone));
        while beside_it.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        beside_it.record_uplink(&uplink("2C", 1000, Some(2))).await.unwrap();
    })
    .await;
    drop(store);
    let again = open(&folder.path().join("data"));
    assert_eq!(again.uplinks(&UplinkQuery::default()).unwrap().len(), 2);
}

#[tokio::test]
async fn what_nobody_waits_for_is_on_the_disk_after_the_flush_interval() {
    let dir = tempfile::tempdir().unwrap();
    let (store, syncer) =
        Store::open(crate::store::Options { flush: Duration::from_secs(1), ..options(dir.path()) }).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let on_sync = super::OnSync(Box::new(move || tell.send(()).unwrap()));
    *store.database().on_sync.lock().unwrap() = Some(on_sync);
    store.record_sweep(&[uplink("A", 0, Some(1))], None).unwrap();
    beside(syncer, async move { told.recv().await.unwrap() }).await;
}

/// A change of a record's shape must not make what is on people's disks unreadable: these files are never written anew.
/// In that of the second version the history is packed, and an uplink has changed since.
#[test]
fn backups_of_every_version_are_read_for_good() {
    for version in 1..=2 {
        let dir = tempfile::tempdir().unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store");
        Store::restore(dir.path(), &fixtures.join(format!("version-{version}.backup"))).unwrap();
        let store = open(dir.path());
        assert_eq!(store.verify().unwrap().faults, Vec::<String>::new());
        let full = Uplink {
            link_quality: Some(LinkQuality::Good),
            rssi: Some(-118.0),
            snr: Some(12.1),
            stations: Some(3),
            ack: Some(false),
            location: Some(location(123, 4000.0)),
            ..uplink("01234567", 123, Some(4095))
        };
        let stations = (version == 2).then_some(2);
        assert_eq!(kept(&store), [Uplink { stations, ..uplink("2C", 0, None) }, full]);
        let located: Vec<_> = store.locations(&UplinkQuery::default()).map(Result::unwrap).collect();
        assert_eq!(located.len(), 2);
        assert_eq!(store.device(id("2C")).unwrap().unwrap().name.as_deref(), Some("one"));
        assert_eq!(store.device_types(&source("factory")).unwrap().len(), 1);
        assert_eq!(store.queue(id("2C")).unwrap(), [super::queue::item("a", DownlinkState::Armed)]);
        assert_eq!(store.answer(&uplink("2C", 0, None).id()).unwrap(), Some(Some("a".parse().unwrap())));
        assert_eq!(store.cursor(&source("factory"), "type").unwrap(), Some(time(5)));
        assert_eq!(store.note("token").unwrap().as_deref(), Some(b"secret".as_slice()));
        assert_eq!(store.device_state(id("2C")).unwrap().map(|state| state.time), Some(time(0)));
        let mut waiting = waiting(&store);
        waiting.retain(|event| !event.starts_with("store_migrated "));
        assert_eq!(
            waiting,
            [
                "location 2C",
                r#"bridge {"a":1}"#,
                "downlink a armed",
                "service 2C status",
                "up 01234567-1789000000-4095"
            ]
        );
    }
}

//! A mirror whose process is killed at random moments of its catching up: no value is lost, no Thing made twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sigfox2mqtt::cloud::altair::ThingFilter;
use sigfox2mqtt::ingest::StatusBoard;
use sigfox2mqtt::simulate::{Options, Simulator, World};
use tokio_util::sync::CancellationToken;

use crate::mirror_rig::{client, config, mirror, open};
use crate::publisher_rig::uplink;

const DEVICES: u32 = 20;
const UPLINKS: i64 = 2_000;
const START: i64 = 1_789_000_000;
/// Where the child finds the data directory and the studio.
const FOLDER: &str = "MIRROR_KILL_FOLDER";
const STUDIO: &str = "MIRROR_KILL_STUDIO";

/// Mirrors until nothing waits, or until it is killed. Does nothing when nobody has asked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mirror_that_is_killed() {
    let (Ok(dir), Ok(url)) = (std::env::var(FOLDER), std::env::var(STUDIO)) else { return };
    let config = Arc::new(config(&url, ""));
    let store = open(Path::new(&dir));
    let board = StatusBoard::new([]);
    let stop = CancellationToken::new();
    let running = mirror(&config, &store, &board, &board).run(stop.clone());
    let tenant = config.mirrors[0].tenant();
    let watching = async {
        while store.tenant_depth(&tenant).unwrap().0 > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            store.flush().await.unwrap();
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(running, watching);
    ended.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_catches_up_a_mirror_loses_nothing_and_makes_no_thing_twice() {
    let studio = Simulator::start(World::new(1), Options::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        store.tenant("mirror/studio").unwrap();
        let device = |n: i64| format!("{:X}", 0xA000 + n % i64::from(DEVICES));
        let sweep: Vec<_> = (0..UPLINKS).map(|n| uplink(&device(n), START + n * 7, "012c80")).collect();
        store.record_sweep(&sweep, None).unwrap();
        store.flush().await.unwrap();
    }
    let mut random = fastrand::Rng::with_seed(11);
    let mut kills = 0;
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "mirror_kill::the_mirror_that_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .env(STUDIO, studio.altair_url())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if kills == 8 {
            let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
            assert!(ended.success());
            break;
        }
        // From the first request on, wherever it is by then.
        let before: u64 = studio.requests().values().sum();
        let many = random.u64(1..40);
        crate::support::eventually("requests", || {
            studio.requests().values().sum::<u64>() >= before + many || child.try_wait().unwrap().is_some()
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    let client = client(&studio.altair_url());
    let things = client.things(&ThingFilter::default()).next_page().await.unwrap().unwrap().rows;
    let devices: BTreeSet<String> = things.iter().map(|thing| thing.status["sigfoxId"].to_string()).collect();
    assert_eq!((things.len(), devices.len()), (20, 20), "no Thing twice");
    let mut values = BTreeMap::new();
    for thing in &things {
        let mut pages = client.history(&thing.uid, Some("data"));
        while let Some(page) = pages.next_page().await.unwrap() {
            *values.entry(thing.uid.clone()).or_insert(0) += page.rows.len();
        }
    }
    assert_eq!(values.values().sum::<usize>(), usize::try_from(UPLINKS).unwrap(), "{values:?}");
    println!("{kills} kills, {UPLINKS} uplinks, 0 lost, 0 Things twice");
}

//! The store of a process that is killed at any moment: what was acknowledged is there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sigfox2mqtt::model::{Event, Timestamp, Uplink, UplinkId};
use sigfox2mqtt::store::{Options, Store, UplinkQuery};
use tokio_util::sync::CancellationToken;

/// In `tests/long/kills` more, with another seed.
const KILLS: u32 = 15;
/// Where the child finds the data directory, and the number of its first uplink.
const FOLDER: &str = "STORE_KILL_FOLDER";
const FIRST: &str = "STORE_KILL_FIRST";

fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), cache: 8 << 20, flush: Duration::from_secs(1) }
}

fn uplink(number: u16) -> Uplink {
    let time = Timestamp::from_cloud(1_789_000_000 + i64::from(number)).unwrap();
    Uplink {
        seq: Some(number % 4096),
        ..Uplink::new(
            format!("{:X}", 0xA0 + number % 7).parse().unwrap(),
            time,
            "0a41".parse().unwrap(),
            "factory".parse().unwrap(),
        )
    }
}

fn uplink_of(event: &Event) -> Option<UplinkId> {
    match event {
        Event::Uplink(uplink) => Some(uplink.id()),
        _ => None,
    }
}

/// Keeps uplinks until it is killed and prints each that is acknowledged; empties the outbox, lets a tenant take some
/// (printed too, before it says that it has them) and copies the store beside that. Does nothing when nobody has asked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_is_killed() {
    let (Ok(dir), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let (store, syncer) = Store::open(options(Path::new(&dir))).unwrap();
    let tenant = store.tenant("tenant").unwrap();
    let copying = store.clone();
    let copies = std::thread::spawn(move || {
        loop {
            copying.compact().unwrap();
        }
    });
    let work = async {
        for number in first.parse::<u16>().unwrap().. {
            let message = uplink(number);
            store.record_uplink(&message).await.unwrap();
            println!("kept {}", message.id());
            let head = store.outbox_head(&BTreeSet::new(), 3).unwrap();
            let keys: Vec<_> =
                head.into_iter().take(usize::from(number % 4)).map(|entry| entry.key).collect();
            store.outbox_done(&keys, Vec::new()).unwrap();
            let taken = tenant.head(&BTreeSet::new(), usize::from(number % 3)).unwrap();
            for entry in &taken {
                println!("taken {}", uplink_of(&entry.event).unwrap());
            }
            tenant.done(&taken.into_iter().map(|entry| entry.key).collect::<Vec<_>>()).unwrap();
        }
    };
    tokio::select! {
        ended = syncer.run(CancellationToken::new()) => ended.unwrap(),
        () = work => {}
    }
    copies.join().unwrap();
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("STORE_KILL_SEED").unwrap_or(7);
    let kills = number("STORE_KILLS").unwrap_or(KILLS.into());
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut acknowledged, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store_kill::the_process_that_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .env(FIRST, acknowledged.len().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed in the middle of whatever follows a line.
        let many = random.usize(1..80);
        for (count, line) in
            BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).enumerate()
        {
            match line.split_once(' ').map(|(word, id)| (word, id.parse::<UplinkId>())) {
                Some(("kept", Ok(id))) => drop(acknowledged.insert(id)),
                Some(("taken", Ok(id))) => drop(taken.insert(id)),
                _ => {}
            }
            if count == many {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let (store, _syncer) = Store::open(options(dir.path())).unwrap();
        let there: BTreeSet<_> =
            store.history(&UplinkQuery::default()).map(|uplink| uplink.unwrap().id()).collect();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        let waiting = store.tenant("tenant").unwrap().head(&BTreeSet::new(), usize::MAX).unwrap();
        let waiting: BTreeSet<_> = waiting.into_iter().filter_map(|entry| uplink_of(&entry.event)).collect();
        let missed = acknowledged.iter().find(|id| !taken.contains(id) && !waiting.contains(id));
        assert_eq!(missed, None, "round {round}: neither taken by the tenant nor waiting for it");
        assert_eq!(store.verify().unwrap().faults, Vec::<String>::new(), "round {round}");
    }
    println!("{kills} kills, seed {seed}, {} acknowledged uplinks, lost: 0", acknowledged.len());
}

//! The whole gateway on a disk that fails and by a clock that jumps: what was answered with 2xx is not lost.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::reading::run;
use crate::support::daemon::{Daemon, Gateway};
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::shim::{FAILING, FULL, READ_ONLY, Shim};
use crate::support::subscriber::Subscriber;
use crate::support::within;

/// The store looks every few seconds whether the disk takes writes again.
const RECOVERY: Duration = Duration::from_secs(40);

/// A gateway with its own broker, and the uplinks that it has promised to keep.
struct Site {
    shim: Shim,
    gateway: Gateway,
    broker: Mosquitto,
    /// Before the broker.
    door: Proxy,
    accepted: BTreeSet<String>,
    refused: usize,
    next: u16,
}

impl Site {
    async fn new() -> Self {
        // Another test of the process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let broker = Mosquitto::start().await;
        let door = Proxy::start(broker.port());
        let gateway = Gateway::new(&format!(
            "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[sources.factory]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9/\"\n\
             login = \"l\"\npassword = \"p\"\ndownlink = \"callback\"\ncallback_token = \"token\"\n",
            door.url()
        ));
        let shim = Shim::new(&gateway.data());
        Self { shim, gateway, broker, door, accepted: BTreeSet::new(), refused: 0, next: 0 }
    }

    fn start(&self) -> Daemon {
        self.gateway.start_with(&self.shim.environment())
    }

    /// Brings an uplink of the cloud's time as a callback; says whether the gateway has taken it.
    async fn bring(&mut self, daemon: &Daemon) -> bool {
        let time = 1_789_000_000 + u64::from(self.next);
        let body = json!({ "device": "4D9A83", "data": "17", "time": time, "seqNumber": self.next });
        let url = format!("http://{}/callback/factory/uplink", daemon.address().await);
        let request = reqwest::Client::new().post(url).bearer_auth("token").body(body.to_string());
        let status = request.send().await.unwrap().status();
        if status.is_success() {
            self.accepted.insert(format!("4D9A83-{time}-{}", self.next));
            self.next += 1;
        } else {
            assert!(status.is_server_error(), "{status}");
            self.refused += 1;
        }
        status.is_success()
    }

    async fn bring_many(&mut self, daemon: &Daemon, many: usize) {
        for _ in 0..many {
            assert!(self.bring(daemon).await, "{}", daemon.log());
        }
    }

    /// What `/healthz` says.
    async fn health(&self, daemon: &Daemon) -> (u16, Value) {
        let response = reqwest::get(format!("http://{}/healthz", daemon.address().await)).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Ends the daemon as a loss of power would end it, and fails if the store does not have all that was accepted.
    fn end(&self, daemon: Daemon, what: &str) {
        daemon.kill();
        let (code, out, err) = run(&self.gateway, &["messages", "--json", "--limit", "10000"]);
        assert_eq!(code, Some(0), "{err}");
        let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
        let kept: BTreeSet<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        let lost = self.accepted.difference(&kept).count();
        println!("{what}: {} accepted, {} refused, lost: {lost}", self.accepted.len(), self.refused);
        assert_eq!(lost, 0, "{what}");
    }
}

fn ids(subscriber: &Subscriber) -> BTreeSet<String> {
    let came = subscriber.on("/event/up");
    came.iter().map(|message| message.json()["id"].as_str().unwrap().to_owned()).collect()
}

async fn waits_out(error: i32, said: &str) {
    let mut site = Site::new().await;
    let daemon = site.start();
    site.bring_many(&daemon, 10).await;
    site.door.shut(true);
    site.broker.kill();
    site.bring_many(&daemon, 20).await;
    site.shim.disk(error, 0);
    for _ in 0..5 {
        assert!(!site.bring(&daemon).await, "{said}: it cannot keep that");
    }
    let (status, health) = site.health(&daemon).await;
    assert_eq!(status, 503, "{health}");
    assert!(health["reasons"][0]["reason"].as_str().unwrap().starts_with(said), "{health}");
    // What it has is published all the same, and the trouble is said.
    site.broker.begin().await;
    let subscriber = Subscriber::start(site.broker.port(), "sigfox2mqtt/#").await;
    site.door.shut(false);
    let waiting: BTreeSet<_> = site.accepted.iter().skip(10).cloned().collect();
    within(RECOVERY, "the backlog", || waiting.is_subset(&ids(&subscriber))).await;
    within(RECOVERY, "the alarm", || {
        let health = subscriber.on("bridge/health").pop();
        health.is_some_and(|health| {
            health.json()["store_error"].as_str().is_some_and(|error| error.starts_with(said))
        })
    })
    .await;
    site.shim.disk(0, 0);
    let mut healthy = false;
    let limit = Instant::now() + RECOVERY;
    while !healthy && Instant::now() < limit {
        healthy = site.health(&daemon).await.0 == 200;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.bring_many(&daemon, 10).await;
    within(RECOVERY, "the rest", || site.accepted.iter().skip(10).all(|id| ids(&subscriber).contains(id)))
        .await;
    within(RECOVERY, "the end of the alarm", || {
        subscriber.on("bridge/health").pop().is_some_and(|health| health.json()["store_error"].is_null())
    })
    .await;
    site.end(daemon, said);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_said_and_waited_out() {
    tokio::join!(
        waits_out(FULL, "the disk is full"),
        waits_out(READ_ONLY, "the disk is read-only"),
        waits_out(FAILING, "the disk is failing"),
    );
}

/// Gives the program a small file system of its own, which is full for as long as a file says so.
const SMALL: &str = r#"
mount -t tmpfs -o size=24m none "$DATA" || exit
while kill -0 $$ 2>/dev/null; do
    if [ -e "$FULL" ]; then
        [ -e "$DATA/filler" ] || head -c 100000000 /dev/zero > "$DATA/filler" 2>/dev/null
    else
        rm -f "$DATA/filler"
    fi
    sleep 0.05
done &
exec "$@"
"#;

#[tokio::test]
async fn a_small_file_system_that_is_full_is_said_and_waited_out() {
    let may_mount = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        println!("nobody may mount a file system here: not tried");
        return;
    }
    let mut site = Site::new().await;
    let subscriber = Subscriber::start(site.broker.port(), "sigfox2mqtt/#").await;
    let full = site.gateway.data().with_extension("full");
    fs::create_dir(site.gateway.data()).unwrap();
    let mut small = Command::new("unshare");
    small.args(["-rm", "sh", "-c", SMALL, "sh", env!("CARGO_BIN_EXE_sigfox2mqtt"), "--config"]);
    small.arg(site.gateway.configuration()).env("NO_COLOR", "1");
    let daemon = site.gateway.start_as({
        small.env("DATA", site.gateway.data()).env("FULL", &full);
        small
    });
    site.bring_many(&daemon, 10).await;
    fs::write(&full, "").unwrap();
    let limit = Instant::now() + RECOVERY;
    while site.bring(&daemon).await {
        assert!(Instant::now() < limit, "it never was full");
    }
    let (status, health) = site.health(&daemon).await;
    assert_eq!(status, 503, "{health}");
    assert_eq!(health["reasons"][0]["reason"], json!("the disk is full"), "{health}");
    fs::remove_file(&full).unwrap();
    let limit = Instant::now() + RECOVERY;
    while !site.bring(&daemon).await {
        assert!(Instant::now() < limit, "{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.bring_many(&daemon, 10).await;
    within(RECOVERY, "all that was accepted", || site.accepted.is_subset(&ids(&subscriber))).await;
    println!("24 MB, full once: {} accepted, {} refused, lost: 0", site.accepted.len(), site.refused);
    daemon.kill();
}

/// Longer in `tests/long/disk`.
#[tokio::test]
async fn a_disk_on_which_every_so_manieth_write_fails_loses_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seed, rounds) = (number("DISK_SEED").unwrap_or(7), number("DISK_ROUNDS").unwrap_or(2));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut site = Site::new().await;
    let daemon = site.start();
    site.bring_many(&daemon, 5).await;
    for round in 0..rounds {
        let error = [FULL, READ_ONLY, FAILING][usize::try_from(round % 3).unwrap()];
        site.shim.disk(error, random.i32(2..30));
        while site.bring(&daemon).await {}
        site.shim.disk(0, 0);
        let limit = Instant::now() + RECOVERY;
        while !site.bring(&daemon).await {
            assert!(Instant::now() < limit, "round {round}: {}", daemon.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        site.bring_many(&daemon, 5).await;
    }
    // sled forgets them, see `store::flush`.
    let woken = daemon.log().matches("who waits for the disk is told that it failed").count();
    site.end(
        daemon,
        &format!("{rounds} disks whose writes failed now and then, seed {seed}, {woken} times woken"),
    );
}

#[tokio::test]
async fn a_clock_that_jumps_loses_nothing() {
    const HOUR: i64 = 3_600;
    let mut site = Site::new().await;
    let subscriber = Subscriber::start(site.broker.port(), "sigfox2mqtt/#").await;
    let since_1970 = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let mut daemon = site.start();
    for (what, offset_s) in [
        ("an hour ahead", HOUR),
        ("a day ahead", 24 * HOUR),
        ("1970", 60 - since_1970),
        ("as it is", 0),
        ("an hour behind", -HOUR),
    ] {
        site.shim.clock(offset_s);
        site.bring_many(&daemon, 3).await;
        daemon.kill();
        // A gateway without a clock of its own begins in 1970 and learns better while it runs.
        daemon = site.start();
        site.bring_many(&daemon, 3).await;
        within(RECOVERY, what, || site.accepted.is_subset(&ids(&subscriber))).await;
    }
    site.end(daemon, "a clock that jumped five times, with a kill each");
}

//! A gateway whose clock jumps: by an hour, by a day, back, and from 1970 to now. The clouds' clocks are right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use sigfox2mqtt::clock;
use sigfox2mqtt::model::DeviceId;
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Uplink, World};
use tempfile::TempDir;

use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

const TYPE: &str = "5f000000000000000000000a";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A clock that stands where a file says.
struct CrookedClock {
    folder: TempDir,
}

impl CrookedClock {
    fn new(off_by_s: i64) -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap() };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clock.c");
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&clock.library(), &source])
            .arg("-ldl")
            .status();
        assert!(compiler.unwrap().success());
        clock.set(off_by_s);
        clock
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("off_by")
    }

    /// In one step, as the daemon may read it at any moment.
    fn set(&self, off_by_s: i64) {
        let next = self.folder.path().join("next");
        fs::write(&next, off_by_s.to_string()).unwrap();
        fs::rename(next, self.file()).unwrap();
    }

    fn start(&self, gateway: &Gateway) -> Daemon {
        gateway.start_with(&[("LD_PRELOAD", &self.library()), ("CLOCK_OFF_BY", &self.file())])
    }
}

/// Clouds of both kinds, and a gateway that asks one of them by an interval and the other by a cron expression.
struct Site {
    cloud: Running,
    _broker: Mosquitto,
    gateway: Gateway,
    uplinks: Subscriber,
    bridge: Subscriber,
    sent: u16,
}

impl Site {
    async fn start() -> Self {
        let world = World::new(3)
            .with_type(DeviceType::new(TYPE, "tank"))
            .with_device(Device::new(id("A1"), TYPE))
            .with_device(Device::new(id("C1"), TYPE).soracom_only());
        let options = Options { rate_limits: false, ..Options::default() };
        let cloud = Simulator::start(world, options).await.unwrap();
        let broker = Mosquitto::start().await;
        let gateway = Gateway::new(&format!(
            r#"
            version = 1
            [gateway]
            id = "site"
            data_dir = "{{data}}"
            [mqtt]
            url = "{broker}"
            [sources.factory]
            kind = "sigfox"
            url = "{sigfox}"
            login = "5f0000000000000000000a91"
            password = "simulated"
            poll = "*/1 * * * * *"
            [sources.japan]
            kind = "soracom"
            url = "{soracom}"
            auth_key_id = "keyId-simulated"
            auth_key = "secret-simulated"
            poll = "1s"
            "#,
            broker = broker.url(),
            sigfox = cloud.sigfox_v2_url(),
            soracom = cloud.soracom_url(),
        ));
        let uplinks = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/up").await;
        let bridge = Subscriber::start(broker.port(), "sigfox2mqtt/bridge/#").await;
        Self { cloud, _broker: broker, gateway, uplinks, bridge, sent: 0 }
    }

    /// Each device sends once.
    fn send(&mut self) {
        for device in ["A1", "C1"] {
            let payload = format!("{:04x}", self.sent).parse().unwrap();
            self.cloud.record(Uplink::new(id(device), clock::now(), self.sent, payload));
        }
        self.sent += 1;
    }

    fn requests(&self) -> u64 {
        self.cloud.requests().values().sum()
    }

    /// Lets the devices send, waits until all is there, and holds the requests meanwhile against the schedule.
    async fn settle(&mut self) {
        let (start, before) = (Instant::now(), self.requests());
        for _ in 0..2 {
            self.send();
            let total = 2 * usize::from(self.sent);
            eventually(&format!("{total} uplinks"), || self.uplinks.count() >= total).await;
        }
        // Two polls of one request, or two, a second; a session begun anew; an inventory.
        let most = 12 + 5 * start.elapsed().as_secs();
        let made = self.requests() - before;
        assert!(made <= most, "{made} requests in {:?}", start.elapsed());
    }

    /// What came, by device: each once.
    fn arrived(&self) -> BTreeMap<String, Vec<u64>> {
        let mut devices: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for document in self.uplinks.all().iter().map(|message| message.json()) {
            let device = document["device"].as_str().unwrap().to_owned();
            devices.entry(device).or_default().push(document["seq"].as_u64().unwrap());
        }
        devices
    }
}

fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_loses_nothing_and_asks_no_more_than_it_should() {
    let mut site = Site::start().await;
    let clock = CrookedClock::new(0);
    let daemon = clock.start(&site.gateway);
    site.settle().await;
    // Also while it is off, and back again; the last one is the longest.
    for off_by_s in [HOUR, 0, DAY, -DAY, 40 * DAY, 0] {
        clock.set(off_by_s);
        site.settle().await;
    }
    let each: Vec<u64> = (0..u64::from(site.sent)).collect();
    assert_eq!(site.arrived(), BTreeMap::from([("A1".to_owned(), each.clone()), ("C1".to_owned(), each)]));
    let gaps = site.bridge.on("bridge/event");
    let gaps: Vec<_> = gaps.iter().filter(|event| event.json()["event"] == json!("gap_possible")).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_in_1970_waits_for_its_clock_and_misses_nothing() {
    let mut site = Site::start().await;
    let clock = CrookedClock::new(-clock::now().as_seconds());
    let daemon = clock.start(&site.gateway);
    site.send();
    let waits = || {
        site.bridge.last("bridge/sources/factory").is_some_and(|status| {
            status.json()["error"].as_str().is_some_and(|error| error.contains("waiting until it is set"))
        })
    };
    eventually("the source to say why it waits", waits).await;
    assert_eq!(site.requests(), 0);
    clock.set(0);
    site.settle().await;
    let each: Vec<u64> = (0..u64::from(site.sent)).collect();
    assert_eq!(site.arrived(), BTreeMap::from([("A1".to_owned(), each.clone()), ("C1".to_owned(), each)]));
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

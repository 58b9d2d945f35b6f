//! A gateway whose clock jumps: by an hour, by a day, back, and from 1970 to now. The clouds' clocks are right, so that
//! polls and looks over the whole backfill window still find what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use sigfox2mqtt::clock;
use sigfox2mqtt::model::{DeviceId, Timestamp};
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Uplink, World};
use tempfile::TempDir;

use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

/// Device types of the v2 source and of the v1 source.
const TYPES: [&str; 2] = ["5f000000000000000000000a", "5f000000000000000000000b"];
const DEVICES: [&str; 3] = ["A1", "B1", "C1"];
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// The sequence numbers of messages that turn up late begin here.
const LATE: u16 = 1000;

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

/// Clouds of all kinds, and a gateway that asks one of them by a cron expression and the others by an interval.
struct Site {
    cloud: Running,
    _broker: Mosquitto,
    gateway: Gateway,
    uplinks: Subscriber,
    bridge: Subscriber,
    sent: u16,
    late: u16,
}

impl Site {
    async fn start() -> Self {
        let world = World::new(3)
            .with_type(DeviceType::new(TYPES[0], "tank"))
            .with_type(DeviceType::new(TYPES[1], "meter"))
            .with_device(Device::new(id("A1"), TYPES[0]))
            .with_device(Device::new(id("B1"), TYPES[1]))
            .with_device(Device::new(id("C1"), TYPES[0]).soracom_only());
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
            device_types = ["tank"]
            poll = "*/1 * * * * *"
            resync = "2s"
            [sources.old]
            kind = "sigfox"
            api = "v1"
            url = "{old}"
            login = "5f0000000000000000000a91"
            password = "simulated"
            device_types = ["meter"]
            poll = "1s"
            resync = "2s"
            [sources.japan]
            kind = "soracom"
            url = "{soracom}"
            auth_key_id = "keyId-simulated"
            auth_key = "secret-simulated"
            poll = "1s"
            resync = "2s"
            "#,
            broker = broker.url(),
            sigfox = cloud.sigfox_v2_url(),
            old = cloud.sigfox_v1_url(),
            soracom = cloud.soracom_url(),
        ));
        let uplinks = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/up").await;
        let bridge = Subscriber::start(broker.port(), "sigfox2mqtt/bridge/#").await;
        Self { cloud, _broker: broker, gateway, uplinks, bridge, sent: 0, late: 0 }
    }

    /// Each device sends once.
    fn send(&mut self) {
        self.record(clock::now(), self.sent);
        self.sent += 1;
    }

    /// Of each device a message turns up that is older than any poll looks back, but not than a resync does.
    fn turn_up(&mut self) {
        let age = Duration::from_secs(2 * HOUR.unsigned_abs() - u64::from(self.late));
        self.record(clock::now().minus(age), LATE + self.late);
        self.late += 1;
    }

    fn record(&self, time: Timestamp, seq: u16) {
        for device in DEVICES {
            let payload = format!("{seq:04x}").parse().unwrap();
            self.cloud.record(Uplink::new(id(device), time, seq, payload));
        }
    }

    fn requests(&self) -> u64 {
        self.cloud.requests().values().sum()
    }

    /// Lets the devices send, waits until all is there, and holds the requests meanwhile against the schedule.
    async fn settle(&mut self) {
        let (start, before) = (Instant::now(), self.requests());
        self.turn_up();
        for _ in 0..2 {
            self.send();
            let total = DEVICES.len() * usize::from(self.sent + self.late);
            eventually(&format!("{total} uplinks"), || self.uplinks.count() >= total).await;
        }
        // Polls of one request, or two, a second and as many resyncs in two; a session begun anew; an inventory.
        let most = 24 + 8 * start.elapsed().as_secs();
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
        for numbers in devices.values_mut() {
            numbers.sort_unstable();
        }
        devices
    }

    /// What was sent, by device.
    fn expected(&self) -> BTreeMap<String, Vec<u64>> {
        let numbers: Vec<u64> = (0..self.sent).chain(LATE..LATE + self.late).map(u64::from).collect();
        DEVICES.into_iter().map(|device| (device.to_owned(), numbers.clone())).collect()
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
    assert_eq!(site.arrived(), site.expected());
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
    assert_eq!(site.arrived(), site.expected());
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

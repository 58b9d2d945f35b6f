//! A source of each kind in one gateway: nothing is lost and nothing comes twice, whatever the clouds do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;
use sigfox2mqtt::clock;
use sigfox2mqtt::model::{DeviceId, Timestamp};
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Uplink, World};

use crate::source_faults::{ROUNDS, Strike, at_random, each_once};
use crate::support::daemon::{Daemon, Gateway};
use crate::support::{mosquitto::Mosquitto, subscriber::Subscriber, within};

/// Device types: of the v2 source, of the v1 source, of nobody but Soracom, and one that both Sigfox sources poll.
const TYPES: [&str; 4] = [
    "5f000000000000000000000a",
    "5f000000000000000000000b",
    "5f000000000000000000000c",
    "5f000000000000000000000d",
];
const SOURCES: [&str; 3] = ["v2", "v1", "soracom"];
/// The device that all three sources have.
const SHARED: &str = "5A";
/// Each device with its type and its history. Each source has 1,230 messages: over pages of 100 messages (Sigfox),
/// and over two pages of up to 1,000 entries of one device (Soracom).
const DEVICES: [(&str, usize, u32); 7] = [
    ("A1", 0, 1100),
    ("A2", 0, 100),
    ("B1", 1, 1100),
    ("B2", 1, 100),
    ("C1", 2, 1100),
    ("C2", 2, 100),
    (SHARED, 3, 30),
];
const HISTORY: usize = 3630;
/// Waits for long: several faults in a row make a source patient, and a busy machine makes timeouts of its own.
const LIMIT: Duration = Duration::from_secs(300);

/// A gateway between a cloud and a broker, and what the devices sent so far.
struct Site {
    cloud: Running,
    _broker: Mosquitto,
    daemon: Daemon,
    uplinks: Subscriber,
    bridge: Subscriber,
    sent: BTreeMap<DeviceId, u32>,
    /// What the network complained about, and where it found devices.
    complaints: usize,
    located: usize,
    services: Subscriber,
    locations: Subscriber,
    faults: usize,
    _gateway: Gateway,
}

impl Site {
    async fn start() -> Self {
        let (world, sent) = world();
        let options = Options { rate_limits: false, ..Options::default() };
        let cloud = Simulator::start(world, options).await.unwrap();
        let broker = Mosquitto::start().await;
        let gateway = Gateway::new(&configuration(&cloud, &broker));
        let uplinks = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/up").await;
        let bridge = Subscriber::start(broker.port(), "sigfox2mqtt/bridge/#").await;
        let services = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/service").await;
        let locations = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/event/location").await;
        let daemon = gateway.start();
        Self {
            cloud,
            _broker: broker,
            daemon,
            uplinks,
            bridge,
            sent,
            complaints: 0,
            located: 0,
            services,
            locations,
            faults: 0,
            _gateway: gateway,
        }
    }

    fn total(&self) -> usize {
        self.sent.values().map(|count| usize::try_from(*count).unwrap()).sum()
    }

    /// Every device sends one more message, which only polls find.
    fn send(&mut self) {
        for (device, count) in &mut self.sent {
            let mut message = uplink(*device, *count, clock::now());
            if ["A1", "B1"].map(id).contains(device) {
                // A poll brings the message first; its place is known after that.
                message = message.located(48.5, 2.25, 400, Duration::from_millis(1500));
                self.located += 1;
            }
            self.cloud.record(message);
            *count += 1;
        }
        let severity = if self.complaints % 2 == 0 { "ERROR" } else { "WARN" };
        let info = format!("complaint {}", self.complaints);
        assert!(self.cloud.world(|world| world.complain(id("B1"), severity, &info, clock::now())));
        self.complaints += 1;
    }

    fn strike(&mut self, strike: Strike) {
        let (line, count) = strike.line();
        self.cloud.fault(line.parse().unwrap());
        self.faults += count;
        if strike.wants_a_session() {
            self.cloud.end_tokens();
        }
    }

    fn is(&self, source: &str, state: &str) -> bool {
        let told = self.bridge.last(&format!("bridge/sources/{source}"));
        told.is_some_and(|status| status.json()["state"] == json!(state))
    }

    /// Waits until every fault has struck, everything is there and each source has been well since. Somebody who mends
    /// their credentials asks these sources for a poll meanwhile.
    async fn settle(&self, refused: &[&str]) {
        let limit = Instant::now() + LIMIT;
        let (mut rounds, mut well) = (0_u64, BTreeSet::<&str>::new());
        while !(self.is_all_there() && well.len() == SOURCES.len()) {
            assert!(Instant::now() < limit, "{}\nlog:\n{}", self.unsettled(), self.daemon.log());
            if self.cloud.faults_left() == 0 {
                well.extend(SOURCES.into_iter().filter(|source| self.is(source, "ok")));
            }
            if rounds % 50 == 49 {
                for source in refused {
                    let wanted = format!(r#"{{"source":"{source}"}}"#);
                    self.bridge.publish("sigfox2mqtt/bridge/request/sync", wanted);
                }
            }
            rounds += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_all_there(&self) -> bool {
        self.uplinks.count() >= self.total()
            && self.services.count() >= self.complaints
            && self.placed() >= self.located
            && self.cloud.faults_left() == 0
    }

    /// What is waited for, in words.
    fn unsettled(&self) -> String {
        let states = SOURCES.map(|source| self.bridge.last(&format!("bridge/sources/{source}")));
        format!(
            "{} of {} uplinks, {} of {} complaints, {} of {} places, {} faults to strike\n{:?}",
            self.uplinks.count(),
            self.total(),
            self.services.count(),
            self.complaints,
            self.locations.count(),
            self.located,
            self.cloud.faults_left(),
            states.map(|state| state.map(|state| state.json())),
        )
    }

    /// The numbers of each device's uplinks, in the order of arrival.
    fn arrived(&self) -> BTreeMap<DeviceId, Vec<u32>> {
        let mut devices: BTreeMap<DeviceId, Vec<u32>> = BTreeMap::new();
        for document in self.uplinks.all().iter().map(|message| message.json()) {
            let number = u32::from_str_radix(document["data"].as_str().unwrap(), 16).unwrap();
            devices.entry(id(document["device"].as_str().unwrap())).or_default().push(number);
        }
        devices
    }

    /// Messages told with their place. One that is listed before its message is told alone first.
    fn placed(&self) -> usize {
        self.locations.all().iter().filter(|place| place.json()["uplink"].is_string()).count()
    }

    /// Ends the gateway in order, and says how many uplinks never came and how many came again.
    async fn lost_and_repeated(self) -> (usize, usize) {
        let (mut lost, mut repeated) = (0, 0);
        for (sent, came) in [(self.complaints, self.services.count()), (self.located, self.placed())] {
            lost += sent.saturating_sub(came);
            repeated += came.saturating_sub(sent);
        }
        let arrived = self.arrived();
        for (device, count) in &self.sent {
            let numbers = arrived.get(device).cloned().unwrap_or_default();
            let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
            lost += (0..*count).filter(|number| !distinct.contains(number)).count();
            repeated += numbers.len() - distinct.len();
        }
        assert_eq!(self.daemon.terminate().await.code(), Some(0));
        (lost, repeated)
    }
}

fn world() -> (World, BTreeMap<DeviceId, u32>) {
    let mut world = World::new(7);
    for kind in TYPES {
        world.add_type(DeviceType::new(kind, format!("type {kind}")));
    }
    let mut sent = BTreeMap::new();
    for (device, kind, count) in DEVICES {
        let listed = Device::new(id(device), TYPES[kind]);
        world.add_device(match kind {
            2 => listed.soracom_only(),
            3 => listed.soracom(),
            _ => listed,
        });
        // Devices send at the same instants, so that a page's border lies between siblings.
        for number in 0..count {
            let age = Duration::from_secs(60 * u64::from(count - number));
            world.record(uplink(id(device), number, clock::now().minus(age)));
        }
        sent.insert(id(device), count);
    }
    (world, sent)
}

/// A device's message: its payload counts, and so does its sequence number in its 12 bits.
fn uplink(device: DeviceId, number: u32, time: Timestamp) -> Uplink {
    let seq = u16::try_from(number % 4096).unwrap();
    Uplink::new(device, time, seq, format!("{number:08x}").parse().unwrap())
}

fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn configuration(cloud: &Running, broker: &Mosquitto) -> String {
    let [own_v2, own_v1, _, both] = TYPES;
    let sigfox = |name: &str, api: &str, url: String, own: &str| {
        format!(
            r#"
            [sources.{name}]
            kind = "sigfox"
            api = "{api}"
            url = "{url}"
            login = "5f0000000000000000000a91"
            password = "simulated"
            device_types = ["{own}", "{both}"]
            poll = "1s"
            inventory = "2s"
            locations = "2s"
            resync = "15s"
            rate = "1000/10s"
            timeout = "2s"
            callback_token = "secret-{name}"
            "#
        )
    };
    format!(
        r#"
        version = 1
        [gateway]
        id = "site"
        data_dir = "{{data}}"
        [mqtt]
        url = "{broker}"
        [http]
        listen = "127.0.0.1:0"
        {v2}
        {v1}
        [sources.soracom]
        kind = "soracom"
        url = "{soracom}"
        auth_key_id = "keyId-simulated"
        auth_key = "secret-simulated"
        poll = "1s"
        resync = "15s"
        rate = "1000/10s"
        timeout = "2s"
        "#,
        broker = broker.url(),
        v2 = sigfox("v2", "v2", cloud.sigfox_v2_url(), own_v2),
        v1 = sigfox("v1", "v1", cloud.sigfox_v1_url(), own_v1),
        soracom = cloud.soracom_url(),
    )
}

/// How long the devices send among faults at random: nothing for each fault once; by `tests/long/sources`, minutes.
fn long_run() -> Option<(u64, Duration)> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    Some((number("SOURCES_SEED")?, Duration::from_secs(60 * number("SOURCES_MINUTES")?)))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_source_syncs_its_history_over_pages_once_and_in_order() {
    let site = Site::start().await;
    site.settle(&[]).await;
    for (device, numbers) in site.arrived() {
        assert_eq!(numbers, (0..site.sent[&device]).collect::<Vec<_>>(), "{device}");
    }
    for (part, pages) in [(TYPES[0], 12), (TYPES[1], 12), ("C1/data", 2)] {
        assert!(site.cloud.requests_with(part) >= pages, "{part}: {:?}", site.cloud.requests());
    }
    // Two more polls of everything bring nothing again.
    let polls = SOURCES.map(|source| site.bridge.on(&format!("bridge/sources/{source}")).len());
    for (source, before) in SOURCES.iter().zip(polls) {
        within(LIMIT, "more polls", || {
            site.bridge.on(&format!("bridge/sources/{source}")).len() >= before + 4
        })
        .await;
    }
    assert_eq!((site.uplinks.count(), site.total()), (HISTORY, HISTORY));
    assert_eq!(site.lost_and_repeated().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_every_kind_at_every_source_lose_nothing_and_repeat_nothing() {
    let mut site = Site::start().await;
    site.settle(&[]).await;
    let long = long_run();
    let mut rng = fastrand::Rng::with_seed(long.map_or(0, |(seed, _)| seed));
    let start = Instant::now();
    for round in 0.. {
        let strikes = match long {
            Some((_, span)) if start.elapsed() >= span => break,
            Some(_) => at_random(&mut rng),
            None if round == ROUNDS => break,
            None => each_once(round),
        };
        for strike in &strikes {
            site.strike(*strike);
        }
        site.send();
        for strike in strikes.iter().filter(|strike| strike.locks_out()) {
            let source = SOURCES[strike.source];
            within(LIMIT, &format!("{source} to be locked out"), || site.is(source, "auth_failed")).await;
        }
        let refused = strikes.iter().filter(|strike| strike.wants_a_person());
        let refused: Vec<&str> = refused.map(|strike| SOURCES[strike.source]).collect();
        site.settle(&refused).await;
    }
    let (uplinks, faults, span) = (site.total(), site.faults, start.elapsed().as_secs());
    let (lost, repeated) = site.lost_and_repeated().await;
    println!("{uplinks} uplinks, {faults} faults in {span} s, lost: {lost}, twice: {repeated}");
    assert_eq!((lost, repeated), (0, 0));
}

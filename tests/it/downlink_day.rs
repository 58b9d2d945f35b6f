//! A day of downlinks: devices that ask, commands over MQTT, retries of callbacks, and a daemon that is killed. They go
//! all ways: by callbacks one by one and in batches, by a type's fixed answer, by Soracom's slot.
//!
//! What the simulated clouds have transmitted is held against what the gateway says about each item. `tests/long/downlinks`
//! runs the same with more devices and kills.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigfox2mqtt::model::DeviceId;
use sigfox2mqtt::simulate::{Options, Running, Simulator, Telegram};

use crate::downlink_world::{DAILY_LIMIT, FORMER, Way, configuration, way, world};
use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::subscriber::Subscriber;

/// A device asks again after the cloud's last retry, as real ones do that send every ten minutes.
const ASKS_AFTER_MS: std::ops::Range<u64> = 4_600..6_000;
/// A device that is served by its type's fixed answer asks when the answer before has been taken down.
const ASKS_DIRECTLY_AFTER_MS: std::ops::Range<u64> = 18_000..22_000;
/// Wall clock between two kills.
const KILLED_AFTER_MS: std::ops::Range<u64> = 4_000..8_000;

/// How long the day is, from the environment; the short one unless told otherwise.
struct Size {
    devices: usize,
    kills: usize,
    seed: u64,
}

impl Size {
    fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let count = |name, default| number(name).map_or(default, |count| usize::try_from(count).unwrap());
        Self {
            devices: count("DOWNLINK_DAY_DEVICES", 6),
            kills: count("DOWNLINK_DAY_KILLS", 3),
            seed: number("DOWNLINK_DAY_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000)),
        }
    }
}

/// The clouds, the broker and the gateway, and what was commanded so far.
struct Day {
    cloud: Running,
    watch: Subscriber,
    random: fastrand::Rng,
    devices: Vec<DeviceId>,
    /// When each device asks next.
    asks: BTreeMap<DeviceId, Instant>,
    /// How many downlinks a device has shown to have.
    shown: BTreeMap<DeviceId, usize>,
    questions: usize,
    commands: BTreeMap<&'static str, usize>,
    /// Every name that a command gave an item, by device.
    named: Vec<(String, String)>,
    made: u64,
}

impl Day {
    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }

    fn way(&self, device: DeviceId) -> Way {
        way(self.devices.iter().position(|known| *known == device).unwrap())
    }

    /// An item of eight bytes that nobody else sends.
    fn item(&mut self, device: DeviceId) -> Value {
        self.made += 1;
        let mut item = json!({"data": format!("{:016x}", self.made)});
        if self.random.u8(..5) > 0 {
            let name = format!("set-{}", self.made);
            self.named.push((device.to_string(), name.clone()));
            item["id"] = json!(name);
        }
        match self.random.u8(..8) {
            0 | 1 => item["coalesce"] = json!("level"),
            2 => item["expires_after"] = json!("6s"),
            _ => {}
        }
        item
    }

    /// One command to a device, as chance has it; now and then twice, as brokers do.
    fn command(&mut self) {
        let device = self.devices[self.random.usize(..self.devices.len())];
        let (verb, body) = match self.random.u8(..20) {
            0 | 1 => ("replace", json!([self.item(device)])),
            2 | 3 => {
                let own = self.named.iter().rfind(|(id, _)| *id == device.to_string());
                ("cancel", own.map_or_else(|| json!({"all": true}), |(_, name)| json!({"id": name})))
            }
            4 => ("cancel", json!({"all": true})),
            5 | 6 => ("push", json!([self.item(device), self.item(device)])),
            _ => ("push", self.item(device)),
        };
        *self.commands.entry(verb).or_default() += 1;
        let repeats = if body.get("id").is_some() && self.random.u8(..6) == 0 { 2 } else { 1 };
        for _ in 0..repeats {
            self.watch.publish(&format!("sigfox2mqtt/device/{device}/downlink/{verb}"), body.to_string());
        }
    }

    /// Lets the devices ask whose time has come; a seventh of the answers goes wrong on the air.
    fn ask(&mut self) {
        let now = Instant::now();
        let due: Vec<DeviceId> =
            self.asks.iter().filter(|(_, at)| **at <= now).map(|(device, _)| *device).collect();
        for device in due {
            if self.random.u8(..7) == 0 {
                // Not 3: that the gateway keeps within the quota is what this day is to show.
                let code = [4, 7, 1, 2][self.random.usize(..4)];
                self.cloud.world(|world| world.device_mut(device).unwrap().forced_info_codes = vec![code]);
            }
            let way = self.way(device);
            let has = self.cloud.received(device).len();
            let is_new = self.shown.insert(device, has).is_some_and(|shown| shown < has);
            // Bit 7 of the first byte says that a downlink arrived since the last message.
            let payload = if is_new && way == Way::Acknowledged { "80" } else { "00" };
            self.cloud.send(device, Telegram { payload: payload.parse().ok(), ack: true }).unwrap();
            self.questions += 1;
            let after = if way == Way::Direct { ASKS_DIRECTLY_AFTER_MS } else { ASKS_AFTER_MS };
            let next = now + self.millis(after);
            self.asks.insert(device, next);
        }
    }

    /// Goes on for so long: devices ask, commands come.
    async fn live(&mut self, span: Duration) {
        let until = Instant::now() + span;
        let every = Duration::from_millis(900 / u64::try_from(self.devices.len()).unwrap());
        while Instant::now() < until {
            self.ask();
            self.command();
            tokio::time::sleep(every.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// The newest document of each item, by device and name.
    fn items(&self) -> BTreeMap<(String, String), Value> {
        let mut items: BTreeMap<(String, String), Value> = BTreeMap::new();
        for message in self.watch.all() {
            if !message.topic.ends_with("/event/downlink") {
                continue;
            }
            let document = message.json();
            let key = (text(&document["device"]), text(&document["id"]));
            let is_older = |known: &Value| known["updated"].as_str() > document["updated"].as_str();
            if !items.get(&key).is_some_and(is_older) {
                items.insert(key, document);
            }
        }
        items
    }

    /// Holds what the cloud has transmitted to a device against what its items say.
    fn compare(&self, device: DeviceId, items: &[&Value], sums: &mut Sums) {
        let all = self.cloud.received(device);
        let mut of_day: BTreeMap<i64, usize> = BTreeMap::new();
        for downlink in all.iter().filter(|downlink| downlink.data.to_string() != FORMER) {
            *of_day.entry(downlink.time.as_seconds().div_euclid(86_400)).or_default() += 1;
        }
        let most = of_day.into_values().max().unwrap_or(0);
        let limit = usize::try_from(DAILY_LIMIT).unwrap();
        assert!(most <= limit, "{device} had {most} downlinks in a day");
        sums.used_up += usize::from(most == limit);
        let mut received: Vec<String> = all.iter().map(|downlink| downlink.data.to_string()).collect();
        received.retain(|data| data != FORMER);
        received.sort();
        sums.received += received.len();
        let is = |item: &Value, states: &[&str]| states.iter().any(|state| item["state"] == json!(*state));
        // Only where the gateway was killed between its word to Soracom and Soracom's may it be wrong, and it says so.
        let is_doubt = |item: &&&Value| {
            let reason = item["reason"].as_str().unwrap_or_default();
            reason.starts_with("unconfirmed") && received.binary_search(&text(&item["data"])).is_err()
        };
        let said = items.iter().filter(|item| is(item, &["sent", "acked"]));
        let (doubts, sure): (Vec<&&Value>, Vec<&&Value>) = said.partition(is_doubt);
        sums.in_doubt += doubts.len();
        sums.said += sure.len();
        let mut sent: Vec<String> = sure.iter().map(|item| text(&item["data"])).collect();
        sent.sort();
        // Only where a device asked between our look and our second submission can it have something twice, and the item
        // says that it may.
        let doubled =
            |item: &&&&Value| item["reason"].as_str().is_some_and(|reason| reason.ends_with("twice"));
        for item in sure.iter().filter(doubled) {
            let data = text(&item["data"]);
            if received.iter().filter(|one| **one == data).count() == 2 {
                sums.twice += 1;
                received.remove(received.binary_search(&data).unwrap());
            }
        }
        assert_eq!(received, sent, "{device}: {sure:#?}");
        received.dedup();
        assert_eq!(received.len(), sent.len(), "{device} received something twice");
    }

    /// Fails if of an item that a command named nothing was ever heard, and says where its command was lost.
    fn miss_none(&self, items: &BTreeMap<(String, String), Value>) {
        let lost: Vec<_> = self.named.iter().filter(|key| !items.contains_key(key)).collect();
        if lost.is_empty() {
            return;
        }
        let all = self.watch.all();
        for (device, name) in &lost {
            let (topic, quoted) = (format!("/{device}/downlink/"), format!("\"{name}\""));
            let relayed = all.iter().filter(|message| {
                message.topic.contains(&topic) && String::from_utf8_lossy(&message.payload).contains(&quoted)
            });
            let topics: Vec<&str> = relayed.map(|message| message.topic.as_str()).collect();
            println!("{device} {name}: told on {topics:?}");
        }
        for message in all.iter().filter(|message| message.topic.ends_with("/bridge/event")) {
            println!("{}", String::from_utf8_lossy(&message.payload));
        }
        panic!("never heard of: {lost:?}");
    }

    /// Lets the devices ask until no item is open and no callback is on its way.
    async fn settle(&mut self) {
        // What was taken out of a fixed answer waits for a minute for the cloud's word.
        let limit = Instant::now() + Duration::from_secs(180);
        let mut quiet = Instant::now();
        // The last retry and the last sweep of the gateway lie within this.
        while quiet.elapsed() < Duration::from_secs(6) {
            let open: Vec<Value> = self.items().into_values().filter(is_open).collect();
            assert!(Instant::now() < limit, "still open: {open:#?}");
            if !open.is_empty() {
                quiet = Instant::now();
                self.ask();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What all devices together have received, and where that and the items differ.
#[derive(Debug, Default)]
struct Sums {
    received: usize,
    /// Said to be sent with a doubt, and not received: the gateway was killed before Soracom had answered.
    in_doubt: usize,
    /// Said to be sent or acknowledged, without a doubt.
    said: usize,
    /// Received twice, with an item that says that it may be.
    twice: usize,
    /// Devices that had as many as they may in a day.
    used_up: usize,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn is_open(item: &Value) -> bool {
    ["queued", "armed", "submitted"].iter().any(|state| item["state"] == json!(state))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_devices_received_is_what_items_say_after_a_day_of_commands_and_kills() {
    let Size { devices, kills, seed } = Size::from_environment();
    println!("seed {seed}: {devices} devices, {kills} kills");
    let devices: Vec<DeviceId> =
        (0..devices).map(|number| format!("{:X}", 0x1A_2B00 + number).parse().unwrap()).collect();
    let (broker, port) = (Mosquitto::start().await, free_port());
    let options = Options { rate_limits: false, ..Options::default() };
    let cloud = Simulator::start(world(&devices, port, seed), options).await.unwrap();
    let gateway = Gateway::new(&configuration(&devices, &broker, &cloud, port));
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let mut daemon: Daemon = gateway.start();
    eventually("every device", || watch.on("/info").len() >= devices.len()).await;

    let mut random = fastrand::Rng::with_seed(seed);
    let first = |random: &mut fastrand::Rng| Instant::now() + Duration::from_millis(random.u64(500..5_000));
    let asks = devices.iter().map(|device| (*device, first(&mut random))).collect();
    let (commands, named, shown) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let mut day = Day { cloud, watch, random, devices, asks, shown, questions: 0, commands, named, made: 0 };
    for _ in 0..kills {
        let span = day.millis(KILLED_AFTER_MS);
        day.live(span).await;
        daemon.kill();
        daemon = gateway.start();
        daemon.logged("gateway ready").await;
    }
    day.live(Duration::from_secs(4)).await;
    // What still waits is taken back; what is under way goes to its end.
    for device in day.devices.clone() {
        let topic = format!("sigfox2mqtt/device/{device}/downlink/cancel");
        day.watch.publish(&topic, r#"{"all":true}"#);
    }
    day.settle().await;

    let items = day.items();
    day.miss_none(&items);
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.values() {
        *ends.entry(text(&item["state"])).or_default() += 1;
        assert!(!item["reason"].to_string().contains("overrun"), "beyond the quota, seed {seed}: {item}");
    }
    let mut sums = Sums::default();
    for device in &day.devices {
        let own: Vec<&Value> =
            items.values().filter(|item| item["device"] == json!(device.to_string())).collect();
        day.compare(*device, &own, &mut sums);
    }
    println!(
        "seed {seed}: {kills} kills, {} questions, commands {:?}, {} items {ends:?}, {sums:?}",
        day.questions,
        day.commands,
        items.len(),
    );
    assert!(sums.received > 0);
    assert!(sums.in_doubt <= kills / 10 && sums.twice <= kills / 10, "seed {seed}: {sums:?}");
    assert!(kills < 30 || sums.used_up > 0, "nobody had its quota used up, seed {seed}");
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

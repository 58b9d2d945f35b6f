//! A day of downlinks: devices that ask, commands over MQTT, retries of callbacks, and a daemon that is killed. They go
//! all ways: by callbacks one by one and in batches, by a type's fixed answer, by Soracom's slot.
//!
//! What the simulated clouds have transmitted is held against what the gateway says about each item. `tests/long/downlinks`
//! runs the same with more devices and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigfox2mqtt::model::DeviceId;
use sigfox2mqtt::simulate::{
    Callback, CallbackKind, Device, DeviceType, Options, Pace, Running, Simulator, Telegram, World,
};

use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::subscriber::Subscriber;

const TYPE: &str = "5f0000000000000000000001";
const BATCH_TYPE: &str = "5f0000000000000000000002";
/// The line of a batch, in the simulator's words and in the gateway's.
const LINE: &str = "{device};{time};{data};{seqNumber};{ack};";
/// What stands in the fixed answer of a direct device's type before the gateway comes.
pub(crate) const FORMER: &str = "3c06000000000000";
/// A minute of the world lasts 0.6 s: a callback that failed is tried again after 0.6, 1.8 and 4.2 s.
const SPEED: f64 = 100.0;
/// A device asks again after the cloud's last retry, as real ones do that send every ten minutes.
const ASKS_AFTER_MS: std::ops::Range<u64> = 4_600..6_000;
/// A device that is served by its type's fixed answer asks when the answer before has been taken down.
const ASKS_DIRECTLY_AFTER_MS: std::ops::Range<u64> = 14_000..18_000;
/// Wall clock between two kills.
const KILLED_AFTER_MS: std::ops::Range<u64> = 4_000..8_000;

/// How a device gets its downlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Callback,
    /// By callbacks, and it shows by its next message that a downlink arrived.
    Acknowledged,
    Batch,
    Direct,
    Soracom,
}

/// A device of the day, by its number.
pub(crate) fn way(number: usize) -> Way {
    [Way::Callback, Way::Batch, Way::Soracom, Way::Acknowledged, Way::Direct, Way::Soracom][number % 6]
}

/// Each device with a fixed answer has a type of its own.
pub(crate) fn direct_type(number: usize) -> String {
    format!("5f00000000000000000d{number:04x}")
}

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

/// Each hears nothing that it did not ask for.
pub(crate) fn world(devices: &[DeviceId], port: u16, seed: u64) -> World {
    let callback = |source: &str, kind: CallbackKind| {
        let url = format!("http://127.0.0.1:{port}/callback/{source}/{}", kind.path());
        Callback::post(format!("{source}-{}", kind.path()), kind, url, Some("callback-token"))
    };
    let batch = callback("batch", CallbackKind::Bidir);
    let batch = Callback {
        url: format!("{}?batch={{batch}}", batch.url),
        line_pattern: Some(LINE.to_owned()),
        body: None,
        ..batch
    };
    let kind = DeviceType::new(TYPE, "tank")
        .callback(callback("factory", CallbackKind::Bidir))
        .callback(callback("factory", CallbackKind::Acknowledge));
    let batched = DeviceType::new(BATCH_TYPE, "valve")
        .callback(batch)
        .callback(callback("batch", CallbackKind::Acknowledge));
    let pace = Pace::new(SPEED).unwrap();
    // The quota is another test's: a day of this world has more opportunities than a contract.
    let mut world = World::new(seed).pace(pace).daily_downlinks(10_000).with_type(kind).with_type(batched);
    for (number, id) in devices.iter().enumerate() {
        let device = match way(number) {
            Way::Callback | Way::Acknowledged => Device::new(*id, TYPE),
            Way::Batch => Device::new(*id, BATCH_TYPE),
            Way::Soracom => Device::new(*id, TYPE).soracom_only(),
            Way::Direct => {
                let kind = DeviceType::new(direct_type(number), format!("pump {number}"));
                let (mode, answer) = (0, Some(FORMER.to_owned()));
                world.add_type(DeviceType { downlink_mode: mode, downlink_data: answer, ..kind });
                Device::new(*id, direct_type(number))
            }
        };
        world.add_device(device);
    }
    world
}

pub(crate) fn configuration(devices: &[DeviceId], broker: &Mosquitto, cloud: &Running, port: u16) -> String {
    let sigfox = |name: &str, types: &str, rest: &str| {
        format!(
            r#"
            [sources.{name}]
            kind = "sigfox"
            url = "{url}"
            login = "5f0000000000000000000a91"
            password = "simulated"
            device_types = ["{types}"]
            rate = "1000/1s"
            {rest}
            "#,
            url = cloud.sigfox_v2_url(),
        )
    };
    let called = "poll = \"5s\"\ncallback_token = \"callback-token\"";
    let acknowledged: String = devices
        .iter()
        .enumerate()
        .filter(|(number, _)| way(*number) == Way::Acknowledged)
        .map(|(_, id)| format!("[devices.{id}]\ndecoder = \"confirming\"\n"))
        .collect();
    format!(
        r#"
        version = 1
        [gateway]
        id = "day"
        data_dir = "{{data}}"
        [mqtt]
        url = "{broker}"
        [http]
        listen = "127.0.0.1:{port}"
        [downlink]
        daily_limit = 1000
        {factory}
        {batch}
        {fixed}
        [sources.japan]
        kind = "soracom"
        url = "{soracom}"
        auth_key_id = "keyId-simulated"
        auth_key = "secret-simulated"
        poll = "1s"
        rate = "1000/1s"
        [decoders.confirming]
        format = "confirmed::bool:7"
        acknowledged_by = "confirmed"
        {acknowledged}
        "#,
        broker = broker.url(),
        factory = sigfox("factory", TYPE, called),
        batch = sigfox("batch", BATCH_TYPE, &format!("{called}\ncallback_batch = \"{LINE}\"")),
        fixed = sigfox("fixed", "5f00000000000000000d*", "poll = \"1s\"\ndownlink = \"direct\""),
        soracom = cloud.soracom_url(),
    )
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
                let code = [3, 4, 7, 1, 2][self.random.usize(..5)];
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

    /// Lets the devices ask until no item is open and no callback is on its way.
    async fn settle(&mut self) {
        let limit = Instant::now() + Duration::from_secs(90);
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
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
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
    let lost: Vec<_> = day.named.iter().filter(|key| !items.contains_key(key)).collect();
    assert!(lost.is_empty(), "never heard of: {lost:?}");
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.values() {
        *ends.entry(text(&item["state"])).or_default() += 1;
    }
    let mut transmitted = 0;
    let mut doubtful = 0;
    for device in &day.devices {
        let mut received: Vec<String> =
            day.cloud.received(*device).iter().map(|downlink| downlink.data.to_string()).collect();
        received.retain(|data| data != FORMER);
        transmitted += received.len();
        received.sort();
        let own = items.values().filter(|item| item["device"] == json!(device.to_string()));
        let said = own.filter(|item| item["state"] == json!("sent") || item["state"] == json!("acked"));
        // Only where the gateway was killed between its word to Soracom and Soracom's may it be wrong, and it says so.
        let is_doubt = |item: &&Value| {
            let reason = item["reason"].as_str().unwrap_or_default();
            reason.starts_with("unconfirmed") && received.binary_search(&text(&item["data"])).is_err()
        };
        let (doubts, sure): (Vec<_>, Vec<_>) = said.partition(is_doubt);
        doubtful += doubts.len();
        if day.way(*device) == Way::Direct {
            // What is taken down may have been fetched just before.
            let stood = |item: &&Value| {
                ["cancelled", "expired", "failed"].iter().any(|state| item["state"] == json!(state))
                    && item["history"].to_string().contains("armed")
            };
            let own = items.values().filter(|item| item["device"] == json!(device.to_string()));
            let taken_down: BTreeSet<String> = own.filter(stood).map(|item| text(&item["data"])).collect();
            received.retain(|data| !taken_down.contains(data));
        }
        let mut sent: Vec<String> = sure.iter().map(|item| text(&item["data"])).collect();
        sent.sort();
        assert_eq!(received, sent, "{device}, seed {seed}: {sure:#?}");
        received.dedup();
        assert_eq!(received.len(), sent.len(), "{device} received something twice, seed {seed}");
    }
    println!(
        "seed {seed}: {kills} kills, {} questions, commands {:?}, {} items {ends:?}, {transmitted} received, 0 twice, \
         {doubtful} unconfirmed and not received",
        day.questions,
        day.commands,
        items.len(),
    );
    assert!(transmitted > 0);
    assert!(doubtful <= kills, "{doubtful} in doubt after {kills} kills");
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

//! The whole daemon is killed at each named step of command → queue → cloud → state, on each of the three ways that a
//! downlink can go. The step is held open from outside, so that the kill finds it there.
//!
//! `tests/long/steps` runs the same more often, with another seed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::model::{DeviceId, Timestamp};
use sigfox2mqtt::simulate::{Options, Pace, Running, Simulator, Telegram};

use crate::downlink_world::{FORMER, Way, configuration, direct_type, way, world};
use crate::step_kill::{PATIENT, patient_broker};
use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::proxy::{Part, Proxy};
use crate::support::puback::Packet;
use crate::support::shim::{self, Shim};
use crate::support::subscriber::Subscriber;

/// Where the gateway is when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The broker has the command, and the gateway does not.
    Commanded,
    /// The command is about to be written,
    Written,
    /// is written and about to be made durable,
    Synced,
    /// is durable, and the broker does not know that.
    Taken,
    /// It is queued, and its event does not reach the broker.
    Queued,
    /// The cloud is about to hear of it,
    Asking,
    /// has it, and the gateway does not know that.
    Answered,
    /// That the cloud has it is told, and the broker's acknowledgement does not come.
    Told,
    /// The same of its end.
    Ended,
}

const STEPS: [Step; 9] = [
    Step::Commanded,
    Step::Written,
    Step::Synced,
    Step::Taken,
    Step::Queued,
    Step::Asking,
    Step::Answered,
    Step::Told,
    Step::Ended,
];

/// A minute of the world lasts three seconds: a callback that failed is tried again after 3, 9 and 21 s.
const SPEED: f64 = 20.0;

/// A device asks for the first time when a gateway that begins has found out what the cloud has of it: nobody can hand
/// over an item and look whether the device asks in one step.
fn asks_after(way: Way) -> Duration {
    Duration::from_secs(if way == Way::Soracom { 4 } else { 0 })
}

/// And again after the cloud's last retry of a callback.
fn asks_again_after(way: Way) -> Duration {
    Duration::from_secs(if way == Way::Callback { 24 } else { 5 })
}

/// A device, its one item, and when it may ask next; not before the gateway was killed.
struct Item {
    device: DeviceId,
    number: usize,
    way: Way,
    data: String,
    asks_at: Option<Instant>,
}

struct Site {
    cloud: Running,
    /// Before the cloud's API, before the gateway's listener, before the broker.
    api: Proxy,
    door: Proxy,
    mqtt: Proxy,
    shim: Shim,
    gateway: Gateway,
    watch: Subscriber,
    _broker: Mosquitto,
    items: Vec<Item>,
    random: fastrand::Rng,
}

impl Site {
    async fn start(devices: &[DeviceId], seed: u64) -> Self {
        let (broker, port) = (patient_broker().await, free_port());
        let door = Proxy::start(port);
        let options = Options { rate_limits: false, ..Options::default() };
        let world = world(devices, door.port(), seed).pace(Pace::new(SPEED).unwrap());
        let cloud = Simulator::start(world, options).await.unwrap();
        let (api, mqtt) = (Proxy::start(cloud.address().port()), Proxy::start_for_mqtt(broker.port()));
        let past = |text: String, port: u16, proxy: &Proxy| {
            text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", proxy.port()))
        };
        let text = configuration(devices, &broker, &cloud, port).replace("[mqtt]", PATIENT);
        let text = past(text, broker.port(), &mqtt);
        let gateway = Gateway::new(&past(text, cloud.address().port(), &api));
        let shim = Shim::new(&gateway.data());
        let watch = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
        let random = fastrand::Rng::with_seed(seed);
        Self { cloud, api, door, mqtt, shim, gateway, watch, _broker: broker, items: Vec::new(), random }
    }

    async fn run(&self) -> Daemon {
        let daemon = self.gateway.start_with(&self.shim.environment());
        daemon.logged("gateway ready").await;
        daemon.logged("connected to the broker").await;
        daemon
    }

    /// What was told of an item, as it came.
    fn told(&self, device: DeviceId) -> Vec<Value> {
        self.watch.on(&format!("/{device}/event/downlink")).iter().map(|message| message.json()).collect()
    }

    fn is_told(&self, device: DeviceId, holds: impl Fn(&Value) -> bool) -> bool {
        self.told(device).iter().any(holds)
    }

    /// Whether the cloud has had a device's item for longer than the second in which times of the two are compared.
    fn has_stood_in_the_cloud(&self, device: DeviceId) -> bool {
        let since =
            self.told(device).iter().rfind(|item| in_the_cloud(item)).map(|item| item["updated"].clone());
        let since = since.and_then(|time| time.as_str().and_then(|time| time.parse::<Timestamp>().ok()));
        since.is_some_and(|since| clock::now().as_seconds() > since.as_seconds())
    }

    /// The devices ask whose time has come; one that has what it is to have is not asked to fetch it twice.
    fn ask(&mut self) {
        for place in 0..self.items.len() {
            let Item { device, way, ref data, asks_at, .. } = self.items[place];
            let is_due = asks_at.is_some_and(|at| at <= Instant::now());
            let is_handed = way == Way::Callback || self.has_stood_in_the_cloud(device);
            let is_served = way == Way::Direct
                && self.cloud.received(device).iter().any(|one| one.data.to_string() == *data);
            if !is_due || !is_handed || is_served || self.is_told(device, is_final) {
                continue;
            }
            self.cloud.send(device, Telegram { payload: "00".parse().ok(), ack: true }).unwrap();
            self.items[place].asks_at = Some(Instant::now() + asks_again_after(way));
        }
    }

    /// Waits, while devices ask whose turn it is.
    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let limit = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(Instant::now() < limit, "waited in vain for {what}");
            self.ask();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Commands an item for a device and brings the daemon to the step; fails if it does not come there.
    async fn reach(&mut self, step: Step, place: usize) {
        let Item { device, number, way, ref data, .. } = self.items[place];
        let command = json!({ "id": "set", "data": data }).to_string();
        let (push, event) = (format!("/{device}/downlink/push"), format!("/{device}/event/downlink"));
        let meddling = self.mqtt.meddling();
        match step {
            Step::Commanded => meddling.hold(Packet::Command, &push),
            Step::Written => self.shim.hold(shim::Step::Write),
            Step::Synced => self.shim.hold(shim::Step::Sync),
            Step::Taken => meddling.hold(Packet::Receipt, &push),
            Step::Queued => meddling.hold(Packet::Publish, &event),
            Step::Told | Step::Ended => meddling.hold(Packet::Acknowledgement, &event),
            Step::Asking => self.lose(Part::Request, device, number, way),
            Step::Answered => self.lose(Part::Answer, device, number, way),
        }
        self.watch.publish(&format!("sigfox2mqtt/device{push}"), command);
        if way == Way::Callback && matches!(step, Step::Asking | Step::Answered | Step::Told | Step::Ended) {
            self.until("the item to be queued", |site| !site.told(device).is_empty()).await;
            self.items[place].asks_at = Some(Instant::now());
        }
        if step == Step::Ended {
            self.items[place].asks_at = Some(Instant::now());
        }
        self.until(&format!("{way:?} {step:?}"), |site| match step {
            Step::Commanded | Step::Taken | Step::Queued => site.mqtt.meddling().waiting() > 0,
            Step::Written | Step::Synced => site.shim.waits(),
            Step::Asking | Step::Answered => site.api.lost() + site.door.lost() > 0,
            Step::Told => site.is_told(device, in_the_cloud),
            Step::Ended => site.is_told(device, is_final),
        })
        .await;
    }

    /// Loses a part of the exchange in which the cloud gets the item of a device.
    fn lose(&self, part: Part, device: DeviceId, number: usize, way: Way) {
        match way {
            Way::Direct => self.api.lose(part, &format!("PUT /v2/device-types/{} ", direct_type(number))),
            Way::Soracom => self.api.lose(part, &format!("/{device}/data ")),
            _ => self.door.lose(part, &device.to_string()),
        }
    }

    /// Kills the daemon, and lets everything go that was held.
    fn kill(&self, daemon: Daemon) {
        daemon.kill();
        self.api.lose_nothing();
        self.door.lose_nothing();
        self.mqtt.meddling().let_go();
        self.shim.disk(0, 0);
    }
}

/// Whether an item's document says that the cloud has it, and that this is certain.
fn in_the_cloud(item: &Value) -> bool {
    ["armed", "submitted"].iter().any(|state| item["state"] == *state) && item["reason"].is_null()
}

fn is_final(item: &Value) -> bool {
    item["final"] == json!(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_step_of_a_callback_the_gateway_sends_a_downlink_once() {
    killed_at_each_step(Way::Callback).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_step_towards_soracom_the_gateway_sends_a_downlink_once() {
    killed_at_each_step(Way::Soracom).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_step_of_a_fixed_answer_the_gateway_sends_a_downlink_once() {
    killed_at_each_step(Way::Direct).await;
}

async fn killed_at_each_step(kind: Way) {
    let seed = std::env::var("STEP_SEED").ok().map_or(5, |text| text.parse().unwrap());
    let id = |number: usize| format!("{:X}", 0x1A_2B00 + number).parse::<DeviceId>().unwrap();
    let devices: Vec<DeviceId> = (0..6 * STEPS.len()).map(id).collect();
    let mut site = Site::start(&devices, seed).await;
    let mut daemon = site.run().await;
    eventually("every device", || site.watch.on("/info").len() >= devices.len()).await;

    // The devices of each way are every sixth.
    let first = (0..6).find(|number| way(*number) == kind).unwrap();
    let mut steps = STEPS;
    site.random.shuffle(&mut steps);
    for (nth, step) in steps.into_iter().enumerate() {
        let number = 6 * nth + first;
        let data = format!("{:016x}", number + 1);
        site.items.push(Item { device: devices[number], number, way: kind, data, asks_at: None });
        let place = site.items.len() - 1;
        site.reach(step, place).await;
        // Where exactly within the step.
        tokio::time::sleep(Duration::from_micros(site.random.u64(..3_000))).await;
        site.kill(daemon);
        daemon = site.run().await;
        site.items[place].asks_at.get_or_insert(Instant::now() + asks_after(kind));
    }
    site.until("the end of every item", |site| {
        site.items.iter().all(|item| site.is_told(item.device, is_final))
    })
    .await;
    let mut repeated = 0;
    for Item { device, data, way, .. } in &site.items {
        let told = site.told(*device);
        let ends: BTreeSet<String> =
            told.iter().filter(|item| is_final(item)).map(|item| item["state"].to_string()).collect();
        assert_eq!(ends, BTreeSet::from(["\"sent\"".to_owned()]), "{way:?} {device}, seed {seed}: {told:#?}");
        let mut received: Vec<String> =
            site.cloud.received(*device).iter().map(|one| one.data.to_string()).collect();
        received.retain(|one| one != FORMER);
        assert_eq!(received, std::slice::from_ref(data), "{way:?} {device}, seed {seed}: {told:#?}");
        let distinct: BTreeSet<String> = told.iter().map(Value::to_string).collect();
        repeated += told.len() - distinct.len();
    }
    println!(
        "{kind:?}, seed {seed}, steps {steps:?}: {} downlinks, {} faults, 0 received twice, {repeated} events repeated, lost: 0",
        site.items.len(),
        steps.len(),
    );
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

//! The whole daemon is killed at each named step of store → outbox → publish → PUBACK → delete. The step is held open from
//! outside, so that the kill finds it there: by proxies before the cloud and the broker, and by a disk that waits.
//!
//! `tests/long/steps` runs the same more often, with another seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, Uplink, World};
use tokio::task::JoinSet;

use crate::main_job::id;
use crate::reading::run;
use crate::support::daemon::{Daemon, Gateway};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::{Part, Proxy};
use crate::support::puback::Packet;
use crate::support::shim::{self, Shim};
use crate::support::subscriber::Subscriber;

const TYPE: &str = "5f0000000000000000000001";
/// Of the first two the gateway learns by polls, of the third by callbacks.
const DEVICES: [&str; 3] = ["1A2B3C", "3068E", "002C"];

/// Where the gateway is when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The cloud has answered the poll, and the gateway does not have the answer yet.
    Polled,
    /// What is to be kept is about to be written,
    Written,
    /// is written and about to be made durable.
    Synced,
    /// It waits in the outbox, and its publish does not reach the broker.
    Waiting,
    /// The broker has it and nobody here knows.
    Published,
    /// The acknowledgement is here, and it is about to be deleted from the outbox on disk,
    Acknowledged,
    /// is deleted, and that is about to be made durable,
    Deleted,
    /// is done with.
    Done,
}

const STEPS: [Step; 8] = [
    Step::Polled,
    Step::Written,
    Step::Synced,
    Step::Waiting,
    Step::Published,
    Step::Acknowledged,
    Step::Deleted,
    Step::Done,
];

/// Callbacks of the cloud on their way; each tells what it says, and whether the gateway has taken it.
type Calls = JoinSet<(Value, bool)>;

struct Site {
    cloud: Running,
    api: Proxy,
    mqtt: Proxy,
    shim: Shim,
    gateway: Gateway,
    watch: Subscriber,
    broker: Mosquitto,
    random: fastrand::Rng,
    /// The identities of all uplinks, and their number by device.
    sent: BTreeSet<String>,
    numbers: BTreeMap<&'static str, u16>,
}

impl Site {
    async fn start(seed: u64) -> Self {
        let kind = DeviceType::new(TYPE, "tank").grammar("count::uint:16");
        let mut world = World::new(seed).with_type(kind);
        for device in &DEVICES[..2] {
            world.add_device(Device::new(id(device), TYPE));
        }
        let options = Options { rate_limits: false, ..Options::default() };
        let cloud = Simulator::start(world, options).await.unwrap();
        let broker = patient_broker().await;
        let (api, mqtt) = (Proxy::start(cloud.address().port()), Proxy::start_for_mqtt(broker.port()));
        let gateway = Gateway::new(&format!(
            r#"
            version = 1
            [gateway]
            id = "steps"
            data_dir = "{{data}}"
            {PATIENT}
            url = "mqtt://127.0.0.1:{mqtt}"
            [http]
            listen = "127.0.0.1:0"
            [store]
            flush = "1s"
            [sources.factory]
            kind = "sigfox"
            url = "http://127.0.0.1:{api}/v2"
            login = "5f0000000000000000000a91"
            password = "simulated"
            poll = "1s"
            callback_token = "token"
            "#,
            mqtt = mqtt.port(),
            api = api.port(),
        ));
        let shim = Shim::new(&gateway.data());
        let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
        let (random, sent, numbers) = (fastrand::Rng::with_seed(seed), BTreeSet::new(), BTreeMap::new());
        Self { cloud, api, mqtt, shim, gateway, watch, broker, random, sent, numbers }
    }

    /// Starts the daemon and waits until it asks its cloud and talks to its broker.
    async fn run(&self) -> Daemon {
        let before = self.cloud.requests_with("/messages");
        let daemon = self.gateway.start_with(&self.shim.environment());
        daemon.logged("connected to the broker").await;
        eventually("a poll", || self.cloud.requests_with("/messages") > before).await;
        daemon
    }

    /// The devices send; gives the callbacks of those that have some.
    async fn send(&mut self, daemon: &Daemon, many: usize) -> Calls {
        let mut calls = Calls::new();
        for _ in 0..many {
            let device = DEVICES[self.random.usize(..DEVICES.len())];
            let number = self.numbers.entry(device).or_default();
            let (seq, now) = (*number, clock::now());
            *number += 1;
            self.sent.insert(format!("{device}-{}-{seq}", now.as_seconds()));
            if device == DEVICES[2] {
                let body =
                    json!({ "device": device, "data": "0017", "time": now.as_seconds(), "seqNumber": seq });
                let call = callback(daemon, &body).await;
                calls.spawn(async move {
                    (body, call.send().await.is_ok_and(|answer| answer.status().is_success()))
                });
            } else {
                self.cloud.record(Uplink::new(id(device), now, seq, format!("{seq:04x}").parse().unwrap()));
            }
        }
        calls
    }

    /// The documents of each uplink as they came.
    fn came(&self) -> BTreeMap<String, Vec<Value>> {
        let mut came: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for document in self.watch.on("/event/up").iter().map(|message| message.json()) {
            came.entry(document["id"].as_str().unwrap().to_owned()).or_default().push(document);
        }
        came
    }

    fn all_came(&self) -> bool {
        self.came().len() == self.sent.len()
    }

    /// Lets the devices send and brings the daemon to the step; fails if it does not come there.
    async fn reach(&mut self, daemon: &Daemon, step: Step, many: usize) -> Calls {
        match step {
            Step::Polled => self.api.lose(Part::Answer, "/messages"),
            Step::Written => self.shim.hold(shim::Step::Write),
            Step::Synced => self.shim.hold(shim::Step::Sync),
            Step::Waiting => self.mqtt.meddling().hold(Packet::Publish, "/event/up"),
            _ => self.mqtt.meddling().hold(Packet::Acknowledgement, "/event/up"),
        }
        let calls = self.send(daemon, many).await;
        match step {
            Step::Polled => eventually("an answer of the cloud", || self.api.lost() > 0).await,
            Step::Written | Step::Synced => eventually("the disk to wait", || self.shim.waits()).await,
            Step::Waiting => {
                eventually("all publishes", || self.mqtt.meddling().waiting() == many).await;
            }
            Step::Published | Step::Acknowledged | Step::Deleted | Step::Done => {
                eventually("all acknowledgements", || self.mqtt.meddling().waiting() == many).await;
            }
        }
        match step {
            Step::Acknowledged => self.shim.hold(shim::Step::Write),
            Step::Deleted => self.shim.hold(shim::Step::Sync),
            Step::Done => {
                let before = metric(daemon, "store_syncs_total").await;
                self.mqtt.meddling().let_go();
                emptied(daemon).await;
                until(daemon, "the outbox synced", "store_syncs_total", |syncs| syncs > before).await;
                return calls;
            }
            _ => return calls,
        }
        self.mqtt.meddling().let_go();
        eventually("the disk to wait", || self.shim.waits()).await;
        calls
    }

    /// Waits until nothing waits for the broker, on disk too, and all that the broker was told has come.
    async fn forget(&mut self, daemon: &Daemon) {
        emptied(daemon).await;
        // What was done last is written and synced within a second; nothing tells when there is nothing left of it.
        let (before, limit) =
            (metric(daemon, "store_syncs_total").await, Instant::now() + Duration::from_secs(3));
        while metric(daemon, "store_syncs_total").await <= before && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mark = format!("mark-{}", self.random.u64(..));
        self.watch.publish("sigfox2mqtt/mark", mark.clone());
        eventually("the mark", || {
            self.watch.last("/mark").is_some_and(|last| last.payload == mark.as_bytes())
        })
        .await;
    }

    /// Kills the daemon, and lets everything go that was held.
    fn kill(&self, daemon: Daemon) {
        daemon.kill();
        self.api.lose_nothing();
        self.mqtt.meddling().let_go();
        self.shim.disk(0, 0);
    }

    /// How many uplinks the store has, and how many events for the broker.
    fn kept(&self) -> (usize, usize) {
        let (code, out, err) = run(&self.gateway, &["store", "stats", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let stats: Value = serde_json::from_str(&out).unwrap();
        let number = |key: &str| usize::try_from(stats[key].as_u64().unwrap()).unwrap();
        (number("uplinks"), number("outbox"))
    }

    /// What is true at the end: all came, repeats say the same, and each device's state is that of its newest uplink.
    async fn conclude(&self) {
        let states = Subscriber::start(self.broker.port(), "sigfox2mqtt/device/+/state").await;
        for (device, number) in &self.numbers {
            eventually("the state of the newest", || {
                let state = states.last(&format!("/{device}/state"));
                state.is_some_and(|state| state.json()["seq"] == json!(number - 1))
            })
            .await;
        }
        for (id, documents) in self.came() {
            let mut said: Vec<Value> = documents;
            for document in &mut said {
                // Asked for again, it was received later.
                document.as_object_mut().unwrap().remove("received");
            }
            said.dedup();
            assert_eq!(said.len(), 1, "{id} was told with one identity and different content: {said:#?}");
        }
    }
}

/// While acknowledgements are held back, everything else goes through the same window.
pub(crate) const PATIENT: &str = "[mqtt]\nmax_inflight = 1000";

/// A broker that takes so many.
pub(crate) async fn patient_broker() -> Mosquitto {
    Mosquitto::with("allow_anonymous true\nmax_inflight_messages 2000\n").await
}

/// A callback that says this.
async fn callback(daemon: &Daemon, body: &Value) -> reqwest::RequestBuilder {
    let url = format!("http://{}/callback/factory/uplink", daemon.address().await);
    reqwest::Client::new().post(url).bearer_auth("token").body(body.to_string())
}

async fn metric(daemon: &Daemon, name: &str) -> f64 {
    let url = format!("http://{}/metrics", daemon.address().await);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("sigfox2mqtt_{name} ")));
    line.unwrap().parse().unwrap()
}

async fn until(daemon: &Daemon, what: &str, name: &str, holds: impl Fn(f64) -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds(metric(daemon, name).await) {
        assert!(Instant::now() < limit, "waited in vain for {what}:\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nothing waits for the broker.
async fn emptied(daemon: &Daemon) {
    until(daemon, "an empty outbox", "outbox_events", |events| events < 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_step_of_an_uplink_the_gateway_loses_none() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seed, rounds) = (number("STEP_SEED").unwrap_or(5), number("STEP_ROUNDS").unwrap_or(1));
    let mut site = Site::start(seed).await;
    let mut daemon = site.run().await;
    let mut told = BTreeMap::new();
    for round in 0..rounds {
        let mut steps = STEPS;
        site.random.shuffle(&mut steps);
        for step in steps {
            let many = site.random.usize(1..12);
            let before: usize = site.came().values().map(Vec::len).sum();
            let calls = site.reach(&daemon, step, many).await;
            // Where exactly within the step.
            tokio::time::sleep(Duration::from_micros(site.random.u64(..3_000))).await;
            site.kill(daemon);
            let (kept, left) = site.kept();
            // A poll is asked for again where it was not durable.
            let unkept = site.sent.len() - kept;
            daemon = site.run().await;
            for (body, is_taken) in calls.join_all().await {
                // The cloud calls again where it got no 2xx, and only there.
                if !is_taken {
                    let answer = callback(&daemon, &body).await.send().await.unwrap();
                    assert!(answer.status().is_success(), "{body}");
                }
            }
            let what = format!("round {round}, killed when {step:?}, seed {seed}");
            eventually(&format!("all uplinks; {what}"), || site.all_came()).await;
            site.forget(&daemon).await;
            let came: usize = site.came().values().map(Vec::len).sum();
            let repeated = came - before - many;
            // What the broker had is told again only if the gateway cannot know that: what is done stands in the outbox on
            // disk for a second more.
            let most = if step == Step::Waiting { left - (many - unkept) } else { left + unkept };
            assert!(
                repeated <= most,
                "{repeated} repeated, {left} left in the outbox, {unkept} not kept; {what}"
            );
            let (kills, all, again) = told.entry(format!("{step:?}")).or_insert((0, 0, 0));
            (*kills, *all, *again) = (*kills + 1, *all + many, *again + repeated);
        }
    }
    site.conclude().await;
    assert_eq!(site.kept(), (site.sent.len(), 0));
    for (step, (kills, uplinks, repeated)) in told {
        println!("killed when {step}: {uplinks} uplinks, {kills} faults, {repeated} repeated, lost: 0");
    }
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

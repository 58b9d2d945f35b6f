//! An edge node that anything happens to, and a host that takes nothing on trust.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use prost::Message as _;

use super::declared::Subject;
use super::host::HostState;
use super::metric::{DataType, Metric, Value};
use super::node::{BD_SEQ, Node, Outgoing, REBIRTH};
use super::payload::{self, Payload};
use super::session::{Input, Session, Step};
use super::topic::{Kind, Topics};
use crate::config::Sparkplug;
use crate::model::{DeviceId, Timestamp};

/// What a host knows of the edge node, by its messages alone.
#[derive(Default)]
struct Host {
    /// The number of the testament that the broker keeps.
    testament: Option<u64>,
    seq: Option<u64>,
    born: BTreeSet<DeviceId>,
    /// Every alias of the edge node, with its name.
    aliases: BTreeMap<u64, (Subject, String)>,
    types: BTreeMap<u64, u32>,
}

impl Host {
    fn connected(&mut self, will: &Outgoing) {
        let payload = Payload::decode(&*will.payload).unwrap();
        let number = number_of(&payload);
        if let Some(last) = self.testament {
            assert_eq!(number, (last + 1) % 256, "the next testament");
        }
        assert_eq!(payload.seq, None, "a death has no number");
        *self = Self { testament: Some(number), ..Self::default() };
    }

    fn hear(&mut self, message: &Outgoing) {
        let payload = Payload::decode(&*message.payload).unwrap();
        match message.kind {
            Kind::NodeDeath => {
                assert_eq!(Some(number_of(&payload)), self.testament, "the death of this connection");
                self.seq = None;
                return;
            }
            Kind::NodeBirth => {
                assert_eq!(payload.seq, Some(0));
                assert_eq!(Some(number_of(&payload)), self.testament, "the birth of this connection");
                let rebirth = payload.metrics.iter().find(|metric| metric.name.as_deref() == Some(REBIRTH));
                let rebirth = rebirth.unwrap();
                assert_eq!((rebirth.alias, rebirth.datatype), (None, Some(11)));
                assert_eq!(rebirth.value, Some(payload::Value::Boolean(false)));
                (self.aliases, self.types, self.born) = Default::default();
            }
            _ => {
                let expected = self.seq.map(|last| (last + 1) % 256);
                assert_eq!(payload.seq, expected, "in order, after a birth: {:?}", message.kind);
            }
        }
        self.seq = payload.seq;
        assert!(payload.metrics.iter().all(|metric| metric.timestamp.is_some()));
        assert!(
            payload.metrics.iter().all(|metric| metric.value.is_some() != (metric.is_null == Some(true)))
        );
        match message.kind {
            Kind::NodeBirth => self.learn(Subject::Node, &payload),
            Kind::DeviceBirth(device) => {
                self.born.insert(device);
                self.learn(Subject::Device(device), &payload);
            }
            Kind::NodeData => self.look_up(Subject::Node, &payload),
            Kind::DeviceData(device) => {
                assert!(self.born.contains(&device), "data of a device that is not born");
                self.look_up(Subject::Device(device), &payload);
            }
            Kind::DeviceDeath(device) => assert!(self.born.remove(&device), "the death of a born device"),
            Kind::NodeDeath => {}
        }
    }

    fn learn(&mut self, subject: Subject, payload: &Payload) {
        for metric in &payload.metrics {
            let name = metric.name.clone().unwrap();
            let Some(alias) = metric.alias else {
                assert_eq!(name, REBIRTH, "only this one has no alias");
                continue;
            };
            let known = self.aliases.insert(alias, (subject, name.clone()));
            assert!(known.is_none_or(|known| known == (subject, name)), "an alias for two metrics");
            self.types.insert(alias, metric.datatype.unwrap());
        }
    }

    fn look_up(&self, subject: Subject, payload: &Payload) {
        for metric in &payload.metrics {
            assert_eq!(metric.name, None, "data have aliases alone");
            let alias = metric.alias.unwrap();
            assert_eq!(metric.datatype, self.types.get(&alias).copied(), "the type of the birth");
            let (owner, _) = self.aliases.get(&alias).expect("an alias that a birth told");
            assert_eq!(*owner, subject);
            let fits = match (&metric.value, self.types[&alias]) {
                (None, _)
                | (Some(payload::Value::Double(_)), 10)
                | (Some(payload::Value::Long(_)), 4)
                | (Some(payload::Value::String(_)), 12) => true,
                (Some(_), _) => false,
            };
            assert!(fits, "{metric:?} is no {}", self.types[&alias]);
        }
    }
}

fn number_of(payload: &Payload) -> u64 {
    let metric = payload.metrics.iter().find(|metric| metric.name.as_deref() == Some(BD_SEQ)).unwrap();
    match metric.value {
        Some(payload::Value::Long(number)) => number,
        ref other => panic!("{other:?}"),
    }
}

#[derive(Debug, Clone)]
enum Play {
    Attempt,
    Connect,
    Subscribe,
    Cut,
    Host(bool, u64),
    Rebirth,
    Later(u64),
    Data(usize, Vec<(u8, u8)>, bool),
    NodeData(u8),
    Die(usize),
    Forget(usize),
}

fn plays() -> impl Strategy<Value = Vec<Play>> {
    let values = || proptest::collection::vec((0..6_u8, 0..4_u8), 0..4);
    let play = prop_oneof![
        1 => Just(Play::Attempt),
        3 => Just(Play::Connect),
        4 => Just(Play::Subscribe),
        1 => Just(Play::Cut),
        3 => (any::<bool>(), 0..20_u64).prop_map(|(online, time)| Play::Host(online, time)),
        2 => Just(Play::Rebirth),
        2 => (0..12_u64).prop_map(Play::Later),
        20 => (0..3_usize, values(), any::<bool>()).prop_map(|(who, what, old)| Play::Data(who, what, old)),
        2 => (0..4_u8).prop_map(Play::NodeData),
        1 => (0..3_usize).prop_map(Play::Die),
        1 => (0..3_usize).prop_map(Play::Forget),
    ];
    proptest::collection::vec(play, 0..300)
}

fn metrics(values: &[(u8, u8)], now: Timestamp) -> Vec<Metric> {
    let metric = |(name, kind): &(u8, u8)| {
        let (datatype, value) = match kind {
            0 => (DataType::Double, Some(Value::Double(1.5))),
            1 => (DataType::Int64, Some(Value::Int64(-1))),
            2 => (DataType::String, Some(Value::String("x".to_owned()))),
            _ => (DataType::Double, None),
        };
        Metric::new(format!("m{name}"), datatype, value, now)
    };
    values.iter().map(metric).collect()
}

/// The edge node with the host at its other end.
struct World {
    node: Node,
    host: Host,
    now: Timestamp,
    is_connected: bool,
}

impl World {
    fn hear(&mut self, input: Input) {
        match self.node.session.hear(input, self.now) {
            Step::Nothing => {}
            Step::Birth => {
                let birth = self.node.birth(&[], self.now);
                self.host.hear(&birth);
            }
            Step::Leave => {
                let death = self.node.death(self.now);
                self.host.hear(&death);
                self.is_connected = false;
                self.hear(Input::Disconnected);
            }
        }
    }

    fn play(&mut self, play: Play) {
        let device = |which: usize| ["A", "B", "C"][which].parse::<DeviceId>().unwrap();
        match play {
            Play::Attempt if !self.is_connected => self.hear(Input::Disconnected),
            Play::Connect if !self.is_connected => {
                self.host.connected(&self.node.will(self.now));
                self.is_connected = true;
                self.hear(Input::Connected);
            }
            Play::Subscribe if self.is_connected => self.hear(Input::Subscribed),
            Play::Cut => {
                self.is_connected = false;
                self.hear(Input::Disconnected);
            }
            Play::Host(online, timestamp) if self.is_connected => {
                self.hear(Input::Host(HostState { online, timestamp }));
            }
            Play::Rebirth if self.is_connected => self.hear(Input::Rebirth),
            Play::Later(seconds) => {
                self.now = self.now.plus(std::time::Duration::from_secs(seconds));
                self.hear(Input::Tick);
            }
            Play::Data(which, values, is_historical) if self.node.session.is_born() => {
                let (device, metrics) = (device(which), metrics(&values, self.now));
                let data =
                    |node: &mut Node, now| node.data(Subject::Device(device), &metrics, is_historical, now);
                let message = data(&mut self.node, self.now);
                if let Some(message) = message {
                    self.host.hear(&message);
                } else {
                    let birth = self.node.device_birth(device, &metrics, self.now, self.now);
                    self.host.hear(&birth);
                    // Two values of one name may disagree on its type: then the birth told it all.
                    if let Some(message) = data(&mut self.node, self.now) {
                        self.host.hear(&message);
                    }
                }
            }
            Play::NodeData(name) if self.node.session.is_born() => {
                if let Some(message) =
                    self.node.data(Subject::Node, &metrics(&[(name, 0)], self.now), false, self.now)
                {
                    self.host.hear(&message);
                }
            }
            Play::Die(which) if self.node.session.is_born() && self.node.is_born(device(which)) => {
                let death = self.node.device_death(device(which), self.now);
                self.host.hear(&death);
            }
            Play::Forget(which) if !self.node.is_born(device(which)) => self.node.forget(device(which)),
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_host_can_follow(plays in plays(), has_host in any::<bool>()) {
        let topics = Topics::new(&Sparkplug {
            group: "g".to_owned(),
            edge_node: "e".to_owned(),
            namespace: "spBv1.0".to_owned(),
            primary_host: has_host.then(|| "h".to_owned()),
        });
        let node = Node::new(topics, Session::new(has_host, Some(250)));
        let now = Timestamp::from_cloud(1_789_000_000).unwrap();
        let mut world = World { node, host: Host::default(), now, is_connected: false };
        for play in plays {
            world.play(play);
        }
    }
}

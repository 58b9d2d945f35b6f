//! The edge node as the host sees it: what it says, in which order, by which numbers. Pure.
//!
//! Whatever is made here must be sent, in this order: each message takes the next number.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;

use super::declared::{Declared, Slot, Subject};
use super::metric::{DataType, Metric, Value, wire_time};
use super::payload::{self, Payload, PropertySet, PropertyValue};
use super::session::Session;
use super::topic::{Kind, Topics};
use crate::model::{DeviceId, Timestamp};

/// The metric by which testament and births belong together.
pub(super) const BD_SEQ: &str = "bdSeq";

/// The metric by which a host asks for births. It has no alias, so that a host that knows none can ask.
pub(super) const REBIRTH: &str = "Node Control/Rebirth";

/// A message that is made and numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// What it is.
    pub(super) kind: Kind,
    /// Where to.
    pub(super) topic: String,
    /// What.
    pub(super) payload: Bytes,
}

/// One edge node with its devices.
#[derive(Debug)]
pub(super) struct Node {
    /// Its topics.
    pub(super) topics: Topics,
    /// When it is born and dies.
    pub(super) session: Session,
    /// What the host was told of.
    pub(super) declared: Declared,
    born: BTreeSet<DeviceId>,
}

impl Node {
    /// An edge node that was never born.
    pub(super) fn new(topics: Topics, session: Session) -> Self {
        Self { topics, session, declared: Declared::default(), born: BTreeSet::new() }
    }

    /// The testament of the next connection.
    pub(super) fn will(&self, now: Timestamp) -> Outgoing {
        self.death_of(self.session.will(), now)
    }

    /// The last word of this connection, the same as its testament.
    pub(super) fn death(&self, now: Timestamp) -> Outgoing {
        self.death_of(self.session.last_death().unwrap_or_default(), now)
    }

    fn death_of(&self, number: u8, now: Timestamp) -> Outgoing {
        let number = Metric::new(BD_SEQ, DataType::Int64, Some(Value::Int64(number.into())), now);
        let metric = payload::Metric { name: Some(BD_SEQ.to_owned()), ..declaration(&number, None) };
        self.outgoing(Kind::NodeDeath, vec![metric], None, now)
    }

    /// The edge node is born, and all of its devices are yet to be.
    pub(super) fn birth(&mut self, metrics: &[Metric], now: Timestamp) -> Outgoing {
        self.born.clear();
        let seq = self.session.next_seq(true);
        let number = Value::Int64(self.session.last_death().unwrap_or_default().into());
        let rebirth = Metric::new(REBIRTH, DataType::Boolean, Some(Value::Boolean(false)), now);
        let mut told = vec![declaration(&rebirth, None)];
        let number = Metric::new(BD_SEQ, DataType::Int64, Some(number), now);
        told.extend(self.declarations(Subject::Node, std::iter::once(&number).chain(metrics), now));
        self.outgoing(Kind::NodeBirth, told, Some(seq), now)
    }

    /// Whether a device is born and not dead.
    pub(super) fn is_born(&self, device: DeviceId) -> bool {
        self.born.contains(&device)
    }

    /// A device is born, or born again; what it was known to have before and has no more is null, as of `since`.
    pub(super) fn device_birth(
        &mut self,
        device: DeviceId,
        metrics: &[Metric],
        since: Timestamp,
        now: Timestamp,
    ) -> Outgoing {
        self.born.insert(device);
        let seq = self.session.next_seq(false);
        let told = self.declarations(Subject::Device(device), metrics.iter(), since);
        self.outgoing(Kind::DeviceBirth(device), told, Some(seq), now)
    }

    /// A device is gone.
    pub(super) fn device_death(&mut self, device: DeviceId, now: Timestamp) -> Outgoing {
        self.born.remove(&device);
        let seq = self.session.next_seq(false);
        self.outgoing(Kind::DeviceDeath(device), Vec::new(), Some(seq), now)
    }

    /// New values. None where the host must be told of a metric, of its new type or of the device before: then the
    /// next birth tells of it, and nothing is numbered.
    pub(super) fn data(
        &mut self,
        subject: Subject,
        metrics: &[Metric],
        is_historical: bool,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let mut is_known = match subject {
            Subject::Node => true,
            Subject::Device(device) => self.is_born(device),
        };
        let mut told = Vec::with_capacity(metrics.len());
        for metric in metrics {
            let known = self.declared.told(subject, &metric.name);
            if let Some(slot) = known.filter(|slot| slot.datatype == metric.datatype) {
                told.push(sample(metric, slot, is_historical));
            } else if self.declared.declare(subject, &metric.name, metric.datatype).is_some() {
                is_known = false;
            }
        }
        if !is_known {
            return None;
        }
        let kind = match subject {
            Subject::Node => Kind::NodeData,
            Subject::Device(device) => Kind::DeviceData(device),
        };
        let seq = self.session.next_seq(false);
        Some(self.outgoing(kind, told, Some(seq), now))
    }

    /// A device will not come again.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.born.remove(&device);
        self.declared.forget(device);
    }

    /// The given metrics, then those that the subject was known to have: each with name, number and type.
    fn declarations<'a>(
        &mut self,
        subject: Subject,
        metrics: impl Iterator<Item = &'a Metric>,
        since: Timestamp,
    ) -> Vec<payload::Metric> {
        let mut told = Vec::new();
        let mut names = BTreeSet::new();
        for metric in metrics {
            if let Some(slot) = self.declared.declare(subject, &metric.name, metric.datatype) {
                if names.insert(metric.name.as_ref()) {
                    told.push(declaration(metric, Some(slot)));
                }
            }
        }
        self.declared.tell(subject);
        for (name, slot) in self.declared.of(subject).filter(|(name, _)| !names.contains(name)) {
            let nothing = Metric::new(name.to_owned(), slot.datatype, None, since);
            told.push(declaration(&nothing, Some(slot)));
        }
        told
    }

    fn outgoing(
        &self,
        kind: Kind,
        metrics: Vec<payload::Metric>,
        seq: Option<u8>,
        now: Timestamp,
    ) -> Outgoing {
        let payload = Payload { timestamp: Some(wire_time(now)), metrics, seq: seq.map(u64::from) };
        Outgoing { kind, topic: self.topics.of(kind), payload: payload.encode_to_vec().into() }
    }
}

/// A metric as a birth tells it.
fn declaration(metric: &Metric, slot: Option<Slot>) -> payload::Metric {
    let property = |unit: &str| PropertySet {
        keys: vec!["engUnit".to_owned()],
        values: vec![PropertyValue { datatype: Some(DataType::String.code()), text: Some(unit.to_owned()) }],
    };
    payload::Metric {
        name: Some(metric.name.clone().into_owned()),
        alias: slot.map(|slot| slot.alias),
        timestamp: Some(wire_time(metric.time)),
        datatype: Some(metric.datatype.code()),
        is_null: metric.value.is_none().then_some(true),
        properties: metric.unit.as_deref().map(property),
        value: metric.value.as_ref().map(Value::on_the_wire),
        ..payload::Metric::default()
    }
}

/// A metric as data tell it: by its number. Its type is no news, and the specification would rather not have it told
/// again; but hosts on Eclipse Tahu's JavaScript library read no value without it.
fn sample(metric: &Metric, slot: Slot, is_historical: bool) -> payload::Metric {
    payload::Metric {
        alias: Some(slot.alias),
        timestamp: Some(wire_time(metric.time)),
        datatype: Some(slot.datatype.code()),
        is_historical: is_historical.then_some(true),
        is_null: metric.value.is_none().then_some(true),
        value: metric.value.as_ref().map(Value::on_the_wire),
        ..payload::Metric::default()
    }
}

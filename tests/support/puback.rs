//! What a proxy does to the packets between a client and its broker: it knows just enough of MQTT to hold them back, and
//! to repeat acknowledgements, turn them round, or make refusals of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
/// Acknowledgements that wait for company are let go when none comes for so long.
const LONELY: Duration = Duration::from_millis(100);

/// What becomes of PUBACKs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Acks {
    #[default]
    AsTheyCome,
    Late(Duration),
    /// Each so-manieth is sent once more.
    Twice(u64),
    /// So many are held and then sent in the opposite order.
    Backwards(usize),
}

/// A packet that can be made to wait in the proxy, so that what led to it stays half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    /// From the client to the broker.
    Publish,
    /// That the broker has it.
    Acknowledgement,
    /// From the broker to the client.
    Command,
    /// That the client has it.
    Receipt,
}

/// The rules, and what was seen; shared by both directions of all connections of a proxy.
#[derive(Default)]
pub(crate) struct Meddling {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    acks: Acks,
    /// Publishes to topics that end so get this reason (MQTT 5, 3.4.2.1), and reach nobody.
    refusal: Option<(String, u8)>,
    refused: BTreeMap<u16, u8>,
    /// What waits, and how its topic ends, or that of the publish that it answers.
    held: Option<(Packet, String)>,
    waiting: usize,
    /// Topics by packet id, of what the client published and of what the broker did.
    unanswered: BTreeMap<u16, Vec<u8>>,
    commands: BTreeMap<u16, Vec<u8>>,
    most_unanswered: usize,
    faults: u64,
    seen: u64,
}

impl Meddling {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn acks(&self, acks: Acks) {
        self.lock().acks = acks;
    }

    pub(crate) fn refuse(&self, refusal: Option<(&str, u8)>) {
        self.lock().refusal = refusal.map(|(topic, reason)| (topic.to_owned(), reason));
    }

    /// From now on such packets wait whose topic ends so, or that answer a publish to it.
    pub(crate) fn hold(&self, packet: Packet, topic: &str) {
        let mut inner = self.lock();
        inner.held = Some((packet, topic.to_owned()));
        inner.waiting = 0;
    }

    /// What waits goes on, unless its connection is gone.
    pub(crate) fn let_go(&self) {
        self.lock().held = None;
    }

    /// How many packets have waited since something is held.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// How many acknowledgements were not passed on as they came.
    pub(crate) fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// How many publishes were unanswered at once, at most.
    pub(crate) fn most_unanswered(&self) -> usize {
        self.lock().most_unanswered
    }
}

/// One direction of one connection.
#[derive(Default)]
pub(crate) struct Filter {
    bytes: Vec<u8>,
    held: Vec<(Instant, Vec<u8>)>,
    stopped: Vec<u8>,
}

impl Filter {
    /// Takes what came and gives what is to be passed on now.
    pub(crate) fn pass(&mut self, rules: &Meddling, came: &[u8], to_client: bool) -> Vec<u8> {
        self.bytes.extend_from_slice(came);
        let mut on = Vec::new();
        while let Some(length) = packet_length(&self.bytes) {
            let packet: Vec<u8> = self.bytes.drain(..length).collect();
            let mut rules = rules.lock();
            if rules.stops(&packet, to_client) {
                self.stopped.extend(packet);
                continue;
            }
            match (packet[0] >> 4, to_client) {
                (PUBACK, true) => self.acknowledgement(&mut rules, packet, &mut on),
                (CONNECT, false) => {
                    rules.unanswered.clear();
                    on.extend(packet);
                }
                (PUBLISH, false) => on.extend(publish(&mut rules, packet)),
                _ => on.extend(packet),
            }
        }
        let rules = rules.lock();
        if rules.held.is_none() {
            on.append(&mut self.stopped);
        }
        self.release(&rules, &mut on);
        on
    }

    fn acknowledgement(&mut self, rules: &mut Inner, packet: Vec<u8>, on: &mut Vec<u8>) {
        let id = answered(&packet);
        rules.unanswered.remove(&id);
        rules.seen += 1;
        if let Some(reason) = rules.refused.remove(&id) {
            rules.faults += 1;
            on.extend([PUBACK << 4, 3, packet[2], packet[3], reason]);
            return;
        }
        match rules.acks {
            Acks::AsTheyCome => on.extend(packet),
            Acks::Twice(every) => {
                on.extend(&packet);
                if rules.seen % every == 0 {
                    rules.faults += 1;
                    on.extend(packet);
                }
            }
            Acks::Late(_) | Acks::Backwards(_) => {
                rules.faults += 1;
                self.held.push((Instant::now(), packet));
            }
        }
    }

    fn release(&mut self, rules: &Inner, on: &mut Vec<u8>) {
        match rules.acks {
            Acks::Late(after) => {
                let due = self.held.iter().take_while(|(since, _)| since.elapsed() >= after).count();
                on.extend(self.held.drain(..due).flat_map(|(_, packet)| packet));
            }
            Acks::Backwards(many) => {
                let lonely = self.held.last().is_some_and(|(since, _)| since.elapsed() > LONELY);
                if self.held.len() >= many || lonely {
                    on.extend(self.held.drain(..).rev().flat_map(|(_, packet)| packet));
                }
            }
            Acks::AsTheyCome | Acks::Twice(_) => {
                on.extend(self.held.drain(..).flat_map(|(_, packet)| packet));
            }
        }
    }
}

impl Inner {
    /// Whether a packet is held, which also learns what its acknowledgement will be about.
    fn stops(&mut self, packet: &[u8], to_client: bool) -> bool {
        let topic = match (packet[0] >> 4, to_client) {
            (PUBLISH, _) => {
                let topic = packet[topic(packet)].to_vec();
                if let Some(id) = packet_id(packet) {
                    let of_side = if to_client { &mut self.commands } else { &mut self.unanswered };
                    of_side.insert(id, topic.clone());
                }
                Some(topic)
            }
            (PUBACK, true) => self.unanswered.get(&answered(packet)).cloned(),
            (PUBACK, false) => self.commands.remove(&answered(packet)),
            _ => None,
        };
        let kind = match (packet[0] >> 4, to_client) {
            (PUBLISH, false) => Packet::Publish,
            (PUBACK, true) => Packet::Acknowledgement,
            (PUBLISH, true) => Packet::Command,
            (PUBACK, false) => Packet::Receipt,
            _ => return false,
        };
        let held = self.held.as_ref().filter(|(held, _)| *held == kind);
        let stops = held.zip(topic).is_some_and(|((_, end), topic)| topic.ends_with(end.as_bytes()));
        self.waiting += usize::from(stops);
        stops
    }
}

/// A publish of the client: counted, and bent to where nobody listens if it is to be refused.
fn publish(rules: &mut Inner, mut packet: Vec<u8>) -> Vec<u8> {
    let Some(id) = packet_id(&packet) else { return packet };
    let topic = topic(&packet);
    rules.most_unanswered = rules.most_unanswered.max(rules.unanswered.len());
    if let Some((suffix, reason)) = &rules.refusal {
        if packet[topic.clone()].ends_with(suffix.as_bytes()) {
            rules.refused.insert(id, *reason);
            packet[topic.start] = b'!';
        }
    }
    packet
}

/// Where the topic of a publish lies.
fn topic(packet: &[u8]) -> Range<usize> {
    let start = 1 + packet[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    start + 2..start + 2 + usize::from(u16::from_be_bytes([packet[start], packet[start + 1]]))
}

/// The id of a publish that is acknowledged.
fn packet_id(packet: &[u8]) -> Option<u16> {
    let end = topic(packet).end;
    (packet[0] & 0b110 != 0).then(|| u16::from_be_bytes([packet[end], packet[end + 1]]))
}

/// The id that a PUBACK is about.
fn answered(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

/// The length of the first packet, if all of it is there.
fn packet_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (place, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            let whole = 2 + place + length;
            return (bytes.len() >= whole).then_some(whole);
        }
    }
    None
}

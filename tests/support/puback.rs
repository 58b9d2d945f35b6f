//! What a proxy does to the broker's acknowledgements: it knows just enough of MQTT to hold them back, repeat them,
//! turn them round, or make refusals of them.

use std::collections::{BTreeMap, BTreeSet};
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
    unanswered: BTreeSet<u16>,
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
}

impl Filter {
    /// Takes what came and gives what is to be passed on now.
    pub(crate) fn pass(&mut self, rules: &Meddling, came: &[u8], to_client: bool) -> Vec<u8> {
        self.bytes.extend_from_slice(came);
        let mut on = Vec::new();
        while let Some(length) = packet_length(&self.bytes) {
            let packet: Vec<u8> = self.bytes.drain(..length).collect();
            match (packet[0] >> 4, to_client) {
                (PUBACK, true) => self.acknowledgement(&mut rules.lock(), packet, &mut on),
                (CONNECT, false) => {
                    rules.lock().unanswered.clear();
                    on.extend(packet);
                }
                (PUBLISH, false) => on.extend(publish(&mut rules.lock(), packet)),
                _ => on.extend(packet),
            }
        }
        self.release(&rules.lock(), &mut on);
        on
    }

    fn acknowledgement(&mut self, rules: &mut Inner, packet: Vec<u8>, on: &mut Vec<u8>) {
        let id = u16::from_be_bytes([packet[2], packet[3]]);
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

/// A publish of the client: counted, and bent to where nobody listens if it is to be refused.
fn publish(rules: &mut Inner, mut packet: Vec<u8>) -> Vec<u8> {
    let is_acknowledged = packet[0] & 0b110 != 0;
    let start = 1 + packet[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let topic = start + 2..start + 2 + usize::from(u16::from_be_bytes([packet[start], packet[start + 1]]));
    if !is_acknowledged {
        return packet;
    }
    let id = u16::from_be_bytes([packet[topic.end], packet[topic.end + 1]]);
    rules.unanswered.insert(id);
    rules.most_unanswered = rules.most_unanswered.max(rules.unanswered.len());
    if let Some((suffix, reason)) = &rules.refusal {
        if packet[topic.clone()].ends_with(suffix.as_bytes()) {
            rules.refused.insert(id, *reason);
            packet[topic.start] = b'!';
        }
    }
    packet
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

//! Which publish the broker has acknowledged: the order of handing over, matched with packet ids. Pure.
//!
//! rumqttc tells a publish's packet id only when it writes it, in the order in which it was handed over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// What the publisher calls a publish that waits for its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the broker said about a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Taken,
    /// It does not take it now; the reason in words.
    Later(String),
    /// It will not take it; the reason in words.
    Refused(String),
}

/// An acknowledgement or a packet that was never handed over: what is in flight can no longer be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packet {0} does not match what was handed over")]
pub(crate) struct Mismatch(pub(crate) u16);

/// The publishes of one connection between handing over and the publisher's learning of the acknowledgement.
#[derive(Debug)]
pub(crate) struct Window {
    capacity: usize,
    handed_over: VecDeque<Sent>,
    in_flight: BTreeMap<u16, Sent>,
    settled: VecDeque<(Ticket, Verdict)>,
    /// Whether the publish under way is to stay alone until it is answered.
    alone: bool,
}

/// A publish that waits for its acknowledgement.
#[derive(Debug, Clone, Copy)]
struct Sent {
    ticket: Ticket,
    size: usize,
    since: Instant,
}

impl Window {
    pub(crate) fn new(capacity: usize) -> Self {
        let (handed_over, settled) = (VecDeque::with_capacity(capacity), VecDeque::new());
        Self { capacity, handed_over, in_flight: BTreeMap::new(), settled, alone: false }
    }

    /// Whether one more may be handed over. What is settled counts until it is taken, so that nothing here grows.
    pub(crate) fn has_room(&self) -> bool {
        let is_taken = self.alone && !self.is_idle();
        !is_taken && self.handed_over.len() + self.in_flight.len() + self.settled.len() < self.capacity
    }

    /// Whether nothing waits for its acknowledgement.
    pub(crate) fn is_idle(&self) -> bool {
        self.handed_over.is_empty() && self.in_flight.is_empty()
    }

    /// Keeps a ticket whose publish, a packet of `size` bytes, is handed over in the same step.
    pub(crate) fn push(&mut self, ticket: Ticket, size: usize, since: Instant) {
        self.alone = false;
        self.handed_over.push_back(Sent { ticket, size, since });
    }

    /// The same, and there is no room until it is answered.
    pub(crate) fn push_alone(&mut self, ticket: Ticket, size: usize, since: Instant) {
        self.push(ticket, size, since);
        self.alone = true;
    }

    /// The oldest publish that was handed over has been written as this packet.
    pub(crate) fn sent(&mut self, packet: u16) -> Result<(), Mismatch> {
        let first = self.handed_over.pop_front().ok_or(Mismatch(packet))?;
        match self.in_flight.insert(packet, first) {
            None => Ok(()),
            Some(_) => Err(Mismatch(packet)),
        }
    }

    /// The broker has answered this packet; gives its size in bytes.
    pub(crate) fn acknowledged(&mut self, packet: u16, verdict: Verdict) -> Result<usize, Mismatch> {
        let Sent { ticket, size, .. } = self.in_flight.remove(&packet).ok_or(Mismatch(packet))?;
        self.settled.push_back((ticket, verdict));
        Ok(size)
    }

    /// The next ticket whose fate is known, in the order of the acknowledgements.
    pub(crate) fn take_settled(&mut self) -> Option<(Ticket, Verdict)> {
        self.settled.pop_front()
    }

    /// When the publish that waits longest was handed over.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.in_flight.values().chain(self.handed_over.front()).map(|sent| sent.since).min()
    }

    /// The sizes of what waits for its acknowledgement.
    pub(crate) fn unanswered(&self) -> Vec<usize> {
        self.in_flight.values().chain(&self.handed_over).map(|sent| sent.size).collect()
    }

    /// The connection is gone: open tickets are void, settled ones stay true.
    pub(crate) fn void(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.handed_over.clear();
        self.in_flight.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A connection as rumqttc and a broker play it: packets are written in order, with ids that go around and
    /// skip what is in flight; acknowledgements come in any order.
    #[derive(Debug, Clone)]
    enum Play {
        HandOver,
        Write,
        Acknowledge(usize),
        Take,
        Cut,
    }

    fn plays() -> impl Strategy<Value = Vec<Play>> {
        let play = prop_oneof![
            4 => Just(Play::HandOver),
            4 => Just(Play::Write),
            4 => (0..8_usize).prop_map(Play::Acknowledge),
            3 => Just(Play::Take),
            1 => Just(Play::Cut),
        ];
        proptest::collection::vec(play, 0..400)
    }

    proptest! {
        #[test]
        fn every_settled_ticket_is_the_one_that_its_packet_carried(plays in plays()) {
            let now = Instant::now();
            let mut window = Window::new(8);
            let mut next_ticket = 0;
            let mut next_packet = 0_u16;
            let mut queue: VecDeque<u64> = VecDeque::new();
            let mut wire: Vec<(u16, u64)> = Vec::new();
            let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
            for play in plays {
                match play {
                    Play::HandOver if window.has_room() => {
                        window.push(Ticket(next_ticket), 100, now);
                        queue.push_back(next_ticket);
                        next_ticket += 1;
                    }
                    Play::Write => {
                        if let Some(ticket) = queue.pop_front() {
                            while wire.iter().any(|(packet, _)| *packet == next_packet) {
                                next_packet = (next_packet + 1) % 10;
                            }
                            window.sent(next_packet).unwrap();
                            wire.push((next_packet, ticket));
                            next_packet = (next_packet + 1) % 10;
                        }
                    }
                    Play::Acknowledge(which) if which < wire.len() => {
                        let (packet, ticket) = wire.remove(which);
                        window.acknowledged(packet, Verdict::Taken).unwrap();
                        acknowledged.insert(ticket);
                    }
                    Play::Take => {
                        if let Some((Ticket(ticket), _)) = window.take_settled() {
                            prop_assert!(acknowledged.remove(&ticket), "ticket {ticket} was not acknowledged");
                        }
                    }
                    Play::Cut => {
                        window.void(8);
                        queue.clear();
                        wire.clear();
                    }
                    _ => {}
                }
                prop_assert_eq!(window.has_room(), queue.len() + wire.len() + acknowledged.len() < 8);
                prop_assert_eq!(window.oldest().is_none(), queue.is_empty() && wire.is_empty());
            }
        }
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_told_from_a_good_one() {
        let mut window = Window::new(2);
        assert_eq!(window.sent(1), Err(Mismatch(1)));
        window.push(Ticket(7), 100, Instant::now());
        assert_eq!(window.sent(1), Ok(()));
        assert_eq!(window.acknowledged(2, Verdict::Taken), Err(Mismatch(2)));
        assert_eq!(window.acknowledged(1, Verdict::Taken), Ok(100));
        assert_eq!(window.acknowledged(1, Verdict::Taken), Err(Mismatch(1)));
        assert_eq!(window.take_settled(), Some((Ticket(7), Verdict::Taken)));
    }

    #[test]
    fn what_is_to_be_alone_leaves_no_room_until_it_is_answered() {
        let now = Instant::now();
        let mut window = Window::new(8);
        window.push_alone(Ticket(1), 5_000, now);
        assert!(!window.has_room());
        window.sent(1).unwrap();
        assert_eq!((window.has_room(), window.unanswered()), (false, vec![5_000]));
        window.acknowledged(1, Verdict::Taken).unwrap();
        assert!(window.has_room());
        window.push_alone(Ticket(2), 5_000, now);
        window.void(8);
        assert!(window.has_room(), "nor when its connection is gone");
    }
}

//! Which publish the broker has acknowledged: packet ids and what they stand for. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// The largest packet id of a publish; those above are the subscriptions'.
pub(super) const LAST_PUBLISH: u16 = 0xEFFF;

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

/// An acknowledgement of what is not in flight: what is can no longer be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker acknowledges packet {0}, which is not under way")]
pub(crate) struct Mismatch(pub(crate) u16);

/// The publishes of one connection between handing over and the publisher's learning of the acknowledgement.
#[derive(Debug)]
pub(crate) struct Window {
    capacity: usize,
    /// The packet id that was used last.
    last: u16,
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
        Self { capacity, last: 0, in_flight: BTreeMap::new(), settled: VecDeque::new(), alone: false }
    }

    /// Whether one more may be handed over. What is settled counts until it is taken, so that nothing here grows.
    pub(crate) fn has_room(&self) -> bool {
        let is_taken = self.alone && !self.is_idle();
        !is_taken && self.in_flight.len() + self.settled.len() < self.capacity
    }

    /// Whether nothing waits for its acknowledgement.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The packet id of the next publish: they go round, and skip what is in flight, which the broker may acknowledge
    /// in any order.
    pub(crate) fn next_packet(&self) -> u16 {
        let mut next = self.last;
        loop {
            next = if next >= LAST_PUBLISH { 1 } else { next + 1 };
            if !self.in_flight.contains_key(&next) {
                return next;
            }
        }
    }

    /// Keeps the ticket of a publish that is handed over as this packet of `size` bytes in the same step.
    pub(crate) fn push(&mut self, packet: u16, ticket: Ticket, size: usize, since: Instant) {
        self.alone = false;
        self.last = packet;
        self.in_flight.insert(packet, Sent { ticket, size, since });
    }

    /// The same, and there is no room until it is answered.
    pub(crate) fn push_alone(&mut self, packet: u16, ticket: Ticket, size: usize, since: Instant) {
        self.push(packet, ticket, size, since);
        self.alone = true;
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

    /// Whether what is settled makes room for enough, or nothing much will follow it.
    pub(crate) fn is_worth_telling(&self) -> bool {
        let settled = self.settled.len();
        settled > 0 && (settled >= self.capacity / 4 || self.in_flight.len() <= self.capacity / 2)
    }

    /// When the publish that waits longest was handed over.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.in_flight.values().map(|sent| sent.since).min()
    }

    /// The sizes of what waits for its acknowledgement.
    pub(crate) fn unanswered(&self) -> Vec<usize> {
        self.in_flight.values().map(|sent| sent.size).collect()
    }

    /// The connection is gone: open tickets are void, settled ones stay true.
    pub(crate) fn void(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.in_flight.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A connection as a broker plays it: acknowledgements come in any order.
    #[derive(Debug, Clone)]
    enum Play {
        HandOver,
        Acknowledge(usize),
        Take,
        Cut,
    }

    fn plays() -> impl Strategy<Value = Vec<Play>> {
        let play = prop_oneof![
            4 => Just(Play::HandOver),
            4 => (0..8_usize).prop_map(Play::Acknowledge),
            3 => Just(Play::Take),
            1 => Just(Play::Cut),
        ];
        proptest::collection::vec(play, 0..400)
    }

    proptest! {
        #[test]
        fn every_settled_ticket_is_the_one_that_its_packet_carried(plays in plays(), last in 0..=LAST_PUBLISH) {
            let now = Instant::now();
            let mut window = Window { last, ..Window::new(8) };
            let mut next_ticket = 0;
            let mut wire: Vec<(u16, u64)> = Vec::new();
            let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
            for play in plays {
                match play {
                    Play::HandOver if window.has_room() => {
                        let packet = window.next_packet();
                        prop_assert!((1..=LAST_PUBLISH).contains(&packet));
                        prop_assert!(wire.iter().all(|(used, _)| *used != packet), "{packet} is in flight");
                        window.push(packet, Ticket(next_ticket), 100, now);
                        wire.push((packet, next_ticket));
                        next_ticket += 1;
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
                        wire.clear();
                    }
                    _ => {}
                }
                prop_assert_eq!(window.has_room(), wire.len() + acknowledged.len() < 8);
                prop_assert_eq!(window.oldest().is_none(), wire.is_empty());
                // Who waits for room hears of it at the latest when nothing more will be acknowledged.
                prop_assert!(window.is_worth_telling() || acknowledged.is_empty() || !wire.is_empty());
            }
        }
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_told_from_a_good_one() {
        let mut window = Window::new(2);
        assert_eq!(window.acknowledged(1, Verdict::Taken), Err(Mismatch(1)));
        window.push(window.next_packet(), Ticket(7), 100, Instant::now());
        assert_eq!(window.acknowledged(2, Verdict::Taken), Err(Mismatch(2)));
        assert_eq!(window.acknowledged(1, Verdict::Taken), Ok(100));
        assert_eq!(window.acknowledged(1, Verdict::Taken), Err(Mismatch(1)));
        assert_eq!(window.take_settled(), Some((Ticket(7), Verdict::Taken)));
    }

    #[test]
    fn what_is_to_be_alone_leaves_no_room_until_it_is_answered() {
        let now = Instant::now();
        let mut window = Window::new(8);
        window.push_alone(1, Ticket(1), 5_000, now);
        assert_eq!((window.has_room(), window.unanswered()), (false, vec![5_000]));
        window.acknowledged(1, Verdict::Taken).unwrap();
        assert!(window.has_room());
        window.push_alone(2, Ticket(2), 5_000, now);
        window.void(8);
        assert!(window.has_room(), "nor when its connection is gone");
    }

    #[test]
    fn acknowledgements_are_told_together_while_much_is_under_way() {
        let mut window = Window::new(8);
        for packet in 1..=8 {
            window.push(packet, Ticket(packet.into()), 100, Instant::now());
        }
        let mut told = Vec::new();
        for packet in 1..=8 {
            window.acknowledged(packet, Verdict::Taken).unwrap();
            told.push(window.is_worth_telling());
        }
        assert_eq!(told, [false, true, true, true, true, true, true, true]);
        let mut alone = Window::new(1);
        alone.push(1, Ticket(1), 100, Instant::now());
        alone.acknowledged(1, Verdict::Taken).unwrap();
        assert!(alone.is_worth_telling());
    }
}

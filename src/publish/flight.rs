//! What is under way: which publish belongs to what. Pure.

use std::collections::BTreeMap;

use super::Reply;
use super::retained::Stamp;
use crate::mqtt::Ticket;
use crate::store::OutboxKey;

/// What a publish was made of, so that it can be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cargo {
    /// `bridge/state`.
    BridgeState,
    /// An answer.
    Reply(Reply),
    /// A retained document.
    Retained(Stamp),
    /// A message of an event.
    Event(OutboxKey),
}

/// The publishes that wait for their acknowledgement.
#[derive(Debug, Default)]
pub(super) struct Flights {
    last: u64,
    open: BTreeMap<Ticket, (Cargo, String)>,
}

impl Flights {
    /// The ticket for the next publish.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// A publish to this topic was handed over.
    pub(super) fn departed(&mut self, ticket: Ticket, cargo: Cargo, topic: String) {
        self.open.insert(ticket, (cargo, topic));
    }

    /// What an acknowledgement is about; none for a publish of an earlier connection.
    pub(super) fn landed(&mut self, ticket: Ticket) -> Option<(Cargo, String)> {
        self.open.remove(&ticket)
    }

    /// The connection is gone: everything under way, in order.
    pub(super) fn void(&mut self) -> impl Iterator<Item = Cargo> + use<> {
        std::mem::take(&mut self.open).into_values().map(|(cargo, _topic)| cargo)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

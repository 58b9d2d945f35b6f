//! What is handed over next, while there is room.

use super::Publisher;
use crate::clock;
use crate::mqtt::{Epoch, NotTaken, Publish};
use crate::publish::document::BridgeState;
use crate::publish::flight::Cargo;
use crate::publish::outbox::Refusal;
use crate::store::StoreError;

/// A retained document is sent after so many events, while events wait: in a backlog the next event of a device makes its
/// state out of date before anybody has read it.
const EVENTS_IN_TURN: u8 = 20;

impl Publisher {
    /// Hands over as much as there is room for, and has it written together.
    pub(super) fn send(&mut self) {
        self.fill();
        self.link.flush();
        if self.online.is_some_and(|(epoch, _)| !self.link.has_room(epoch)) {
            let prepared = self.outbox.prepare(&self.renderer);
            self.unless_failed(prepared);
        }
    }

    fn fill(&mut self) {
        let Some((epoch, greeted)) = self.online else { return };
        if !greeted {
            if !self.hand_over(epoch, Cargo::BridgeState, self.bridge_state(&BridgeState::ONLINE)) {
                return;
            }
            self.online = Some((epoch, true));
        }
        while self.paused_until.is_none() && self.link.has_room(epoch) {
            let next = self.next_message();
            let Some(Some((cargo, message))) = self.unless_failed(next) else { break };
            if !self.hand_over(epoch, cargo, message) {
                break;
            }
        }
    }

    /// Whether there may be room for more; what is not taken is put back where it came from.
    pub(super) fn hand_over(&mut self, epoch: Epoch, cargo: Cargo, message: Publish) -> bool {
        let ticket = self.flights.ticket();
        match self.link.try_publish(epoch, ticket, &message) {
            Ok(()) => self.flights.departed(ticket, cargo, message.topic),
            Err(NotTaken::Full | NotTaken::Offline) => {
                match cargo {
                    Cargo::Event(key) => self.outbox.put_back(key, message),
                    Cargo::Reply(reply) => self.replies.push_front(reply),
                    Cargo::Retained(stamp) => self.retained.again(stamp),
                    Cargo::BridgeState => {}
                }
                return false;
            }
            Err(never @ (NotTaken::TooLarge { .. } | NotTaken::Malformed)) => {
                let refusal = Refusal { topic: &message.topic, reason: &never.to_string() };
                self.refused(cargo, &refusal);
            }
        }
        true
    }

    /// Answers first; then events, with a retained document now and then.
    fn next_message(&mut self) -> Result<Option<(Cargo, Publish)>, StoreError> {
        if let Some(reply) = self.replies.pop_front() {
            return Ok(Some((Cargo::Reply(reply.clone()), reply.into())));
        }
        if self.events_in_turn >= EVENTS_IN_TURN {
            self.events_in_turn = 0;
            if let Some(document) = self.next_retained()? {
                return Ok(Some(document));
            }
        }
        match self.next_event()? {
            Some(event) => {
                self.events_in_turn += 1;
                Ok(Some(event))
            }
            None => self.next_retained(),
        }
    }

    fn next_retained(&mut self) -> Result<Option<(Cargo, Publish)>, StoreError> {
        let next = self.retained.next(&self.renderer, clock::now())?;
        Ok(next.map(|(stamp, message)| (Cargo::Retained(stamp), message)))
    }

    fn next_event(&mut self) -> Result<Option<(Cargo, Publish)>, StoreError> {
        let next = self.outbox.next(&self.renderer)?;
        Ok(next.map(|(key, message)| (Cargo::Event(key), message)))
    }
}

//! What the broker said, and what follows from it.

use tokio::time::Instant;

use super::{Publisher, RETRY};
use crate::mqtt::{News, Verdict};
use crate::publish::document::{Hello, print};
use crate::publish::flight::Cargo;
use crate::publish::outbox::Refusal;
use crate::publish::{Count, Reply};

impl Publisher {
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Online { epoch, session_present } => {
                self.online = Some((epoch, false));
                self.renderer.run.connected(true);
                self.renderer.run.count(Count::Connection, 1);
                self.outbox.more();
                if !std::mem::replace(&mut self.said_hello, true) {
                    self.replies.push_front(self.hello());
                }
                if self.start_over || !session_present {
                    self.start_over = false;
                    self.everything_again();
                }
            }
            News::Offline => {
                self.online = None;
                self.renderer.run.connected(false);
                for cargo in self.flights.void() {
                    self.renderer.run.count(Count::Repeated, 1);
                    match cargo {
                        Cargo::Reply(reply) => self.replies.push_back(reply),
                        Cargo::Retained(stamp) => self.retained.again(stamp),
                        Cargo::BridgeState | Cargo::Event(_) => {}
                    }
                }
                self.outbox.void();
            }
            News::Acked(ticket, verdict) => {
                if let Some((cargo, topic)) = self.flights.landed(ticket) {
                    self.landed(cargo, &topic, verdict);
                }
            }
        }
    }

    /// Who else publishes below our base listens for this.
    fn hello(&self) -> Reply {
        let payload = print(&Hello::new(&self.renderer.config.gateway.id, false));
        Reply { topic: self.renderer.topics.hello(), payload, correlation: None, replays: None }
    }

    fn landed(&mut self, cargo: Cargo, topic: &str, verdict: Verdict) {
        self.renderer.run.count(Count::Acknowledged, u64::from(verdict == Verdict::Taken));
        match (cargo, verdict) {
            (Cargo::Event(key), Verdict::Taken) => {
                self.renderer.run.count(Count::Uplink, u64::from(topic.ends_with("/event/up")));
                self.outbox.acknowledged(&key);
            }
            (Cargo::Retained(stamp), Verdict::Taken) => {
                let noted = self.retained.arrived(&self.renderer, &stamp);
                self.unless_failed(noted);
            }
            (Cargo::BridgeState | Cargo::Reply(_), Verdict::Taken) => {}
            (cargo, Verdict::Later(reason)) => {
                tracing::warn!(topic, reason, "the broker does not take a message now");
                self.paused_until = Some(Instant::now() + RETRY);
                match cargo {
                    Cargo::Event(key) => self.outbox.again(&key),
                    Cargo::Retained(stamp) => self.retained.again(stamp),
                    Cargo::Reply(reply) => self.replies.push_front(reply),
                    Cargo::BridgeState => self.online = self.online.map(|(epoch, _)| (epoch, false)),
                }
            }
            (cargo, Verdict::Refused(reason)) => self.refused(cargo, &Refusal { topic, reason: &reason }),
        }
    }

    pub(super) fn refused(&mut self, cargo: Cargo, refusal: &Refusal<'_>) {
        let &Refusal { topic, reason } = refusal;
        self.renderer.run.count(Count::Refused, 1);
        match cargo {
            Cargo::Event(key) => {
                let parked = self.outbox.refused(&self.renderer, &key, refusal);
                self.unless_failed(parked);
            }
            Cargo::Retained(_) => tracing::warn!(topic, reason, "document refused"),
            Cargo::Reply(_) => tracing::warn!(topic, reason, "message refused"),
            Cargo::BridgeState => tracing::error!(topic, reason, "the broker refuses to know our state"),
        }
    }

    /// Lets the store forget what the broker has; the states that this changed are sent at once.
    pub(super) fn settle(&mut self) {
        let settled = self.outbox.settle(&self.renderer);
        let devices = self.unless_failed(settled).unwrap_or_default();
        if devices.is_empty() {
            return;
        }
        for device in devices {
            match self.renderer.state_names(device) {
                Ok(names) => self.retained.mark(names),
                Err(error) => self.or_everything_later(Err(error)),
            }
        }
        self.send();
    }
}

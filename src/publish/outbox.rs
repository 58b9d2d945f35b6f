//! From the outbox's events to messages, and back from acknowledgements to an emptier outbox.

use super::ledger::Ledger;
use super::render::Renderer;
use super::run::Count;
use super::state;
use crate::clock;
use crate::model::{DeviceId, Event};
use crate::mqtt::Publish;
use crate::store::{DeviceState, OutboxKey, StoreError};

/// Events that are read ahead.
const READ_AHEAD: usize = 200;

/// So many events may wait for a store that cannot forget them; then no more are sent.
const MOST_UNSETTLED: usize = 2_000;

/// The outbox as the publisher empties it.
#[derive(Debug)]
pub(super) struct Outbox {
    ledger: Ledger,
    /// Whether the store may hold events that were not read.
    more: bool,
    /// How many commits hold all that was read.
    commits: u64,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { ledger: Ledger::default(), more: true, commits: 0 }
    }

    /// The store has more, or may have.
    pub(super) fn more(&mut self) {
        self.more = true;
    }

    /// The next message of the oldest event.
    pub(super) fn next(&mut self, renderer: &Renderer) -> Result<Option<(OutboxKey, Publish)>, StoreError> {
        loop {
            if let Some(ready) = self.ledger.next_ready() {
                return Ok(Some(ready));
            }
            self.read_ahead(renderer)?;
            let Some(entry) = self.ledger.next_waiting() else { return Ok(None) };
            // What a command has led to is its answer: a kill must not take back what was told. An uplink comes again
            // under its own name, and need not wait.
            if matches!(entry.event, Event::Downlink(_)) && !renderer.store.are_durable(self.commits) {
                return Ok(None);
            }
            let (after, messages) = self.make(renderer, &entry.event)?;
            if let Some((device, after)) = entry.event.device().zip(after) {
                self.ledger.changed_state(device, after);
            }
            self.ledger.made(messages);
        }
    }

    pub(super) fn put_back(&mut self, key: OutboxKey, message: Publish) {
        self.ledger.put_back(key, message);
    }

    fn read_ahead(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        let enough = self.ledger.waiting() > 0 || self.ledger.unsettled() > MOST_UNSETTLED;
        if self.more && !enough {
            let entries = renderer.store.outbox_head(self.ledger.known(), READ_AHEAD)?;
            self.commits = renderer.store.commits_made();
            self.more = !entries.is_empty();
            self.ledger.read(entries);
        }
        Ok(())
    }

    /// The messages of an event, and its device's state after it where it changes that.
    fn make(
        &self,
        renderer: &Renderer,
        event: &Event,
    ) -> Result<(Option<DeviceState>, Vec<Publish>), StoreError> {
        let before = match event.device() {
            Some(device) => match self.ledger.state(device) {
                Some(state) => Some(state.clone()),
                None => renderer.store.device_state(device)?,
            },
            None => None,
        };
        let (after, messages) = match event {
            Event::Uplink(uplink) => {
                let profile = renderer.profile(uplink.device)?;
                let decoded = Renderer::decode(&profile, uplink);
                renderer.run.count(Count::DecodeError, u64::from(!decoded.errors.is_empty()));
                let messages = renderer.uplink(uplink, &profile, &decoded);
                (state::after_uplink(before.as_ref(), uplink, &decoded), messages)
            }
            Event::Location { device, location, .. } => {
                let messages = renderer.other_event(event).into_iter().collect();
                (state::after_location(before.as_ref(), *device, *location), messages)
            }
            _ => (None, renderer.other_event(event).into_iter().collect()),
        };
        Ok((after, messages))
    }

    /// The broker has one of the event's messages.
    pub(super) fn acknowledged(&mut self, key: &OutboxKey) {
        self.ledger.settled(key);
    }

    /// The broker will never take one of the event's messages: it is parked, and that is said on `bridge/event`, so
    /// that the rest flows. While the store cannot keep it aside it stays where it is.
    pub(super) fn refused(
        &mut self,
        renderer: &Renderer,
        key: &OutboxKey,
        message: &Refusal<'_>,
    ) -> Result<(), StoreError> {
        let &Refusal { topic, reason } = message;
        if let Some(event) = self.ledger.event(key) {
            if let Err(error) = renderer.store.park(event, topic, reason, clock::now()) {
                self.again(key);
                return Err(error);
            }
        }
        self.ledger.settled(key);
        tracing::error!(topic, reason, "an event cannot be published; it is parked");
        if topic == renderer.topics.bridge("event") {
            // Telling it there would be refused as well, and told again, for ever.
            return Ok(());
        }
        let detail = serde_json::json!({ "topic": topic, "reason": reason }).to_string();
        let event = Event::Bridge { time: clock::now(), kind: "publish_failed".to_owned(), detail };
        if let Err(error) = renderer.store.tell(&event) {
            tracing::warn!(%error, "that could not be told on bridge/event");
        }
        self.more = true;
        Ok(())
    }

    /// The event is to be read and sent again.
    pub(super) fn again(&mut self, key: &OutboxKey) {
        self.ledger.again(key);
        self.more = true;
    }

    /// The connection is gone: whatever is not done is read and sent again, in order.
    pub(super) fn void(&mut self) {
        self.ledger.void();
        self.more = true;
    }

    /// Whether everything that the broker has is forgotten.
    pub(super) fn is_settled(&self) -> bool {
        self.ledger.unsettled() == 0
    }

    /// Lets the store forget what the broker has, and gives the devices whose states that changed. A crash before
    /// the store has done so sends it again.
    pub(super) fn settle(&mut self, renderer: &Renderer) -> Result<Vec<DeviceId>, StoreError> {
        if self.is_settled() {
            return Ok(Vec::new());
        }
        let settlement = self.ledger.settlement();
        renderer.store.outbox_done(&settlement.keys, &settlement.states)?;
        self.ledger.forget(&settlement);
        Ok(settlement.states.into_iter().map(|(device, _)| device).collect())
    }
}

/// A message that the broker will never take.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) topic: &'a str,
    pub(super) reason: &'a str,
}

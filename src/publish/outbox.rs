//! From the outbox's events to messages, and back from acknowledgements to an emptier outbox.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::ledger::Ledger;
use super::render::{Profile, Renderer};
use super::run::Count;
use super::state;
use crate::clock;
use crate::model::{DeviceId, Event};
use crate::mqtt::Publish;
use crate::store::{DeviceState, OutboxKey, StoreError};

/// Events that are read ahead.
const READ_AHEAD: usize = 200;

/// So many messages are made before there is room for them.
const MADE_AHEAD: usize = 50;

/// So many events may wait for a store that cannot forget them; then no more are sent.
const MOST_UNSETTLED: usize = 2_000;

/// Of so many devices it is kept at hand how they are called and decoded.
const PROFILES: usize = 2_000;

/// The outbox as the publisher empties it.
#[derive(Debug)]
pub(super) struct Outbox {
    ledger: Ledger,
    profiles: BTreeMap<DeviceId, Profile>,
    /// Whether the store may hold events that were not read.
    more: bool,
    /// How many commits hold all that was read.
    commits: u64,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { ledger: Ledger::default(), profiles: BTreeMap::new(), more: true, commits: 0 }
    }

    /// The store has more, or may have.
    pub(super) fn more(&mut self) {
        self.more = true;
    }

    /// A device may be called, typed or decoded otherwise from now on.
    pub(super) fn device_changed(&mut self, device: DeviceId) {
        self.profiles.remove(&device);
    }

    /// So may all.
    pub(super) fn devices_changed(&mut self) {
        self.profiles.clear();
    }

    /// The next message of the oldest event.
    pub(super) fn next(&mut self, renderer: &Renderer) -> Result<Option<(OutboxKey, Publish)>, StoreError> {
        loop {
            if let Some(ready) = self.ledger.next_ready() {
                return Ok(Some(ready));
            }
            if !self.make_next(renderer)? {
                return Ok(None);
            }
        }
    }

    /// Makes messages of the next events while there is no room for them: they go as soon as there is.
    pub(super) fn prepare(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        while self.ledger.ready() < MADE_AHEAD && self.make_next(renderer)? {}
        Ok(())
    }

    /// Makes messages of the oldest event that has none yet; says no if there is none.
    fn make_next(&mut self, renderer: &Renderer) -> Result<bool, StoreError> {
        self.read_ahead(renderer)?;
        let Self { ledger, profiles, .. } = self;
        let Some(entry) = ledger.next_waiting() else { return Ok(false) };
        // What a command has led to is its answer: a kill must not take back what was told. An uplink comes again
        // under its own name, and need not wait.
        if matches!(entry.event, Event::Downlink(_)) && !renderer.store.are_durable(self.commits) {
            return Ok(false);
        }
        let known = |device| match ledger.state(device) {
            Some(state) => Ok(Some(state.clone())),
            None => renderer.store.device_state(device),
        };
        let (after, messages) = make(renderer, profiles, &entry.event, known)?;
        if let Some((device, after)) = entry.event.device().zip(after) {
            self.ledger.changed_state(device, after);
        }
        self.ledger.made(messages);
        Ok(true)
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
        let (settled, states) = self.ledger.settlement().take_states();
        renderer.store.outbox_done(&settled.keys, states)?;
        self.ledger.forget(&settled);
        Ok(settled.devices)
    }
}

/// The messages of an event, and its device's state after it where it changes that.
fn make(
    renderer: &Renderer,
    profiles: &mut BTreeMap<DeviceId, Profile>,
    event: &Event,
    known: impl FnOnce(DeviceId) -> Result<Option<DeviceState>, StoreError>,
) -> Result<(Option<DeviceState>, Vec<Publish>), StoreError> {
    let (is_changed, state, messages) = match event {
        Event::Uplink(uplink) => {
            if profiles.len() >= PROFILES {
                profiles.clear();
            }
            let profile = match profiles.entry(uplink.device) {
                Entry::Occupied(profile) => profile.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(renderer.profile(uplink.device)?),
            };
            let decoded = Renderer::decode(profile, uplink);
            renderer.run.count(Count::DecodeError, u64::from(!decoded.errors.is_empty()));
            let mut state = known(uplink.device)?;
            let messages = renderer.uplink(uplink, profile, &decoded);
            (state::take_uplink(&mut state, uplink, decoded), state, messages)
        }
        Event::Location { device, location, .. } => {
            let mut state = known(*device)?;
            let is_changed = state::take_location(&mut state, *device, *location);
            (is_changed, state, renderer.other_event(event).into_iter().collect())
        }
        _ => (false, None, renderer.other_event(event).into_iter().collect()),
    };
    Ok((state.filter(|_| is_changed), messages))
}

/// A message that the broker will never take.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) topic: &'a str,
    pub(super) reason: &'a str,
}

//! Which events of the outbox are read, under way and done. Pure.
//!
//! An event is done when the broker has acknowledged every message that it led to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{DeviceId, Event};
use crate::mqtt::Publish;
use crate::store::{DeviceState, OutboxEntry, OutboxKey};

/// The events of the outbox that were read and are not yet forgotten by the store.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Read, oldest first.
    waiting: VecDeque<OutboxEntry>,
    /// Messages that are made but not handed over.
    ready: VecDeque<(OutboxKey, Publish)>,
    /// Events of which messages are not yet acknowledged.
    open: BTreeMap<OutboxKey, Open>,
    /// Events that the broker has in full.
    done: BTreeMap<OutboxKey, Option<DeviceId>>,
    /// Everything above, so that it is not read twice.
    known: BTreeSet<OutboxKey>,
    /// What the uplinks above add to their devices' states, and which change that was.
    states: BTreeMap<DeviceId, (u64, DeviceState)>,
    changes: u64,
}

#[derive(Debug)]
struct Open {
    messages: usize,
    /// What would be parked if the broker refused it.
    event: Event,
}

/// What the store is to forget, and what it is to keep in the same commit.
#[derive(Debug, Default)]
pub(super) struct Settlement {
    pub(super) keys: Vec<OutboxKey>,
    pub(super) states: Vec<(DeviceId, DeviceState)>,
    /// The last change that is in the states.
    changes: u64,
}

/// A settlement without its states, which the store has taken.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) keys: Vec<OutboxKey>,
    pub(super) devices: Vec<DeviceId>,
    changes: u64,
}

impl Settlement {
    /// Gives the states away.
    pub(super) fn take_states(self) -> (Settled, Vec<(DeviceId, DeviceState)>) {
        let devices = self.states.iter().map(|(device, _)| *device).collect();
        (Settled { keys: self.keys, devices, changes: self.changes }, self.states)
    }
}

impl Ledger {
    /// Events that are not to be read again.
    pub(super) fn known(&self) -> &BTreeSet<OutboxKey> {
        &self.known
    }

    pub(super) fn read(&mut self, entries: Vec<OutboxEntry>) {
        self.known.extend(entries.iter().map(|entry| entry.key.clone()));
        self.waiting.extend(entries);
    }

    /// How many events are read and not yet made into messages.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many events the store could not forget yet.
    pub(super) fn unsettled(&self) -> usize {
        self.done.len()
    }

    /// The next event to be made into messages; it waits until `made` is told of it.
    pub(super) fn next_waiting(&self) -> Option<&OutboxEntry> {
        self.waiting.front()
    }

    /// The event that waited first is made into these messages; without messages it is done.
    pub(super) fn made(&mut self, messages: Vec<Publish>) {
        let Some(OutboxEntry { key, event }) = self.waiting.pop_front() else { return };
        if messages.is_empty() {
            self.done.insert(key, event.device());
            return;
        }
        self.open.insert(key.clone(), Open { messages: messages.len(), event });
        self.ready.extend(messages.into_iter().map(|message| (key.clone(), message)));
    }

    /// How many messages are made but not handed over.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn next_ready(&mut self) -> Option<(OutboxKey, Publish)> {
        self.ready.pop_front()
    }

    pub(super) fn put_back(&mut self, key: OutboxKey, message: Publish) {
        self.ready.push_front((key, message));
    }

    /// The event of a message that is under way.
    pub(super) fn event(&self, key: &OutboxKey) -> Option<&Event> {
        self.open.get(key).map(|open| &open.event)
    }

    /// The broker has one of the event's messages, or never will.
    pub(super) fn settled(&mut self, key: &OutboxKey) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.messages = open.messages.saturating_sub(1);
        if open.messages == 0 {
            let device = open.event.device();
            self.open.remove(key);
            self.done.insert(key.clone(), device);
        }
    }

    /// The event is to be read and sent again.
    pub(super) fn again(&mut self, key: &OutboxKey) {
        if self.open.remove(key).is_some() {
            self.known.remove(key);
            self.ready.retain(|(ready, _)| ready != key);
        }
    }

    /// The connection is gone: whatever is not done is read and sent again, in order.
    pub(super) fn void(&mut self) {
        self.waiting.clear();
        self.ready.clear();
        self.open.clear();
        self.known = self.done.keys().cloned().collect();
    }

    /// A device's state as the events read so far leave it, where they changed it.
    pub(super) fn state(&self, device: DeviceId) -> Option<&DeviceState> {
        self.states.get(&device).map(|(_, state)| state)
    }

    pub(super) fn changed_state(&mut self, device: DeviceId, state: DeviceState) {
        self.changes += 1;
        self.states.insert(device, (self.changes, state));
    }

    /// What is done; states may already hold events that are not, which are published again after a crash and
    /// then change nothing.
    pub(super) fn settlement(&self) -> Settlement {
        let devices: BTreeSet<DeviceId> = self.done.values().filter_map(|device| *device).collect();
        let states = devices.into_iter().filter_map(|device| Some((device, self.state(device)?.clone())));
        let keys = self.done.keys().cloned().collect();
        Settlement { keys, states: states.collect(), changes: self.changes }
    }

    /// The store has taken a settlement.
    pub(super) fn forget(&mut self, settled: &Settled) {
        for key in &settled.keys {
            self.done.remove(key);
            self.known.remove(key);
        }
        for device in &settled.devices {
            if self.states.get(device).is_some_and(|(change, _)| *change <= settled.changes) {
                self.states.remove(device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;
    use crate::mqtt::Properties;
    use crate::store::{Options, Store};

    /// So many events of a real outbox.
    fn entries(count: usize) -> (Vec<OutboxEntry>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let options =
            Options { dir: folder.path().to_owned(), cache: 1 << 20, flush: Duration::from_secs(5) };
        let (store, _syncer) = Store::open(options).unwrap();
        for number in 0..count {
            let time = Timestamp::from_cloud(1_789_000_000 + i64::try_from(number).unwrap()).unwrap();
            let event = Event::Bridge { time, kind: "test".to_owned(), detail: "{}".to_owned() };
            store.tell(&event).unwrap();
        }
        (store.outbox_head(&BTreeSet::new(), count).unwrap(), folder)
    }

    fn message() -> Publish {
        let payload = bytes::Bytes::from_static(b"{}");
        Publish { topic: "t".to_owned(), payload, retain: false, properties: Properties::default() }
    }

    #[derive(Debug, Clone)]
    enum Play {
        Read,
        Make(usize),
        Send,
        Acknowledge(usize),
        Void,
        Forget,
    }

    fn plays() -> impl Strategy<Value = Vec<Play>> {
        let play = prop_oneof![
            2 => Just(Play::Read),
            4 => (0..4_usize).prop_map(Play::Make),
            8 => Just(Play::Send),
            8 => (0..6_usize).prop_map(Play::Acknowledge),
            1 => Just(Play::Void),
            2 => Just(Play::Forget),
        ];
        proptest::collection::vec(play, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn an_event_is_done_only_when_all_of_its_messages_are_acknowledged(plays in plays()) {
            let (mut outbox, _folder) = entries(12);
            let mut ledger = Ledger::default();
            let mut wire: Vec<OutboxKey> = Vec::new();
            let mut owed: BTreeMap<OutboxKey, usize> = BTreeMap::new();
            for play in plays {
                match play {
                    Play::Read => {
                        let unread = outbox.iter().filter(|entry| !ledger.known().contains(&entry.key));
                        ledger.read(unread.take(3).cloned().collect());
                    }
                    Play::Make(messages) => {
                        if let Some(key) = ledger.next_waiting().map(|entry| entry.key.clone()) {
                            owed.insert(key, messages);
                            ledger.made(std::iter::repeat_n(message(), messages).collect());
                        }
                    }
                    Play::Send => wire.extend(ledger.next_ready().map(|(key, _)| key)),
                    Play::Acknowledge(which) if which < wire.len() => {
                        let key = wire.remove(which);
                        *owed.get_mut(&key).unwrap() -= 1;
                        ledger.settled(&key);
                    }
                    Play::Void => {
                        ledger.void();
                        wire.clear();
                        owed.retain(|_, messages| *messages == 0);
                    }
                    Play::Forget => {
                        let (settled, _states) = ledger.settlement().take_states();
                        ledger.forget(&settled);
                        outbox.retain(|entry| !settled.keys.contains(&entry.key));
                        owed.retain(|key, _| !settled.keys.contains(key));
                    }
                    Play::Acknowledge(_) => {}
                }
                let done: BTreeSet<OutboxKey> = ledger.settlement().keys.into_iter().collect();
                let paid = owed.iter().filter(|(_, messages)| **messages == 0).map(|(key, _)| key.clone());
                prop_assert_eq!(done, paid.collect::<BTreeSet<_>>());
            }
        }
    }
}

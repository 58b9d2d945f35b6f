//! A queue while it is being changed: every change of an item goes through here and leaves its event.

use crate::downlink::machine::table::{self, Cause};
use crate::model::{Downlink, Event, Evidence, ItemId, Timestamp, UplinkId};
use crate::store::QueueChange;

/// The working copy of a queue.
pub(super) struct Sheet {
    items: Vec<Downlink>,
    changed: Vec<bool>,
    change: QueueChange,
    now: Timestamp,
}

impl Sheet {
    pub(super) fn new(queue: &[Downlink], now: Timestamp) -> Self {
        Self { items: queue.to_vec(), changed: vec![false; queue.len()], change: QueueChange::default(), now }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn items(&self) -> &[Downlink] {
        &self.items
    }

    pub(super) fn find(&self, id: &ItemId) -> Option<&Downlink> {
        self.items.iter().find(|item| item.id == *id)
    }

    /// The places of the items that satisfy a condition, in their order.
    pub(super) fn places(&self, condition: impl Fn(&Downlink) -> bool) -> Vec<usize> {
        self.items.iter().enumerate().filter(|(_, item)| condition(item)).map(|(place, _)| place).collect()
    }

    /// Puts a new item at the end.
    pub(super) fn append(&mut self, item: Downlink) {
        self.change.events.push(Event::Downlink(Box::new(item.clone())));
        self.items.push(item);
        self.changed.push(true);
    }

    /// Tells of an item that does not enter the queue.
    pub(super) fn tell(&mut self, item: &Downlink) {
        self.change.events.push(Event::Downlink(Box::new(item.clone())));
    }

    /// Lets something happen to an item, if the table allows it, and tells of it.
    pub(super) fn enter(
        &mut self,
        place: usize,
        cause: Cause,
        evidence: Option<Evidence>,
        reason: Option<String>,
    ) -> bool {
        self.enter_with(place, cause, |item| {
            item.evidence = evidence;
            item.reason = reason;
        })
    }

    /// The same, with more to be written into the item before it is told.
    pub(super) fn enter_with(
        &mut self,
        place: usize,
        cause: Cause,
        write: impl FnOnce(&mut Downlink),
    ) -> bool {
        let now = self.now;
        let Some(item) = self.items.get_mut(place) else { return false };
        let Some(state) = table::next(item.state, cause) else { return false };
        item.state = state;
        item.updated = now.max(item.updated);
        item.history.push((state, item.updated));
        write(item);
        self.note(place);
        true
    }

    /// Writes into an item without changing its state, and tells of it.
    pub(super) fn amend(&mut self, place: usize, write: impl FnOnce(&mut Downlink)) {
        let now = self.now;
        if let Some(item) = self.items.get_mut(place) {
            item.updated = now.max(item.updated);
            write(item);
            self.note(place);
        }
    }

    fn note(&mut self, place: usize) {
        if let Some(item) = self.items.get(place) {
            self.change.events.push(Event::Downlink(Box::new(item.clone())));
        }
        if let Some(changed) = self.changed.get_mut(place) {
            *changed = true;
        }
    }

    pub(super) fn forget(&mut self, id: &ItemId) {
        self.change.forget.push(id.clone());
    }

    pub(super) fn answer(&mut self, uplink: UplinkId, item: Option<ItemId>) {
        self.change.answered = Some((uplink, item));
    }

    /// What is to be kept and told.
    pub(super) fn close(mut self) -> QueueChange {
        let forgotten = std::mem::take(&mut self.change.forget);
        self.change.put = self
            .items
            .into_iter()
            .zip(self.changed)
            .filter(|(item, changed)| *changed && !forgotten.contains(&item.id))
            .map(|(item, _)| item)
            .collect();
        self.change.forget = forgotten;
        self.change
    }
}

//! Devices that ask for a downlink: the uplink and its answer go into one commit, and those of many devices into the
//! same one. A hundred that ask at once cost the disk a few writes instead of two hundred.

use std::collections::BTreeSet;
use std::iter::Peekable;

use super::error::StoreError;
use super::uplinks::Part;
use super::{Change, QueueChange, Store};
use crate::model::{Downlink, ItemId, Uplink};

/// The most that one ask writes: its uplink, every item of a queue, its answer and the old answers that go with it.
const LARGEST_ASK: usize = 32;

/// An uplink that asks.
#[derive(Debug)]
pub struct Ask<'a, D> {
    /// The uplink; it is kept as any other.
    pub uplink: &'a Uplink,
    /// Sees how the same uplink was answered before, and the queue, and says what changes.
    pub decide: D,
}

/// How an ask was answered before: not yet, with nothing, or with an item.
pub type Answer = Option<Option<ItemId>>;

impl Store {
    /// Keeps uplinks and changes the queues of their devices, each pair all or nothing, in their order. An outcome is
    /// not durable before `durable` has returned: nobody is told of it until then.
    pub fn record_asks<T, D>(&self, asks: Vec<Ask<'_, D>>) -> Vec<Result<T, StoreError>>
    where
        D: FnOnce(Answer, &[Downlink]) -> (QueueChange, T),
    {
        let mut outcomes = Vec::with_capacity(asks.len());
        let mut asks = asks.into_iter().peekable();
        while asks.peek().is_some() {
            let mut taken = 0;
            match self.record_some(&mut asks, &mut taken) {
                Ok(decided) => outcomes.extend(decided.into_iter().map(Ok)),
                // What a commit that was not made had decided has not happened.
                Err(error) => outcomes.extend((0..taken).map(|_| Err(error.clone()))),
            }
        }
        outcomes
    }

    /// As many as fit into one commit, each device once: the next change of a queue must see the one before.
    fn record_some<'a, T, D>(
        &self,
        asks: &mut Peekable<impl Iterator<Item = Ask<'a, D>>>,
        taken: &mut usize,
    ) -> Result<Vec<T>, StoreError>
    where
        D: FnOnce(Answer, &[Downlink]) -> (QueueChange, T),
    {
        let mut memory = self.memory();
        let full = Self::full_part(&memory);
        let mut part = Part::default();
        let mut devices = BTreeSet::new();
        let mut decided = Vec::new();
        while let Some(Ask { uplink, decide }) = asks.next_if(|ask| {
            let fits = part.writes() + LARGEST_ASK <= full && !devices.contains(&ask.uplink.device.number());
            fits || devices.is_empty()
        }) {
            *taken += 1;
            devices.insert(uplink.device.number());
            self.stage_uplink(&mut memory, &mut part, uplink)?;
            let before = self.answer(&uplink.id())?;
            let device = memory.printed(uplink.device);
            let (events, outcome) =
                self.stage_queue(&mut part.commit, device, |queue| decide(before, queue))?;
            if !events.is_empty() {
                part.changes.push(Change::Queue(device));
            }
            part.counted.told(&events);
            part.events.extend(events);
            decided.push(outcome);
        }
        let committed = self.commit_part(&mut memory, part)?;
        drop(memory);
        self.tell_committed(&committed);
        Ok(decided)
    }
}

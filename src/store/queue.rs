//! The downlink queues: changed one at a time, all or nothing, durable before anybody is told.

use std::collections::BTreeSet;
use std::time::Duration;

use super::commit::Commit;
use super::error::StoreError;
use super::layout::{Table, device_key, first_u32, last_u64, queue_key, second_prefix, uplink_key};
use super::record::{DownlinkRecord, Record};
use super::{Answer, Change, QueueChange, Store};
use crate::model::{DeviceId, Downlink, Event, ItemId, UplinkId};

/// How an ask was answered is kept for so long: a retry of the same uplink gets the same bytes.
const ASKS_KEPT: Duration = Duration::from_secs(8 * 24 * 3600);
/// So many older ones are forgotten at each change.
const ASKS_FORGOTTEN: usize = 10;

impl Store {
    /// A device's items that are not forgotten, in the order in which they were queued.
    pub fn queue(&self, device: DeviceId) -> Result<Vec<Downlink>, StoreError> {
        let printed = self.memory().printed(device);
        Ok(self.load_queue(printed)?.into_iter().map(|(_, item)| item).collect())
    }

    /// Devices that have items.
    pub fn queued_devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        let memory = self.memory();
        let mut devices = BTreeSet::new();
        for key in self.database().table(Table::Queue)?.iter().keys() {
            devices.extend(first_u32(&key?).map(|number| memory.printed(DeviceId::new(number, 1))));
        }
        Ok(devices.into_iter().collect())
    }

    /// How this uplink's ask was answered: not yet, with nothing, or with an item.
    pub(super) fn answer(&self, uplink: &UplinkId) -> Result<Answer, StoreError> {
        let Some(key) = uplink_key(uplink) else { return Ok(None) };
        let Some(value) = self.database().table(Table::Asks)?.get(key)? else {
            return Ok(None);
        };
        if value.is_empty() {
            return Ok(Some(None));
        }
        let item = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        item.map(|item| Some(Some(item)))
            .ok_or_else(|| StoreError::Damaged(format!("the answer to {uplink}")))
    }

    /// Changes a device's queue: `decide` sees the queue and says what changes; nobody else changes it meanwhile.
    /// Durable when this returns.
    pub async fn change_queue<T: Send>(
        &self,
        device: DeviceId,
        decide: impl FnOnce(&[Downlink]) -> (QueueChange, T) + Send,
    ) -> Result<T, StoreError> {
        let (outcome, changed) = self.decide_queue(device, decide)?;
        // Also where nothing changed: what `decide` saw may not be durable yet.
        let durable = self.durable().await;
        // Not before that: an item that a kill takes back is not shown.
        self.announce(changed.map(Change::Queue));
        durable?;
        Ok(outcome)
    }

    /// Gives the device whose queue is not as it was.
    fn decide_queue<T>(
        &self,
        device: DeviceId,
        decide: impl FnOnce(&[Downlink]) -> (QueueChange, T),
    ) -> Result<(T, Option<DeviceId>), StoreError> {
        let mut memory = self.memory();
        let device = memory.printed(device);
        let mut commit = Commit::default();
        let (events, outcome) = self.stage_queue(&mut commit, device, decide)?;
        let staged = memory.outbox.stage(&self.database(), &mut commit, &events)?;
        let changes = commit.operations() > 0;
        self.database().apply(&commit)?;
        memory.outbox.keep(&staged);
        memory.counted.told(&events);
        drop(memory);
        if !events.is_empty() {
            self.announce([Change::Outbox]);
        }
        Ok((outcome, changes.then_some(device)))
    }

    /// Puts what is decided on a queue into a commit that does not hold that queue yet; gives the events.
    pub(super) fn stage_queue<T>(
        &self,
        commit: &mut Commit,
        device: DeviceId,
        decide: impl FnOnce(&[Downlink]) -> (QueueChange, T),
    ) -> Result<(Vec<Event>, T), StoreError> {
        let stored = self.load_queue(device)?;
        let items: Vec<Downlink> = stored.iter().map(|(_, item)| item.clone()).collect();
        let (change, outcome) = decide(&items);
        let order_of = |id: &ItemId| stored.iter().find(|(_, item)| item.id == *id).map(|(order, _)| *order);
        let mut next = stored.last().map_or(0, |(order, _)| order.saturating_add(1));
        for item in &change.put {
            let order = order_of(&item.id).unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            commit.put(Table::Queue, queue_key(device, order), DownlinkRecord::from(item).encode()?);
        }
        for order in change.forget.iter().filter_map(order_of) {
            commit.remove(Table::Queue, queue_key(device, order));
        }
        if let Some((uplink, item)) = &change.answered {
            self.stage_answer(commit, uplink, item.as_ref())?;
        }
        Ok((change.events, outcome))
    }

    fn stage_answer(
        &self,
        commit: &mut Commit,
        uplink: &UplinkId,
        item: Option<&ItemId>,
    ) -> Result<(), StoreError> {
        let Some(key) = uplink_key(uplink) else {
            return Err(StoreError::Failing(format!("uplink {uplink} lies outside 1970 to 2100")));
        };
        let answer = item.map(|item| item.as_str().as_bytes().to_vec()).unwrap_or_default();
        commit.put(Table::Asks, key, answer);
        let device = uplink.device.number();
        let kept_s = i64::try_from(ASKS_KEPT.as_secs()).unwrap_or(i64::MAX);
        let until = u32::try_from(uplink.seconds.saturating_sub(kept_s)).unwrap_or(0);
        let old =
            self.database().table(Table::Asks)?.range(second_prefix(device, 0)..second_prefix(device, until));
        for key in old.keys().take(ASKS_FORGOTTEN) {
            commit.remove(Table::Asks, key?.to_vec());
        }
        Ok(())
    }

    fn load_queue(&self, device: DeviceId) -> Result<Vec<(u64, Downlink)>, StoreError> {
        let mut items = Vec::new();
        for entry in self.database().table(Table::Queue)?.scan_prefix(device_key(device)) {
            let (key, value) = entry?;
            let item = DownlinkRecord::decode(&value).ok().and_then(|record| record.downlink(device));
            match (last_u64(&key), item) {
                (Some(order), Some(item)) => items.push((order, item)),
                // The others of the device are not held up by it.
                _ => tracing::error!(%device, "downlink lost: its record cannot be read"),
            }
        }
        Ok(items)
    }
}

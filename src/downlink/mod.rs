//! Downlinks from the accepted command to their end.
//!
//! `machine` thinks (pure, with one table of transitions); `Queues` reads the clock, asks the store to keep
//! what the machine decided, and answers only when that is durable. Knows neither MQTT nor HTTP.

mod asks;
mod dispatch;
mod machine;
mod obstacle;
mod opportunity;
mod order;
mod rules;
mod watch;

use std::sync::Arc;
use std::time::Duration;

pub use dispatch::Dispatcher;
pub use machine::used_today;
pub(crate) use machine::{Entry, QUEUE_BOUND, rejected};
pub use obstacle::{callback_fault, obstacle};
pub use opportunity::Opportunity;
pub use order::{Cancelled, Expiry, Order, Outcome, Refusal, Report, Target};

use crate::clock;
use crate::config::Config;
use crate::decode::{Decoder, Registry};
use crate::model::{Device, DeviceId, Downlink, DownlinkPayload, Fields, Timestamp};
use crate::store::{Store, StoreError, UplinkQuery};
use asks::Gathering;
use machine::{Cause, Settled};

/// The queues of all devices. Clones share them.
#[derive(Debug, Clone)]
pub struct Queues {
    store: Store,
    config: Arc<Config>,
    registry: Arc<Registry>,
    gathering: Arc<Gathering>,
}

impl Queues {
    /// The queues that this store keeps.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>, registry: Arc<Registry>) -> Self {
        Self { store, config, registry, gathering: Arc::default() }
    }

    /// Queues items; what was accepted is durable when this returns.
    pub async fn push(
        &self,
        device: DeviceId,
        entries: Vec<Result<Order, Refusal>>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let (known, entries, rules) = self.judge(device, entries)?;
        let now = clock::now();
        self.store.change_queue(known, move |queue| machine::push(queue, known, &entries, &rules, now)).await
    }

    /// Queues items instead of those that wait.
    pub async fn replace(
        &self,
        device: DeviceId,
        entries: Vec<Result<Order, Refusal>>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let (known, entries, rules) = self.judge(device, entries)?;
        let now = clock::now();
        self.store
            .change_queue(known, move |queue| machine::replace(queue, known, &entries, &rules, now))
            .await
    }

    /// Takes items back.
    pub async fn cancel(&self, device: DeviceId, target: Target) -> Result<Cancelled, StoreError> {
        let now = clock::now();
        self.store.change_queue(device, move |queue| machine::cancel(queue, &target, now)).await
    }

    /// The items of one device, or of all, in the order in which they were queued; final ones for a day.
    pub fn list(&self, device: Option<DeviceId>) -> Result<Vec<Downlink>, StoreError> {
        let devices = match device {
            Some(device) => vec![device],
            None => self.store.queued_devices()?,
        };
        let mut items = Vec::new();
        for device in devices {
            items.extend(self.store.queue(device)?);
        }
        Ok(items)
    }

    /// Takes the next item that may be sent now for a cloud; durable when this returns, so that no crash gives the
    /// cloud the same item twice.
    async fn hand(&self, device: &Device, cause: Cause) -> Result<Option<Downlink>, StoreError> {
        let (rules, now) = (self.rules(Some(device)), clock::now());
        self.store.change_queue(device.id, move |queue| machine::hand(queue, cause, &rules, now)).await
    }

    /// What `hand` would take.
    fn next(&self, device: &Device, cause: Cause) -> Result<Option<Downlink>, StoreError> {
        let rules = self.rules(Some(device));
        Ok(machine::hand(&self.store.queue(device.id)?, cause, &rules, clock::now()).1)
    }

    /// Takes over what came of giving it to the cloud.
    async fn settle(&self, item: &Downlink, settled: Settled) -> Result<(), StoreError> {
        let (id, now) = (item.id.clone(), clock::now());
        let decide = move |queue: &[Downlink]| (machine::settle(queue, &id, &settled, now), ());
        self.store.change_queue(item.device, decide).await
    }

    /// Takes over what the network reports on an answer; gives the item that it was about.
    pub async fn acknowledge(
        &self,
        device: DeviceId,
        report: Report,
    ) -> Result<Option<Downlink>, StoreError> {
        let now = clock::now();
        self.store.change_queue(device, move |queue| machine::report(queue, &report, now)).await
    }

    /// How long an item may wait that does not say so itself.
    pub(crate) fn expires_after(&self) -> Duration {
        self.config.downlink.expires_after
    }

    /// The eight bytes that stand for fields by the device's decoder, or in words why there are none.
    pub fn encode(&self, device: DeviceId, fields: &Fields) -> Result<DownlinkPayload, String> {
        let decoder = self.decoder(device).map_err(|error| error.to_string())?;
        decoder.ok_or_else(|| format!("device {device} has no decoder"))?.encode(fields)
    }

    /// The device's decoder.
    pub fn decoder(&self, device: DeviceId) -> Result<Option<Arc<Decoder>>, StoreError> {
        Ok(self.store.device(device)?.and_then(|device| self.resolve(&device).decoder))
    }

    fn newest(&self, device: DeviceId) -> Result<Option<Timestamp>, StoreError> {
        let query = UplinkQuery {
            device: Some(device),
            limit: Some(1),
            newest_first: true,
            ..UplinkQuery::default()
        };
        Ok(self.store.uplinks(&query)?.first().map(|uplink| uplink.time))
    }
}

//! Downlinks from the accepted command to their end.
//!
//! `machine` thinks (pure, with one table of transitions); `Queues` reads the clock, asks the store to keep
//! what the machine decided, and answers only when that is durable. Knows neither MQTT nor HTTP.

mod machine;
mod order;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use order::{Cancelled, Expiry, Order, Outcome, Refusal, Report, Target};

use crate::clock;
use crate::config::{Config, DownlinkVia};
use crate::decode::{Decoder, Registry, Resolved};
use crate::model::{
    CloudState, Device, DeviceId, Downlink, DownlinkPayload, DownlinkState, Fields, Timestamp, Uplink,
};
use crate::store::{QueueChange, Store, StoreError, UplinkQuery};
use machine::{Entry, Rules, Seen};

/// How often expired items are ended and uplinks are looked at for what they show.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// An ask is answered with nothing once the device has sent something this much newer: the cloud's own retries end
/// after 7 minutes, so it is a replay.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// How many uplinks of a device one sweep looks at; the rest is looked at by the next.
const LOOK_AT: usize = 256;

/// The queues of all devices. Clones share them.
#[derive(Debug, Clone)]
pub struct Queues {
    store: Store,
    config: Arc<Config>,
    registry: Arc<Registry>,
}

impl Queues {
    /// The queues that this store keeps.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>, registry: Arc<Registry>) -> Self {
        Self { store, config, registry }
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

    /// What a device that asked is to be sent. Durable when this returns; the retry of the same ask gets the same
    /// bytes and consumes nothing more, also after a crash on any line of this.
    pub async fn ask(&self, uplink: &Uplink) -> Result<Option<DownlinkPayload>, StoreError> {
        let id = uplink.id();
        if let Some(answer) = self.store.answer(&id)? {
            // Through the queue, so that an answer that is only being made durable is not repeated before it is.
            let again = move |queue: &[Downlink]| {
                let item = answer.and_then(|item| queue.iter().find(|known| known.id == item));
                (QueueChange::default(), item.and_then(|item| item.data))
            };
            return self.store.change_queue(id.device, again).await;
        }
        let rules = self.rules(self.store.device(id.device)?.as_ref());
        let stale = self.newest(id.device)?.is_some_and(|newest| newest.since(uplink.time) > STALE_AFTER);
        let now = clock::now();
        self.store.change_queue(id.device, move |queue| machine::ask(queue, id, stale, &rules, now)).await
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

    /// Ends what is over, concludes what uplinks have shown, and forgets what ended a day ago.
    pub async fn expire(&self, now: Timestamp) -> Result<(), StoreError> {
        for device in self.store.queued_devices()? {
            let queue = self.store.queue(device)?;
            for seen in self.seen_since(device, &queue)? {
                if is_change(&machine::observe(&queue, &seen, now)) {
                    self.store
                        .change_queue(device, move |queue| (machine::observe(queue, &seen, now), ()))
                        .await?;
                }
            }
            if is_change(&machine::sweep(&queue, now)) {
                self.store.change_queue(device, move |queue| (machine::sweep(queue, now), ())).await?;
            }
        }
        Ok(())
    }

    /// Lets time pass for all queues until told to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(SWEEP_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => {}
            }
            // What could not be kept now is looked at again by the next tick.
            if let Err(error) = self.expire(clock::now()).await {
                tracing::warn!(error = %error, "downlinks could not be brought up to date");
            }
        }
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

    /// Refuses what no queue can do anything about, and says by which rules the rest is taken.
    fn judge(
        &self,
        device: DeviceId,
        entries: Vec<Entry>,
    ) -> Result<(DeviceId, Vec<Entry>, Rules), StoreError> {
        let known = self.store.device(device)?;
        let refusal = match &known {
            None if !self.config.devices.contains_key(&device) => {
                Some(format!("unknown_device: no source has shown a device {device}"))
            }
            Some(known) if known.state == Some(CloudState::Deleted) => {
                Some(format!("device_gone: its cloud says that {device} is deleted"))
            }
            _ => None,
        };
        let rules = self.rules(known.as_ref());
        let Some(reason) = refusal else {
            return Ok((known.map_or(device, |known| known.id), entries, rules));
        };
        let refuse = |order: Order| Refusal {
            id: order.name().clone(),
            transaction: order.transaction,
            reason: reason.clone(),
        };
        Ok((
            device,
            entries.into_iter().map(|entry| entry.and_then(|order| Err(refuse(order)))).collect(),
            rules,
        ))
    }

    fn rules(&self, device: Option<&Device>) -> Rules {
        let source =
            device.and_then(|device| self.config.sources.iter().find(|source| source.name == device.source));
        let (via, obstacle) = match source.map(|source| source.downlink) {
            Some(DownlinkVia::Callback) => (Some("callback"), None),
            Some(DownlinkVia::Direct) => (Some("direct"), None),
            Some(DownlinkVia::Soracom) => (Some("soracom"), None),
            Some(DownlinkVia::None) => {
                (None, Some("no_downlink: the device's source has downlink = \"none\""))
            }
            None => (None, None),
        };
        Rules {
            expires_after: self.config.downlink.expires_after,
            daily_limit: self.config.downlink.daily_limit,
            awaits_device_ack: device.is_some_and(|device| self.can_acknowledge(device)),
            via: via.map(str::to_owned),
            obstacle: obstacle.map(str::to_owned),
        }
    }

    /// Whether the device's decoder has a rule by which an uplink shows that a downlink arrived.
    fn can_acknowledge(&self, device: &Device) -> bool {
        let resolved = self.resolve(device);
        let settings = resolved.name.and_then(|name| self.config.decoders.get(&name));
        settings.is_some_and(|settings| settings.acknowledged_by.is_some())
    }

    fn resolve(&self, device: &Device) -> Resolved {
        let id = device.device_type.as_deref();
        let known = id.and_then(|id| self.store.device_type(&device.source, id).ok().flatten());
        let name = known.as_ref().and_then(|known| known.name.as_deref());
        self.registry.resolve(device.id, id.map(|id| (id, name)), known.as_ref().map(|known| &known.payload))
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

    /// The uplinks after the oldest downlink whose fate is open, oldest first.
    fn seen_since(&self, device: DeviceId, queue: &[Downlink]) -> Result<Vec<Seen>, StoreError> {
        let open = queue.iter().filter(|item| item.state != DownlinkState::Queued && !item.is_final());
        let Some(from) = open.map(|item| item.updated).min() else { return Ok(Vec::new()) };
        // The network's time of the answered uplink lies before our time of answering it.
        let from = from.minus(Duration::from_secs(600));
        let query = UplinkQuery {
            device: Some(device),
            from: Some(from),
            limit: Some(LOOK_AT),
            ..UplinkQuery::default()
        };
        let decoder = self.decoder(device)?;
        let acknowledges = |uplink: &Uplink| {
            decoder
                .as_ref()
                .is_some_and(|decoder| decoder.decode(device, uplink.time, &uplink.payload).acknowledges)
        };
        let seen = |uplink: Uplink| Seen {
            uplink: uplink.id(),
            asked: uplink.ack,
            acknowledges: acknowledges(&uplink),
        };
        Ok(self.store.uplinks(&query)?.into_iter().map(seen).collect())
    }
}

fn is_change(change: &QueueChange) -> bool {
    !change.put.is_empty() || !change.forget.is_empty()
}

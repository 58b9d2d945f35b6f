//! What holds for a device's queue: who is known, how its downlinks are made, what stands in their way.

use super::machine::{Entry, Rules};
use super::{Order, Queues, Refusal, obstacle};
use crate::clock;
use crate::config::DownlinkVia;
use crate::decode::Resolved;
use crate::model::{CloudState, Device, DeviceId, DeviceType};
use crate::store::StoreError;

impl Queues {
    /// Refuses what no queue can do anything about, and says by which rules the rest is taken.
    pub(super) fn judge(
        &self,
        device: DeviceId,
        entries: Vec<Entry>,
    ) -> Result<(DeviceId, Vec<Entry>, Rules), StoreError> {
        let known = self.store.device(device)?;
        let refusal = match &known {
            // It would expire the moment that the clock is set.
            _ if !clock::is_set(clock::now()) => {
                Some(format!("clock_not_set: the gateway's clock says {}", clock::now()))
            }
            None if !self.config.devices.contains_key(&device) => {
                Some(format!("unknown_device: no source has shown a device {device}"))
            }
            Some(known) if known.state == Some(CloudState::Deleted) => {
                Some(format!("device_gone: its cloud says that {device} is deleted"))
            }
            Some(known) if self.shares_its_answer(known)? => Some(format!(
                "direct_group: the type of {device} has other devices, which would get it too (expected \
                 direct_group = true)"
            )),
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

    /// Whether its downlinks would go to other devices as well: the fixed answer is the device type's.
    fn shares_its_answer(&self, device: &Device) -> Result<bool, StoreError> {
        let source = self.config.sources.iter().find(|source| source.name == device.source);
        if source.is_none_or(|source| source.downlink != DownlinkVia::Direct || source.direct_group) {
            return Ok(false);
        }
        let is_sibling = |other: &Device| {
            !other.gone && other.source == device.source && other.device_type == device.device_type
        };
        Ok(self.store.devices()?.iter().filter(|other| is_sibling(other)).count() > 1)
    }

    pub(super) fn rules(&self, device: Option<&Device>) -> Rules {
        let source =
            device.and_then(|device| self.config.sources.iter().find(|source| source.name == device.source));
        let via = source.map(|source| source.downlink);
        Rules {
            expires_after: self.config.downlink.expires_after,
            daily_limit: self.config.downlink.daily_limit,
            awaits_device_ack: device.is_some_and(|device| self.can_acknowledge(device)),
            via: via.and_then(name_of).map(str::to_owned),
            obstacle: device.and_then(|device| obstacle(&self.store, &self.config, device)),
        }
    }

    /// Whether the device's decoder has a rule by which an uplink shows that a downlink arrived.
    fn can_acknowledge(&self, device: &Device) -> bool {
        let resolved = self.resolve(device);
        let settings = resolved.name.and_then(|name| self.config.decoders.get(&name));
        settings.is_some_and(|settings| settings.acknowledged_by.is_some())
    }

    pub(super) fn resolve(&self, device: &Device) -> Resolved {
        let id = device.device_type.as_deref();
        let known = self.device_type(device);
        let name = known.as_ref().and_then(|known| known.name.as_deref());
        self.registry.resolve(device.id, id.map(|id| (id, name)), known.as_ref().map(|known| &known.payload))
    }

    fn device_type(&self, device: &Device) -> Option<DeviceType> {
        let id = device.device_type.as_deref()?;
        self.store.device_type(&device.source, id).ok().flatten()
    }
}

/// How an item says that it is sent.
fn name_of(via: DownlinkVia) -> Option<&'static str> {
    match via {
        DownlinkVia::Callback => Some("callback"),
        DownlinkVia::Direct => Some("direct"),
        DownlinkVia::Soracom => Some("soracom"),
        DownlinkVia::None => None,
    }
}

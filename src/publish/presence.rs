//! The documents that say what is there and how Home Assistant may know it: availability, discovery, attributes.

use serde_json::Value;

use super::Name;
use super::availability::{Availability, Facts, GAPS, Presence};
use super::discovery::{Described, Entity, Gateway};
use super::document::print;
use super::outage::Moment;
use super::render::{Profile, Rendered, Renderer};
use crate::config::{DiscoveryMode, DownlinkVia};
use crate::model::{DeviceId, Timestamp};
use crate::store::{StoreError, UplinkQuery};

impl Renderer {
    /// Whether a device is there; nothing while nobody can know that it is not.
    pub(super) fn availability(&self, id: DeviceId, now: Timestamp) -> Result<Rendered, StoreError> {
        let Some(judged) = self.judged(id, now)? else { return Ok(Rendered::Nothing) };
        let payload = print(&judged);
        Ok(match judged.deadline.filter(|_| judged.state == Presence::Online) {
            Some(deadline) => Rendered::Until(payload, deadline),
            None => Rendered::Keep(payload),
        })
    }

    /// What is believed of a device; nothing while nobody can know that it is not there.
    pub(super) fn judged(&self, id: DeviceId, now: Timestamp) -> Result<Option<Availability>, StoreError> {
        let profile = self.profile(id)?;
        let Some(device) = &profile.device else {
            self.run.forget(id);
            return Ok(None);
        };
        let configured = self.expected_interval(&profile);
        let keep_alive = profile.device_type.as_ref().and_then(|device_type| device_type.keep_alive_s);
        let times = if configured.is_none() && keep_alive.is_none() { self.times(id)? } else { Vec::new() };
        let blind =
            device.last_seen.map(|seen| self.run.outages().blind(&device.source, seen, Moment::now(now)));
        let facts = Facts {
            last_seen: device.last_seen,
            configured,
            keep_alive: keep_alive.map(std::time::Duration::from_secs),
            times: &times,
            cloud: device.state,
            blind: blind.unwrap_or_default(),
        };
        let judged = Availability::judge(&facts, now);
        if judged.state == Presence::Offline && !self.run.outages().synced(&device.source) {
            // What it may have sent meanwhile has not been asked for yet.
            return Ok(None);
        }
        self.run.judge(device.id, judged.state);
        Ok(Some(judged))
    }

    /// How often the configuration expects a device to send.
    pub(super) fn expected_interval(&self, profile: &Profile) -> Option<std::time::Duration> {
        let device = profile.device.as_ref()?;
        let own = self.config.devices.get(&device.id).and_then(|settings| settings.expected_interval);
        let names = [
            device.device_type.as_deref(),
            profile.device_type.as_ref().and_then(|device_type| device_type.name.as_deref()),
        ];
        let of_type = || names.into_iter().flatten().find_map(|name| self.config.device_types.get(name));
        own.or_else(|| of_type().and_then(|settings| settings.expected_interval))
    }

    fn times(&self, id: DeviceId) -> Result<Vec<Timestamp>, StoreError> {
        let query = UplinkQuery {
            device: Some(id),
            limit: Some(GAPS + 1),
            newest_first: true,
            ..UplinkQuery::default()
        };
        Ok(self.store.uplinks(&query)?.iter().map(|uplink| uplink.time).collect())
    }

    /// A discovery message; cleared where the configuration wants another kind, or the device is gone.
    pub(super) fn discovery(&self, name: &Name) -> Result<Rendered, StoreError> {
        let mode = self.config.mqtt.discovery.mode;
        let message = match name {
            Name::GatewayDiscovery if mode == DiscoveryMode::Device => {
                let entities = self.entities(None)?;
                Some(self.gateway().itself(&entities, &self.removed(None, &entities)?))
            }
            Name::GatewayComponent(component, key) if mode == DiscoveryMode::Component => {
                let entities = self.entities(None)?;
                find(&entities, component, key).map(|entity| self.gateway().own_component(entity))
            }
            Name::Discovery(device) if mode == DiscoveryMode::Device => {
                let profile = self.profile(*device)?;
                match self.described(&profile) {
                    Some(described) => {
                        let entities = self.gateway().entities(&described);
                        let removed = self.removed(Some(*device), &entities)?;
                        Some(self.gateway().device(&described, &entities, &removed))
                    }
                    None => None,
                }
            }
            Name::Component(device, component, key) if mode == DiscoveryMode::Component => {
                let profile = self.profile(*device)?;
                self.described(&profile).and_then(|described| {
                    let entities = self.gateway().entities(&described);
                    let entity = find(&entities, component, key)?;
                    Some(self.gateway().component(&described, entity))
                })
            }
            _ => None,
        };
        Ok(message.map_or(Rendered::Clear, Rendered::Keep))
    }

    pub(super) fn gateway(&self) -> Gateway<'_> {
        Gateway { id: &self.config.gateway.id, topics: &self.topics }
    }

    pub(super) fn described<'a>(&self, profile: &'a Profile) -> Option<Described<'a>> {
        let device = profile.device.as_ref().filter(|device| !device.gone)?;
        let type_name = profile.device_type.as_ref().and_then(|device_type| device_type.name.as_deref());
        Some(Described {
            id: device.id,
            name: &profile.name,
            model: type_name.or(device.device_type.as_deref()),
            fields: profile.resolved.decoder.as_ref().map_or(&[], |decoder| decoder.catalogue()),
            takes_downlinks: self.downlink_via(device) != DownlinkVia::None,
        })
    }

    /// The bare value of a field; cleared where the configuration no longer wants it.
    pub(super) fn attribute(&self, id: DeviceId, field: &str) -> Result<Rendered, StoreError> {
        if !self.config.mqtt.attributes {
            return Ok(Rendered::Clear);
        }
        let state = self.store.device_state(id)?;
        Ok(match state.as_ref().and_then(|state| state.fields.get(field)) {
            Some(Value::String(text)) if text.is_empty() => Rendered::Clear,
            Some(Value::String(text)) => Rendered::Keep(text.clone().into()),
            Some(value) => Rendered::Keep(value.to_string().into()),
            None => Rendered::Clear,
        })
    }

    /// The documents that say what the uplinks of a device have told.
    pub(super) fn state_names(&self, id: DeviceId) -> Result<Vec<Name>, StoreError> {
        // The summary of downlinks as well: each uplink moves the next opportunity.
        let mut names = vec![Name::State(id), Name::Location(id), Name::Availability(id), Name::Downlink(id)];
        if self.config.mqtt.attributes {
            let fields = self.store.device_state(id)?.map(|state| state.fields).unwrap_or_default();
            names.extend(fields.keys().map(|field| Name::Attribute(id, field.clone())));
        }
        Ok(names)
    }
}

fn find<'a>(entities: &'a [Entity], component: &str, key: &str) -> Option<&'a Entity> {
    entities.iter().find(|entity| entity.component == component && entity.key == key)
}

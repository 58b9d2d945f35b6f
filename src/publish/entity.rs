//! Which entities Home Assistant is to know of a device, or of the gateway, and which it knows still: those that are
//! no more are taken back, whether the configuration, a decoder or the cloud took them away.

use std::collections::BTreeSet;

use super::discovery::{Entity, EntityId};
use super::render::Renderer;
use super::{Name, note};
use crate::config::DiscoveryMode;
use crate::model::{DeviceId, SourceName};
use crate::store::StoreError;

/// Whose entities: a device's, or the gateway's own.
pub(super) type Owner = Option<DeviceId>;

impl Renderer {
    /// The discovery messages of a device, or of the gateway, in a mode; those of entities that are no more as well.
    pub(super) fn discovery_names(&self, owner: Owner, mode: DiscoveryMode) -> Result<Vec<Name>, StoreError> {
        Ok(match (mode, owner) {
            (DiscoveryMode::Off, _) => Vec::new(),
            (DiscoveryMode::Device, Some(device)) => vec![Name::Discovery(device)],
            (DiscoveryMode::Device, None) => vec![Name::GatewayDiscovery],
            (DiscoveryMode::Component, _) => {
                let mut entities = note::entities(&self.store, owner)?;
                entities.extend(self.current(owner)?);
                let name = |(component, key): EntityId| match owner {
                    Some(device) => Name::Component(device, component, key),
                    None => Name::GatewayComponent(component, key),
                };
                entities.into_iter().map(name).collect()
            }
        })
    }

    /// Notes what Home Assistant is about to be told, before it is: a crash must not leave what nobody takes back. Says
    /// whether some of what it knows is to be taken back.
    pub(super) fn note_entities(&self, owner: Owner) -> Result<bool, StoreError> {
        let (noted, current) = (note::entities(&self.store, owner)?, self.current(owner)?);
        let entities: BTreeSet<EntityId> = noted.union(&current).cloned().collect();
        if entities != noted {
            note::set_entities(&self.store, owner, &entities)?;
        }
        Ok(entities != current)
    }

    /// The broker has a whole device's discovery, and with it what is no more was taken back.
    pub(super) fn told_all(&self, owner: Owner) -> Result<(), StoreError> {
        note::set_entities(&self.store, owner, &self.current(owner)?)
    }

    /// The broker keeps nothing about an entity any more.
    pub(super) fn taken_back(&self, owner: Owner, entity: &EntityId) -> Result<(), StoreError> {
        let mut entities = note::entities(&self.store, owner)?;
        if entities.remove(entity) { note::set_entities(&self.store, owner, &entities) } else { Ok(()) }
    }

    /// What Home Assistant was told of and is no more.
    pub(super) fn removed(&self, owner: Owner, current: &[Entity]) -> Result<Vec<EntityId>, StoreError> {
        let is_current = |(_, key): &EntityId| current.iter().any(|entity| entity.key == *key);
        Ok(note::entities(&self.store, owner)?.into_iter().filter(|entity| !is_current(entity)).collect())
    }

    /// The entities of a device, or of the gateway.
    pub(super) fn entities(&self, owner: Owner) -> Result<Vec<Entity>, StoreError> {
        let Some(device) = owner else { return Ok(self.gateway().own_entities(&self.source_names())) };
        let profile = self.profile(device)?;
        let described = self.described(&profile);
        Ok(described.map(|described| self.gateway().entities(&described)).unwrap_or_default())
    }

    pub(super) fn source_names(&self) -> Vec<SourceName> {
        self.config.sources.iter().map(|source| source.name.clone()).collect()
    }

    fn current(&self, owner: Owner) -> Result<BTreeSet<EntityId>, StoreError> {
        if self.config.mqtt.discovery.mode == DiscoveryMode::Off {
            return Ok(BTreeSet::new());
        }
        Ok(self.entities(owner)?.into_iter().map(Entity::id).collect())
    }
}

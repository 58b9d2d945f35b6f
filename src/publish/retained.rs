//! Which retained documents are out of date at the broker, and which need not be sent because they say the same.
//!
//! Holds names and hashes only: both are bounded by the number of devices.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Bound;

use bytes::Bytes;

use super::entity::Owner;
use super::note::{self, Place};
use super::render::{Rendered, Renderer, json_properties};
use super::{Name, health};
use crate::config::DiscoveryMode;
use crate::model::{DeviceId, SourceName, Timestamp};
use crate::mqtt::topic::Topics;
use crate::mqtt::{Properties, Publish};
use crate::store::StoreError;

/// The retained documents as the broker has them.
#[derive(Debug, Default)]
pub(super) struct Retained {
    stale: BTreeSet<Name>,
    /// The document of what uplinks change that was sent last: the next of these comes after it, so that devices that
    /// send without a pause hold up no others.
    turn: Option<Name>,
    /// What the broker keeps, by hash, since this process or the broker's session began.
    kept: BTreeMap<Name, u64>,
    /// Of whom Home Assistant may know entities that are no more, until it has been told.
    surplus: BTreeSet<Owner>,
    /// Until when documents are true that time makes false.
    due: BTreeMap<Name, Timestamp>,
}

/// A retained document under way: what it is, the hash of what it says, and whether it clears its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) name: Name,
    hash: u64,
    clears: bool,
}

impl Retained {
    /// Whether nothing is out of date.
    pub(super) fn is_fresh(&self) -> bool {
        self.stale.is_empty()
    }

    /// These may be out of date.
    pub(super) fn mark(&mut self, names: impl IntoIterator<Item = Name>) {
        self.stale.extend(names);
    }

    /// A publish of this did not arrive.
    pub(super) fn again(&mut self, stamp: Stamp) {
        self.kept.remove(&stamp.name);
        self.stale.insert(stamp.name);
    }

    /// A device's queue changed: its summary, its items, and items that are no longer there and must be cleared.
    pub(super) fn queue_changed(&mut self, renderer: &Renderer, device: DeviceId) -> Result<(), StoreError> {
        self.stale.insert(Name::Downlink(device));
        let published = note::items(&renderer.store, device)?;
        let mut items = published.clone();
        items.extend(renderer.store.queue(device)?.into_iter().map(|item| item.id));
        if items != published {
            // Before they are published, so that a crash does not leave a document that nobody clears.
            note::set_items(&renderer.store, device, &items)?;
        }
        self.stale.extend(items.into_iter().map(|item| Name::Item(device, item)));
        Ok(())
    }

    /// A device's description changed.
    pub(super) fn device_changed(&mut self, renderer: &Renderer, device: DeviceId) -> Result<(), StoreError> {
        self.stale.extend([
            Name::Info(device),
            Name::Availability(device),
            Name::Downlink(device),
            Name::Devices,
        ]);
        let (is_out, was_out) =
            (renderer.is_filtered_out(device)?, note::is_taken_back(&renderer.store, device)?);
        if is_out || was_out {
            // What stands at the broker is taken back, or told again. A crash in between does so once more.
            self.stale.extend(renderer.state_names(device)?);
        }
        if is_out != was_out {
            note::set_taken_back(&renderer.store, device, is_out)?;
        }
        self.discovery_changed(renderer, Some(device))
    }

    /// What Home Assistant is to know of a device, or of the gateway, changed.
    fn discovery_changed(&mut self, renderer: &Renderer, owner: Owner) -> Result<(), StoreError> {
        self.stale.extend(renderer.discovery_names(owner, renderer.config.mqtt.discovery.mode)?);
        if renderer.note_entities(owner)? {
            self.surplus.insert(owner);
        } else {
            self.surplus.remove(&owner);
        }
        Ok(())
    }

    /// Nothing is to be kept on these topics any more.
    pub(super) fn clear(&mut self, renderer: &Renderer, topics: Vec<String>) {
        let gateway = &renderer.config.gateway.id;
        let is_cleared = |name: &Name| topics.contains(&name.topic(&renderer.topics, gateway));
        self.kept.retain(|name, _| !is_cleared(name));
        self.stale.retain(|name| !is_cleared(name));
        self.stale.extend(topics.into_iter().map(Name::Gone));
    }

    /// How a source does changed, or there is one more or less.
    pub(super) fn sources_changed(&mut self, renderer: &Renderer) {
        let kept = self.kept.keys().filter(|name| matches!(name, Name::Source(_))).cloned();
        self.stale.extend(kept);
        self.stale.extend(renderer.status.all().into_keys().map(Name::Source));
    }

    /// The devices of a source are to be judged anew.
    pub(super) fn judge_anew(&mut self, renderer: &Renderer, source: &SourceName) -> Result<(), StoreError> {
        let devices = renderer.store.devices()?.into_iter().filter(|device| device.source == *source);
        self.stale.extend(devices.map(|device| Name::Availability(device.id)));
        Ok(())
    }

    /// What a new configuration or a new version may say differently.
    pub(super) fn descriptions(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        self.stale.extend([Name::BridgeInfo, Name::Devices, Name::Health]);
        self.discovery_changed(renderer, None)?;
        self.sources_changed(renderer);
        for device in renderer.store.devices()? {
            self.device_changed(renderer, device.id)?;
            self.queue_changed(renderer, device.id)?;
        }
        Ok(())
    }

    /// What an earlier run left where this one does not publish, because the configuration changed.
    pub(super) fn leftovers(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        let mqtt = &renderer.config.mqtt;
        let (base, prefix, mode) = (mqtt.base.clone(), mqtt.discovery.prefix.clone(), mqtt.discovery.mode);
        let here = Place { base, prefix, mode };
        let Some(there) = note::place(&renderer.store)?.filter(|there| *there != here) else {
            return note::set_place(&renderer.store, &here);
        };
        let topics = Topics::new(&there.base, &there.prefix);
        let mut names = Vec::new();
        let gateway = &renderer.config.gateway.id;
        if (&there.prefix, there.mode) != (&here.prefix, here.mode) {
            names.extend(renderer.discovery_names(None, there.mode)?);
            for device in renderer.store.devices()? {
                names.extend(renderer.discovery_names(Some(device.id), there.mode)?);
            }
            if there.prefix == here.prefix && here.mode != DiscoveryMode::Off {
                for name in names.drain(..) {
                    let topic = name.topic(&topics, gateway);
                    self.stale.extend([Name::Migration(topic.clone()), Name::Migrated(topic)]);
                }
            }
        }
        if there.base != here.base {
            names.extend([Name::BridgeState, Name::BridgeInfo, Name::Health, Name::Devices]);
            names.extend(renderer.status.all().into_keys().map(Name::Source));
            for device in renderer.store.devices()? {
                let documents = renderer.state_names(device.id)?;
                // Here nobody has them yet, whatever the broker remembers of our session.
                self.stale.extend(documents.iter().cloned());
                names.push(Name::Info(device.id));
                names.extend(documents);
                let items = note::items(&renderer.store, device.id)?;
                names.extend(items.into_iter().map(|item| Name::Item(device.id, item)));
            }
        }
        self.stale.extend(names.into_iter().map(|name| Name::Gone(name.topic(&topics, gateway))));
        // A crash before all of it is cleared leaves the rest: to clear it, the old settings must be used once more.
        note::set_place(&renderer.store, &here)
    }

    /// Another configuration is in effect: any document may say something else, or nothing any more.
    pub(super) fn configuration_changed(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        self.stale.extend(self.kept.keys().cloned());
        self.leftovers(renderer)?;
        self.all_names(renderer)
    }

    /// The broker, or who listens there, may have forgotten all of it.
    pub(super) fn everything(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        self.kept.clear();
        self.all_names(renderer)
    }

    fn all_names(&mut self, renderer: &Renderer) -> Result<(), StoreError> {
        for device in renderer.store.devices()? {
            self.stale.extend(renderer.state_names(device.id)?);
        }
        self.descriptions(renderer)
    }

    /// When the next document stops being true.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }

    /// Time has passed: what it has made false is out of date.
    pub(super) fn pass(&mut self, now: Timestamp) {
        let past: Vec<Name> =
            self.due.iter().filter(|(_, until)| **until < now).map(|(name, _)| name.clone()).collect();
        for name in past {
            self.due.remove(&name);
            self.stale.insert(name);
        }
    }

    /// The next document that says something else than what the broker keeps.
    pub(super) fn next(
        &mut self,
        renderer: &Renderer,
        now: Timestamp,
    ) -> Result<Option<(Stamp, Publish)>, StoreError> {
        while let Some(name) = self.next_name() {
            let rendered = renderer.retained(&name, now)?;
            self.stale.remove(&name);
            if name.is_of_uplinks() {
                self.turn = Some(name.clone());
            }
            let (payload, until, user) = match rendered {
                Rendered::Keep(payload) => (payload, None, Vec::new()),
                Rendered::About(payload, user) => (payload, None, user),
                Rendered::Until(payload, until) => (payload, Some(until), Vec::new()),
                Rendered::Clear => (Bytes::new(), None, Vec::new()),
                Rendered::Nothing => continue,
            };
            match until {
                Some(until) => self.due.insert(name.clone(), until),
                None => self.due.remove(&name),
            };
            let mut hasher = DefaultHasher::new();
            payload.hash(&mut hasher);
            let hash = hasher.finish();
            if self.kept.get(&name) == Some(&hash) {
                continue;
            }
            // From here on this is what the broker is about to keep; `again` takes it back.
            self.kept.insert(name.clone(), hash);
            let stamp = Stamp { name, hash, clears: payload.is_empty() };
            let topic = stamp.name.topic(&renderer.topics, &renderer.config.gateway.id);
            let properties = match stamp.name {
                Name::Health => Properties { expiry: Some(health::INTERVAL * 3), ..json_properties() },
                Name::Attribute(..) => {
                    Properties { content_type: Some("text/plain"), ..Properties::default() }
                }
                _ => Properties { user, ..json_properties() },
            };
            return Ok(Some((stamp, Publish { topic, payload, retain: true, properties })));
        }
        Ok(None)
    }

    fn next_name(&self) -> Option<Name> {
        let first = self.stale.first()?;
        let after = self.turn.as_ref().filter(|_| first.is_of_uplinks());
        let next = after.and_then(|turn| self.stale.range((Bound::Excluded(turn), Bound::Unbounded)).next());
        Some(next.unwrap_or(first).clone())
    }

    /// The broker has acknowledged a document.
    pub(super) fn arrived(&mut self, renderer: &Renderer, stamp: &Stamp) -> Result<(), StoreError> {
        let is_newest = self.kept.get(&stamp.name) == Some(&stamp.hash) && !self.stale.contains(&stamp.name);
        match &stamp.name {
            _ if !is_newest => Ok(()),
            Name::GatewayDiscovery => self.told_all(renderer, None),
            Name::Discovery(device) => self.told_all(renderer, Some(*device)),
            _ if !stamp.clears => Ok(()),
            Name::GatewayComponent(component, key) => {
                self.kept.remove(&stamp.name);
                renderer.taken_back(None, &(component, key.clone()))
            }
            Name::Component(device, component, key) => {
                self.kept.remove(&stamp.name);
                renderer.taken_back(Some(*device), &(component, key.clone()))
            }
            Name::Item(device, item) => {
                self.kept.remove(&stamp.name);
                let mut items = note::items(&renderer.store, *device)?;
                items.remove(item);
                note::set_items(&renderer.store, *device, &items)
            }
            _ => Ok(()),
        }
    }

    fn told_all(&mut self, renderer: &Renderer, owner: Owner) -> Result<(), StoreError> {
        if self.surplus.contains(&owner) {
            renderer.told_all(owner)?;
            self.surplus.remove(&owner);
        }
        Ok(())
    }
}

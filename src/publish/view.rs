//! The documents of the contract for whoever asks, as they are at this moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::document::{DownlinkItem, LocationDocument, OutboxRow, print};
use super::render::{Profile, Rendered, Renderer};
use super::state::take_uplink;
use super::{Availability, Name, Run, note};
use crate::config::{Config, DiscoveryMode};
use crate::decode::{Decoded, Registry};
use crate::ingest::StatusBoard;
use crate::model::{DeviceId, Downlink, Location, Timestamp, Uplink, UplinkId};
use crate::mqtt::topic::Topics;
use crate::store::{DeviceState, Store, StoreError, UplinkQuery};

/// How many uplinks at most are looked at that the broker does not have. Where more wait, it is away for long, and of
/// a field that only those before have an older value is told.
const UNPUBLISHED: usize = 20;

/// The most waiting events that one list of the outbox has: they are read ahead into memory.
const MOST_WAITING: usize = 1000;

/// Renders documents that are not published, or not now.
#[derive(Debug)]
pub struct View {
    renderer: Renderer,
}

impl View {
    /// A view of what the store holds.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        store: Store,
        registry: Arc<Registry>,
        status: StatusBoard,
        topics: Topics,
        run: Run,
    ) -> Self {
        Self { renderer: Renderer::new(config, store, registry, status, topics, run) }
    }

    /// The same, which knows how the mirrors do.
    #[must_use]
    pub fn with_mirrors(mut self, mirrors: StatusBoard) -> Self {
        self.renderer.mirrors = mirrors;
        self
    }

    /// A device as it is called, typed and decoded.
    pub fn profile(&self, device: DeviceId) -> Result<Profile, StoreError> {
        self.renderer.profile(device)
    }

    /// What the decoder of a device makes of an uplink.
    #[must_use]
    pub fn decode(profile: &Profile, uplink: &Uplink) -> Decoded {
        Renderer::decode(profile, uplink)
    }

    /// A device's state as `device/<id>/state` will be when the broker has all: what is published, and the newest
    /// uplinks that are not.
    pub fn latest(&self, profile: &Profile) -> Result<Option<DeviceState>, StoreError> {
        let Some(device) = &profile.device else { return Ok(None) };
        let published = self.renderer.store.device_state(device.id)?;
        let query = UplinkQuery {
            device: Some(device.id),
            from: published.as_ref().map(|state| state.time),
            limit: Some(UNPUBLISHED),
            newest_first: true,
            ..UplinkQuery::default()
        };
        let uplinks = self.renderer.store.uplinks(&query)?;
        let mut state = published;
        for uplink in uplinks.iter().rev() {
            if state.as_ref().is_none_or(|state| state.newest != uplink.id()) {
                take_uplink(&mut state, uplink, Renderer::decode(profile, uplink));
            }
        }
        Ok(state)
    }

    /// Whether a device is there; none while nobody can know that it is not.
    pub fn availability(&self, device: DeviceId, now: Timestamp) -> Result<Option<Availability>, StoreError> {
        self.renderer.judged(device, now)
    }

    /// A retained document; none where there is nothing to say.
    pub fn retained(&self, name: &Name, now: Timestamp) -> Result<Option<Value>, StoreError> {
        Ok(match self.renderer.retained(name, now)? {
            Rendered::Keep(document) | Rendered::About(document, _) | Rendered::Until(document, _) => {
                serde_json::from_slice(&document).ok()
            }
            Rendered::Clear | Rendered::Nothing => None,
        })
    }

    /// The document of an uplink.
    pub fn uplink(&self, uplink: &Uplink) -> Result<Option<Value>, StoreError> {
        let profile = self.renderer.profile(uplink.device)?;
        let decoded = Renderer::decode(&profile, uplink);
        let messages = self.renderer.uplink(uplink, &profile, &decoded);
        Ok(messages.first().and_then(|message| serde_json::from_slice(&message.payload).ok()))
    }

    /// The document of a location.
    #[must_use]
    pub fn location(location: &Location, uplink: Option<&UplinkId>) -> Value {
        serde_json::from_slice(&print(&LocationDocument::new(location, uplink))).unwrap_or_default()
    }

    /// The document of a downlink.
    #[must_use]
    pub fn downlink(item: &Downlink) -> Option<Value> {
        serde_json::from_slice(&print(&DownlinkItem::from(item))).ok()
    }

    /// What the broker refused, and the oldest of what waits for it.
    pub fn outbox(store: &Store, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows: Vec<OutboxRow> = store.parked()?.into_iter().map(OutboxRow::from).collect();
        rows.truncate(limit);
        let left = (limit - rows.len()).min(MOST_WAITING);
        let waiting = store.outbox_head(&BTreeSet::new(), left)?;
        rows.extend(waiting.iter().map(OutboxRow::from));
        Ok(rows)
    }

    /// Every topic on which something about a device is kept.
    pub fn topics_of(&self, device: DeviceId) -> Result<Vec<String>, StoreError> {
        let renderer = &self.renderer;
        let mut names = renderer.state_names(device)?;
        names.extend([Name::Info(device), Name::Discovery(device)]);
        names.extend(renderer.discovery_names(Some(device), DiscoveryMode::Component)?);
        names.extend(note::items(&renderer.store, device)?.into_iter().map(|item| Name::Item(device, item)));
        Ok(self.printed(&names))
    }

    /// Every topic on which something is kept for Home Assistant.
    pub fn discovery_topics(&self) -> Result<Vec<String>, StoreError> {
        let mut names = vec![Name::GatewayDiscovery];
        names.extend(self.renderer.discovery_names(None, DiscoveryMode::Component)?);
        for device in self.renderer.store.devices()? {
            names.push(Name::Discovery(device.id));
            names.extend(self.renderer.discovery_names(Some(device.id), DiscoveryMode::Component)?);
        }
        Ok(self.printed(&names))
    }

    fn printed(&self, names: &[Name]) -> Vec<String> {
        let renderer = &self.renderer;
        names.iter().map(|name| name.topic(&renderer.topics, &renderer.config.gateway.id)).collect()
    }
}

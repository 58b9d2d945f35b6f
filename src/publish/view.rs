//! The documents of the contract for whoever asks, as they are at this moment.

use std::sync::Arc;

use serde_json::Value;

use super::Name;
use super::document::{DownlinkItem, print};
use super::render::{Rendered, Renderer};
use crate::config::Config;
use crate::decode::Registry;
use crate::ingest::StatusBoard;
use crate::model::{Downlink, Timestamp, Uplink};
use crate::mqtt::topic::Topics;
use crate::store::{Store, StoreError};

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
    ) -> Self {
        Self { renderer: Renderer::new(config, store, registry, status, topics) }
    }

    /// A retained document; none where there is nothing to say.
    pub fn retained(&self, name: &Name, now: Timestamp) -> Result<Option<Value>, StoreError> {
        Ok(match self.renderer.retained(name, now)? {
            Rendered::Keep(document) | Rendered::Until(document, _) => serde_json::from_slice(&document).ok(),
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

    /// The document of a downlink.
    #[must_use]
    pub fn downlink(item: &Downlink) -> Option<Value> {
        serde_json::from_slice(&print(&DownlinkItem::from(item))).ok()
    }
}

//! The documents that say what the gateway is: `bridge/info` and `bridge/devices`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::document::{BridgeInfo, DeviceIndex, DeviceIndexRow, MirrorRow, SourceRow, VERSION, print};
use super::render::{Rendered, Renderer, via};
use crate::config::{DiscoveryMode, Protocol, SourceKind};
use crate::store::StoreError;

/// Version of the contract (`bridge/info`).
const CONTRACT: u8 = 1;

impl Renderer {
    pub(super) fn bridge_info(&self) -> Bytes {
        let config = &self.config;
        let sources = config.sources.iter().map(|source| SourceRow {
            name: &source.name,
            kind: match source.kind {
                SourceKind::Sigfox { .. } => "sigfox",
                SourceKind::Soracom { .. } => "soracom",
            },
            downlink: via(source.downlink),
        });
        let features = [
            ("embedded-broker", cfg!(feature = "embedded-broker")),
            ("javascript", cfg!(feature = "javascript")),
            ("parquet", cfg!(feature = "parquet")),
        ];
        print(&BridgeInfo {
            v: VERSION,
            version: env!("CARGO_PKG_VERSION"),
            contract: CONTRACT,
            gateway: &config.gateway.id,
            features: features.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect(),
            sources: sources.collect(),
            mirrors: config.mirrors.iter().map(|one| MirrorRow { name: &one.name, kind: "altair" }).collect(),
            restart_required: !self.restart_keys.is_empty(),
            restart_keys: &self.restart_keys,
            settings: self.settings(),
        })
    }

    /// The settings that others may need to know: an allow-list, so that a new secret is not published by default.
    fn settings(&self) -> Map<String, Value> {
        let config = &self.config;
        let settings = json!({
            "base": config.mqtt.base,
            "protocol": match config.mqtt.protocol { Protocol::V4 => 4, Protocol::V5 => 5 },
            "max_inflight": config.mqtt.max_inflight,
            "attributes": config.mqtt.attributes,
            "discovery": {
                "mode": match config.mqtt.discovery.mode {
                    DiscoveryMode::Device => "device",
                    DiscoveryMode::Component => "component",
                    DiscoveryMode::Off => "off",
                },
                "prefix": config.mqtt.discovery.prefix,
            },
            "downlink": {
                "expires_after_s": config.downlink.expires_after.as_secs(),
                "daily_limit": config.downlink.daily_limit,
            },
            "store": { "keep_s": config.store.keep.as_secs(), "max_size": config.store.max_size },
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    pub(super) fn index(&self) -> Result<Rendered, StoreError> {
        let mut rows = Vec::new();
        for device in self.store.devices()?.into_iter().filter(|device| !device.gone) {
            let profile = self.profile(device.id)?;
            let named = profile.device_type.and_then(|device_type| device_type.name);
            rows.push(DeviceIndexRow {
                id: device.id,
                name: profile.name,
                device_type: named.or(device.device_type),
                source: device.source,
            });
        }
        Ok(Rendered::Keep(print(&DeviceIndex { v: VERSION, devices: rows })))
    }
}

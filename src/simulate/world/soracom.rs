//! What Soracom knows of a device beside its messages.

use std::collections::BTreeMap;

use crate::model::{DownlinkPayload, Timestamp};

/// A device's registration at Soracom.
#[derive(Debug, Clone)]
pub struct Registration {
    /// `active`, `ready`, `terminated`, `instock`, or whatever else the live service may say.
    pub status: String,
    /// Tags; the console shows `name`.
    pub tags: BTreeMap<String, String>,
    /// The group whose settings it takes.
    pub group: Option<String>,
    /// Whether it may be terminated.
    pub termination_enabled: bool,
    /// Which shape its entries in Harvest have.
    pub harvest: Generation,
    /// The one downlink that waits for it.
    pub slot: Option<DownlinkPayload>,
    /// When any of this changed last.
    pub modified: Timestamp,
}

/// The shape of an entry's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Until about 2020: station, its place, RSSI.
    First,
    /// Since about 2021: link quality, operator, country.
    Second,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            status: "active".to_owned(),
            tags: BTreeMap::new(),
            group: Some("8be6ac53-9ae1-4a39-9f4a-8b9b8c1b6c0e".to_owned()),
            termination_enabled: false,
            harvest: Generation::Second,
            slot: None,
            modified: Timestamp::from_millis(1_511_000_000_000).unwrap_or_default(),
        }
    }
}

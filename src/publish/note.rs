//! What the publisher keeps over a restart in the store's notes.

use std::collections::BTreeSet;

use super::discovery::{self, EntityId};
use super::entity::Owner;
use crate::config::DiscoveryMode;
use crate::model::{DeviceId, ItemId};
use crate::store::{Store, StoreError};

const CLEAN: &str = "publish/clean";
const PLACE: &str = "publish/place";
const YES: &[u8] = b"yes";
const NO: &[u8] = b"no";

/// The longest list of entities in bytes; some hundreds of entities, and less than a note may have.
const LONGEST_LIST: usize = 12_000;

/// Where a run publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base: String,
    pub(super) prefix: String,
    pub(super) mode: DiscoveryMode,
}

/// Whether the last run ended with nothing at the broker out of date; from now on it does not count as such.
///
/// Durable when this returns: otherwise a crash would leave a note that says that nothing is out of date.
pub(super) async fn begin(store: &Store) -> Result<bool, StoreError> {
    let was_clean = store.note(CLEAN)?.as_deref() == Some(YES);
    store.set_note(CLEAN, NO)?;
    store.flush().await?;
    Ok(was_clean)
}

/// Nothing at the broker is out of date. A crash before it is durable only makes the next run send too much.
pub(super) fn end(store: &Store) -> Result<(), StoreError> {
    store.set_note(CLEAN, YES)
}

/// The items of a device whose retained documents may stand at the broker.
pub(super) fn items(store: &Store, device: DeviceId) -> Result<BTreeSet<ItemId>, StoreError> {
    let note = store.note(&key(device))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&note);
    Ok(text.split_whitespace().filter_map(|id| id.parse().ok()).collect())
}

/// Keeps that list; to be called before a document is published and after it is cleared.
pub(super) fn set_items(store: &Store, device: DeviceId, items: &BTreeSet<ItemId>) -> Result<(), StoreError> {
    let list: Vec<&str> = items.iter().map(ItemId::as_str).collect();
    store.set_note(&key(device), list.join(" ").as_bytes())
}

/// The entities that Home Assistant may know of a device, or of the gateway.
pub(super) fn entities(store: &Store, owner: Owner) -> Result<BTreeSet<EntityId>, StoreError> {
    let note = store.note(&entities_key(owner))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&note);
    Ok(text.lines().filter_map(discovery::parse_entity).collect())
}

/// Keeps that list, or as much of it as a note holds: what is beyond is never taken back.
pub(super) fn set_entities(
    store: &Store,
    owner: Owner,
    entities: &BTreeSet<EntityId>,
) -> Result<(), StoreError> {
    let mut list = String::new();
    for (component, key) in entities {
        if list.len() + component.len() + key.len() + 2 > LONGEST_LIST {
            break;
        }
        list.extend([component, " ", key.as_str(), "\n"]);
    }
    store.set_note(&entities_key(owner), list.as_bytes())
}

/// Whether a device's documents were taken back because it was filtered out.
pub(super) fn is_taken_back(store: &Store, device: DeviceId) -> Result<bool, StoreError> {
    Ok(store.note(&taken_back_key(device))?.as_deref() == Some(YES))
}

/// Keeps that.
pub(super) fn set_taken_back(store: &Store, device: DeviceId, is_it: bool) -> Result<(), StoreError> {
    store.set_note(&taken_back_key(device), if is_it { YES } else { NO })
}

/// Where the last run published: base, prefix of discovery, and its mode.
pub(super) fn place(store: &Store) -> Result<Option<Place>, StoreError> {
    let note = store.note(PLACE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&note);
    let mut lines = text.lines();
    Ok(match (lines.next(), lines.next(), lines.next()) {
        (Some(base), Some(prefix), Some(mode)) => {
            Some(Place { base: base.to_owned(), prefix: prefix.to_owned(), mode: mode_of(mode) })
        }
        _ => None,
    })
}

/// Where this run publishes.
pub(super) fn set_place(store: &Store, place: &Place) -> Result<(), StoreError> {
    let mode = match place.mode {
        DiscoveryMode::Device => "device",
        DiscoveryMode::Component => "component",
        DiscoveryMode::Off => "off",
    };
    store.set_note(PLACE, format!("{}\n{}\n{mode}", place.base, place.prefix).as_bytes())
}

fn mode_of(text: &str) -> DiscoveryMode {
    match text {
        "device" => DiscoveryMode::Device,
        "component" => DiscoveryMode::Component,
        _ => DiscoveryMode::Off,
    }
}

fn taken_back_key(device: DeviceId) -> String {
    format!("publish/taken back/{:08X}", device.number())
}

fn entities_key(owner: Owner) -> String {
    match owner {
        Some(device) => format!("publish/entities/{:08X}", device.number()),
        None => "publish/entities/gateway".to_owned(),
    }
}

fn key(device: DeviceId) -> String {
    format!("publish/items/{:08X}", device.number())
}

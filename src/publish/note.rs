//! What the publisher keeps over a restart in the store's notes.

use std::collections::BTreeSet;

use crate::model::{DeviceId, ItemId};
use crate::store::{Store, StoreError};

const CLEAN: &str = "publish/clean";
const YES: &[u8] = b"yes";
const NO: &[u8] = b"no";

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

fn key(device: DeviceId) -> String {
    format!("publish/items/{:08X}", device.number())
}

//! The values on disk: compact records of our own, so that the vocabulary can change without the store.
//!
//! A value is a byte of version and then postcard. Fields are only ever added together with a new version, and
//! numbers of named things only ever appended to their tables.

mod device;
mod downlink;
mod event;
mod pack;
mod uplink;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::layout::LARGEST_VALUE;

pub(super) use device::{DeviceRecord, DeviceTypeRecord, StateRecord};
pub(super) use downlink::DownlinkRecord;
pub(super) use event::{BlockRecord, EntryRecord, ParkedRecord};
pub(super) use pack::Pack;
pub(super) use uplink::{LocationRecord, TailRecord, UplinkRecord};

/// A value of a tree.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// What it is, for people.
    const WHAT: &'static str;
    /// The version that is written.
    const VERSION: u8 = 1;

    /// Its bytes.
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let bytes = postcard::to_extend(self, vec![Self::VERSION])
            .map_err(|error| StoreError::Damaged(format!("{}: {error}", Self::WHAT)))?;
        if bytes.len() > LARGEST_VALUE {
            return Err(StoreError::TooLarge { what: Self::WHAT, bytes: bytes.len(), most: LARGEST_VALUE });
        }
        Ok(bytes)
    }

    /// The record of these bytes.
    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.split_first() {
            Some((&version, rest)) if version == Self::VERSION => postcard::from_bytes(rest)
                .map_err(|error| StoreError::Damaged(format!("{}: {error}", Self::WHAT))),
            Some((version, _)) => Err(StoreError::Damaged(format!("{} of version {version}", Self::WHAT))),
            None => Err(StoreError::Damaged(format!("an empty {}", Self::WHAT))),
        }
    }
}

/// The number of a named thing: its place in a table that is only ever appended to.
fn code<T: PartialEq>(table: &[T], value: &T) -> u8 {
    table
        .iter()
        .position(|known| known == value)
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

/// The thing with this number.
fn named<T: Copy>(table: &[T], code: u8) -> Option<T> {
    table.get(usize::from(code)).copied()
}

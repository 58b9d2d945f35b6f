//! The documents of the contract, as values that print themselves: key order, nulls and spelling are theirs.
//!
//! Nothing in here reads the store, a clock or the configuration.

mod bridge;
mod device;
mod downlink;
mod hello;
mod location;
mod outbox;
mod response;
#[cfg(test)]
mod schema;
mod uplink;

use bytes::Bytes;
use serde::Serialize;

pub use bridge::{
    BridgeEvent, BridgeInfo, BridgeState, DeviceIndex, DeviceIndexRow, MirrorRow, SourceDocument, SourceRow,
};
pub use device::{DeviceInfo, DownlinkCapability, FieldRow, ServiceEvent, TypeRow};
pub use downlink::{DownlinkItem, DownlinkSummary, QueueRow, Quota};
pub use hello::Hello;
pub use location::{LocationDocument, Place};
pub use outbox::OutboxRow;
pub use response::{Response, ResponseError};
pub use uplink::UplinkDocument;

/// Version of every document (`"v"`).
pub const VERSION: u8 = 1;

/// What an uplink takes with some fields; others grow.
const USUAL_BYTES: usize = 700;

/// The document as it is published.
#[must_use]
pub fn print(document: &impl Serialize) -> Bytes {
    // Documents have only text keys and no failing parts, so this cannot fail; an empty payload would clear the
    // topic, hence the empty object.
    let mut text = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut text, document).map_or(Bytes::from_static(b"{}"), |()| Bytes::from(text))
}

//! The vocabulary of the house: what a device, an uplink, a location and a downlink are.
//!
//! Plain values with their parsers and printers. Nothing in here does I/O, reads a clock or can await;
//! every other room may import it, and it imports no other room.

mod device;
mod device_id;
mod downlink;
mod event;
mod location;
mod payload;
mod time;
mod uplink;

pub use device::{
    CloudState, Device, DeviceType, DownlinkMode, InventoryDevice, ParseSourceNameError, PayloadKind,
    SourceName,
};
pub use device_id::{DeviceId, ParseDeviceIdError};
pub use downlink::{Downlink, DownlinkState, Evidence, ItemId, ParseItemIdError};
pub use event::Event;
pub use location::{Location, LocationSource};
pub use payload::{DownlinkPayload, ParsePayloadError, Payload};
pub use time::{ParseTimestampError, Timestamp};
pub use uplink::{LinkQuality, ParseUplinkIdError, Uplink, UplinkId, UplinkTail};

/// Decoded fields by name, in the order of their decoder.
///
/// Values are JSON scalars (integers exact to 64 bits) or, from scripts, any JSON.
pub type Fields = serde_json::Map<String, serde_json::Value>;

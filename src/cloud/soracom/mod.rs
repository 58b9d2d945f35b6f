//! Soracom Air for Sigfox: devices, Harvest data and the one downlink slot a device.
//! Facts from Soracom's `OpenAPI` description of 2026-06 and its user documents.

mod client;
mod data;
mod device;
mod session;

pub use client::{Match, Registration, Soracom, TagFilter};
pub use data::Entry;
pub use device::Device;
pub use session::Session;
pub(in crate::cloud) use session::SessionKeeper;

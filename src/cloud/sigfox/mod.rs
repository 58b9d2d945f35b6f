//! The Sigfox cloud: one set of calls for the REST API v2 (state of June 2021) and v1.
//!
//! One file a noun, each with its calls and the path that either version has for them; what a version lacks
//! fails with [`Error::Unsupported`](super::Error::Unsupported), which names what comes nearest. `wire` reads
//! the objects from the shapes of either. Times are milliseconds in v2 and mostly seconds in v1 on the wire, and
//! [`Timestamp`](crate::model::Timestamp) here.

mod callbacks;
mod client;
mod coverage;
mod device_types;
mod devices;
mod groups;
mod report;
mod wire;

pub use callbacks::{Callback, Undelivered, UndeliveredOf};
pub use client::{Sigfox, Window};
pub use coverage::{Place, Prediction, Redundancy, Situation};
pub use devices::{Consumption, DeviceFilter, Metric, NetworkState, Token};
pub use groups::{Group, User};
pub use report::Report;
pub use wire::{Device, DeviceType, Message, Position, Reception};

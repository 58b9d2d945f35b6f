//! The Sigfox cloud. The types are ours and one for both versions of the API; `wire` reads them from the
//! shapes of either, `v2` says what is asked.

mod v2;
mod wire;

pub use v2::{Sigfox, Window};
pub use wire::{Device, DeviceType, Message, Position, Reception};

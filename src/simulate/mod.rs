//! Simulated clouds: one world of devices, served over HTTP the way the real services answer.
//!
//! For `simulate`, `demo` and tests. Written from the clouds' documents and from what they are known to send, so
//! that our client is held against them and not against itself; it shares the vocabulary of `model` and nothing
//! else with the rest of the house.

mod agenda;
mod altair;
mod answer;
mod callback;
mod connection;
mod control;
mod courier;
mod fault;
mod intercept;
mod pace;
mod scenario;
mod sensor;
mod server;
mod shared;
mod sigfox_v1;
mod sigfox_v2;
mod soracom;
mod variables;
mod world;

#[cfg(test)]
mod tests;

pub use callback::{Callback, CallbackKind, CallbackTarget};
pub use fault::{Fault, FaultKind, ParseFaultError};
pub use pace::{Pace, SpeedError};
pub use scenario::{SENSIT_TYPE, Scenario, WEATHER_TYPE};
pub use sensor::{Sensor, WEATHER_GRAMMAR};
pub use server::{Options, Running, Simulator};
pub use shared::{Cursor, Logins};
pub use world::{
    Device, DeviceType, Generation, Place, Position, Received, Reception, Registration, Schedule, Telegram,
    Uplink, World,
};

//! The gateway as a Sparkplug B edge node: a device of SCADA for each device, on a connection of its own.
//!
//! What is in here thinks: when the edge node is born and dies, which metrics the host was told of, and what goes
//! into which message. Nothing reads the store, a clock or the network.

pub mod declared;
pub mod host;
pub mod metric;
pub mod node;
pub mod payload;
pub mod session;
#[cfg(test)]
mod tests;
pub mod topic;

pub use metric::{DataType, Metric, Value};

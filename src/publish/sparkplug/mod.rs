//! The gateway as a Sparkplug B edge node: a device of SCADA for each device, on a connection of its own.
//!
//! `session`, `declared`, `node`, `catalogue` and `command` think; `EdgeNode` reads the store and talks to the broker.
//! It is a tenant of the store: whether the host is there never concerns the publisher.

mod backlog;
mod catalogue;
mod command;
mod declared;
mod edge_node;
mod facts;
mod host;
mod metric;
mod node;
pub mod payload;
mod session;
#[cfg(test)]
mod tests;
mod topic;

pub use catalogue::{DEVICE, NODE, Row};
pub use edge_node::{EdgeNode, Parts, TENANT};
pub use metric::DataType;

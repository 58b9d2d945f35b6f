//! The broker: one connection, one loop, and what came of each publish (stub of the interface).

pub mod topic;

//! From the clouds into the store (stub of the interface).

mod status;

pub use status::{SourceState, SourceStatus, StatusBoard};

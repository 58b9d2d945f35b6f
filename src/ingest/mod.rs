//! From the clouds into the store: one task a source, which asks on its own schedules, finds out what is new,
//! and goes on through whatever a cloud does. It knows no broker: what it stores is published by `publish`.

mod backoff;
mod cloud_clock;
mod health;
mod inventory;
mod locations;
mod messages;
mod nudge;
mod odd_row;
mod reports;
mod schedule;
mod soracom;
mod source;
mod status;
mod sweep;

pub(crate) use backoff::Backoff;
pub(crate) use health::Failure;
pub use nudge::{Nudge, Scope};
pub(crate) use schedule::{Clockwork, Ticker};
pub use source::Source;
pub use status::{SourceState, SourceStatus, StatusBoard};

//! From the outbox to the broker: what is published, in which words, and when it counts as published.
//!
//! Owns every document of the contract and the task that sends them. It reads the store and is told of changes
//! by it; it must not know clouds or HTTP, nor what a packet is.

mod about;
mod availability;
mod condition;
mod discovery;
pub mod document;
mod entity;
mod flight;
mod health;
mod ledger;
mod name;
mod note;
mod outage;
mod outbox;
mod presence;
mod publisher;
mod render;
mod reply;
mod retained;
mod run;
pub mod sparkplug;
mod state;
mod view;

pub use availability::{Availability, Basis, Presence, Reason};
pub use condition::{Complaint, Condition, Status};
pub use health::Health;
pub use name::Name;
pub use publisher::{Parts, Publisher};
pub use render::Profile;
pub use reply::{Replies, Reply, ReplyQueue, replies};
pub use run::{Count, Run};
pub(crate) use state::place_of;
pub use view::View;

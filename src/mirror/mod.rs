//! Altair IoT Studio: each device as a Thing, from the same documents that the broker gets.
//!
//! Reads its own outbox of the store (a tenant), so that nobody waits for it and it loses nothing while the studio is
//! away. What it knows of the studio it reads there: a Thing is found by its marker, and what is newest by the Thing's
//! own `last_seen`, so that the loss of our store makes no Thing twice and moves no value back.

mod action;
mod batch;
mod deliver;
mod downlink;
mod task;
mod thing;
mod things;

pub use task::{Mirror, Parts};

//! The clouds' HTTP APIs as typed calls: requests valid by their documents, answers read as the live services
//! really send them, lists as streams of pages, and errors that say what to do next.
//!
//! Only this room names reqwest. It keeps nothing, knows no store and no broker, and decides nothing about
//! when to ask: that is `ingest`'s.

mod access;
pub mod altair;
mod api;
mod body;
mod client;
mod error;
mod http;
mod limit;
mod page;
mod refusal;
mod row;
pub mod sigfox;
pub mod soracom;

pub use access::Access;
pub use api::Call;
pub use client::Client;
pub use error::Error;
pub use page::{Page, Pages, Skipped};

//! Altair IoT Studio: Things of a space, their properties, actions and events, and categories.
//!
//! Facts from its public `OpenAPI` description (`AnythingDB` 1.0.0) and its Python client. Addresses are built from
//! names alone, never from the `href`s of answers, some of which still lead to an older path.

mod category;
mod client;
mod interaction;
mod thing;
mod token;
mod value;

pub use category::Category;
pub use client::{Altair, Login, ThingFilter};
pub use interaction::{Action, Event};
pub use thing::Thing;
pub(in crate::cloud) use token::TokenKeeper;
pub use value::Moment;

//! What the command line asks and tells the gateway. Questions are answered by the running daemon through a
//! socket, or by the store itself when no daemon runs, with the same answers; commands are those of MQTT.
//!
//! One line of JSON asks, one line of JSON answers; an export is answered by a line for each row. Who may ask is decided
//! by the file system: the daemon's user, its group and root.

mod client;
mod desk;
mod question;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod view;

pub use client::{AskError, ask, ask_for_rows};
pub use desk::{Desk, Refused};
pub use question::{Export, Question, Range, Rows, StoreQuestion};
pub use server::Server;
pub use view::View;

/// The longest question, in bytes.
const LONGEST_QUESTION: u64 = 64 * 1024;

//! What the command line asks of the gateway: of the running daemon through a socket in its data directory, or of the
//! store itself when no daemon runs. The answers are the same either way.
//!
//! One line of JSON asks, one line of JSON answers. Whoever may open the data directory may ask.

mod client;
mod question;
mod server;
#[cfg(test)]
mod tests;
mod view;

pub use client::{AskError, ask};
pub use question::{Question, Range};
pub use server::Server;
pub use view::View;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

/// The longest question, in bytes.
const LONGEST_QUESTION: u64 = 64 * 1024;

//! The broker: one connection at a time, one task that polls it, and what came of each publish.
//!
//! Knows packets, sessions and acknowledgements; must not know what a document says. Whoever publishes keeps
//! what it published until [`News::Acked`] names its ticket: nothing in here outlives a connection.

#[cfg(feature = "embedded-broker")]
pub mod broker;
mod ceiling;
mod driver;
pub mod edge;
mod fault;
mod link;
mod message;
mod options;
mod outgoing;
mod packets;
mod session;
mod tls;
pub mod topic;
mod transport;
mod v4;
mod v5;
pub mod watch;
mod window;

use std::sync::Arc;

pub use driver::{Driver, Pauses};
pub use fault::Fault;
pub use link::{Epoch, Inbox, Link, News, NotTaken, Progress};
pub use message::{Message, Properties, Publish};
pub use options::{LARGEST_INCOMING, LARGEST_OUTGOING, Options, Will};
pub use window::{Ticket, Verdict};

use crate::config;
use topic::Topics;

/// How many messages of the broker are meant to wait for `command`; MQTT 5 brokers are told.
pub(crate) const INBOX: u16 = 64;
/// Brokers that cannot be told, or do not keep to it (mosquitto 2.0.11 goes on from 64 at the first acknowledgement),
/// are cut off only when so many wait, so that they deliver again,
const MOST_WAITING: usize = 16 * 1024;
/// or so many bytes, a little for each message included.
const MOST_WAITING_BYTES: usize = 8 << 20;

/// The four ends of the connection to a broker that is not yet made: `Driver::run` makes it, and makes it again.
///
/// # Errors
/// Certificate and key files that cannot be read or do not fit each other.
pub fn connect(
    mqtt: &config::Mqtt,
    gateway: &str,
    topics: &Topics,
) -> anyhow::Result<(Link, Progress, Inbox, Driver)> {
    let options = Options::new(mqtt, &format!("sigfox2mqtt-{gateway}"))?.with_will(topics);
    let (inbound, messages) = tokio::sync::mpsc::channel(MOST_WAITING);
    let shared = Arc::new(link::Shared::new(usize::from(mqtt.max_inflight)));
    let driver = Driver::new(options, topics.subscriptions(), Arc::clone(&shared), inbound);
    Ok((
        Link::new(Arc::clone(&shared)),
        Progress::new(Arc::clone(&shared)),
        Inbox::new(messages, shared),
        driver,
    ))
}

//! What is to be written to a connection: packets as bytes, gathered until they are worth a write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::message::Publish;
use super::packets::{Packets, Unwritable};
use super::window::LAST_PUBLISH;

/// So many bytes are written at once, without waiting for more.
const ENOUGH: usize = 8 * 1024;

/// A buffer that has grown larger is given back.
const KEPT: usize = 64 * 1024;

const PUBLISH: Load = Load { publishes: 1, goodbye: false };
const GOODBYE: Load = Load { publishes: 0, goodbye: true };

/// What can be asked of a connection; every call says whether the request was taken.
#[derive(Debug)]
pub(super) struct Outgoing {
    packets: &'static dyn Packets,
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: BytesMut,
    load: Load,
    /// The packet id of the last subscription; 0 before the first.
    subscription: u16,
}

/// What some bytes hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// How many publishes.
    pub(super) publishes: u64,
    /// Whether our goodbye is the last of it.
    pub(super) goodbye: bool,
}

impl Outgoing {
    pub(super) fn new(packets: &'static dyn Packets) -> Self {
        Self { packets, waiting: Mutex::default(), more: Notify::new() }
    }

    /// A publish with QoS 1 as this packet. It waits for [`Self::flush`], so that many are written together.
    pub(super) fn publish(&self, publish: &Publish, packet: u16) -> bool {
        let (is_taken, waiting) = self.put(PUBLISH, |packets, bytes| packets.publish(publish, packet, bytes));
        if waiting >= ENOUGH {
            self.more.notify_one();
        }
        is_taken
    }

    /// What was published is to be written now.
    pub(super) fn flush(&self) {
        if !self.lock().bytes.is_empty() {
            self.more.notify_one();
        }
    }

    /// A publish that nobody acknowledges.
    pub(super) fn publish_at_most_once(&self, topic: &str, payload: Bytes) -> bool {
        self.put_now(PUBLISH, |packets, bytes| packets.publish_at_most_once(topic, payload, bytes))
    }

    /// The acknowledgement of a message of the broker.
    pub(super) fn acknowledge(&self, packet: u16) -> bool {
        self.put_now(Load::default(), |packets, bytes| packets.acknowledge(packet, bytes))
    }

    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        let packet = self.next_subscription();
        self.put_now(Load::default(), |packets, bytes| packets.subscribe(packet, filters, bytes))
    }

    pub(super) fn ping(&self) -> bool {
        self.put_now(Load::default(), |packets, bytes| packets.ping(bytes))
    }

    /// Our goodbye; nothing is taken after it.
    pub(super) fn disconnect(&self) -> bool {
        self.put_now(GOODBYE, |packets, bytes| packets.disconnect(bytes))
    }

    /// Moves what waits into an empty buffer and says what it is; nothing where nothing waits.
    pub(super) fn take(&self, into: &mut BytesMut) -> Option<Load> {
        let mut waiting = self.lock();
        if waiting.bytes.is_empty() {
            return None;
        }
        if into.capacity() > KEPT {
            *into = BytesMut::new();
        }
        into.clear();
        std::mem::swap(&mut waiting.bytes, into);
        let load = waiting.load;
        waiting.load.publishes = 0;
        Some(load)
    }

    /// Waits until something may be to be written. May be dropped and called again.
    pub(super) async fn more(&self) {
        // Only one task waits, so a permit that is stored between its look and this line is not missed.
        self.more.notified().await;
    }

    /// Packet ids that no publish has, in turns.
    fn next_subscription(&self) -> u16 {
        let mut waiting = self.lock();
        waiting.subscription = match waiting.subscription {
            0 | u16::MAX => LAST_PUBLISH + 1,
            last => last + 1,
        };
        waiting.subscription
    }

    fn put_now(
        &self,
        load: Load,
        write: impl FnOnce(&dyn Packets, &mut BytesMut) -> Result<(), Unwritable>,
    ) -> bool {
        let (is_taken, _) = self.put(load, write);
        self.more.notify_one();
        is_taken
    }

    /// Whether it was taken, and how many bytes wait.
    fn put(
        &self,
        load: Load,
        write: impl FnOnce(&dyn Packets, &mut BytesMut) -> Result<(), Unwritable>,
    ) -> (bool, usize) {
        let mut waiting = self.lock();
        let before = waiting.bytes.len();
        let is_taken = !waiting.load.goodbye && write(self.packets, &mut waiting.bytes).is_ok();
        if is_taken {
            waiting.load.publishes += load.publishes;
            waiting.load.goodbye = load.goodbye;
        } else {
            // Half a packet would spoil the rest.
            waiting.bytes.truncate(before);
        }
        (is_taken, waiting.bytes.len())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocol;
    use crate::mqtt::message::Properties;
    use crate::mqtt::packets;

    #[test]
    fn what_waits_is_taken_once_and_nothing_comes_after_the_goodbye() {
        let outgoing = Outgoing::new(packets::of(Protocol::V4));
        let (topic, payload) = ("a/b".to_owned(), Bytes::from_static(b"{}"));
        let publish = Publish { topic, payload, retain: false, properties: Properties::default() };
        let mut bytes = BytesMut::new();
        assert_eq!(outgoing.take(&mut bytes), None);
        assert!(outgoing.publish(&publish, 1) && outgoing.publish(&publish, 2) && outgoing.acknowledge(7));
        assert_eq!(outgoing.take(&mut bytes), Some(Load { publishes: 2, goodbye: false }));
        assert_eq!(bytes[..11], *b"\x32\x09\0\x03a/b\0\x01{}");
        assert_eq!(bytes[22..], *b"\x40\x02\0\x07");
        assert_eq!(outgoing.take(&mut bytes), None);
        assert!(outgoing.publish(&publish, 3) && outgoing.disconnect());
        assert!(!outgoing.publish(&publish, 4) && !outgoing.ping() && !outgoing.disconnect());
        assert_eq!(outgoing.take(&mut bytes), Some(Load { publishes: 1, goodbye: true }));
        assert!(bytes.ends_with(b"\xE0\0"));
    }

    #[test]
    fn subscriptions_have_ids_of_their_own_in_turns() {
        let outgoing = Outgoing::new(packets::of(Protocol::V5));
        assert_eq!(outgoing.next_subscription(), LAST_PUBLISH + 1);
        assert_eq!(outgoing.next_subscription(), LAST_PUBLISH + 2);
        outgoing.lock().subscription = u16::MAX;
        assert_eq!(outgoing.next_subscription(), LAST_PUBLISH + 1);
    }
}

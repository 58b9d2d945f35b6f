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
    /// The packet id of the last subscription.
    subscription: Option<u16>,
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
        let is_taken = self.put(1, |packets, bytes| packets.publish(publish, packet, bytes));
        if self.lock().bytes.len() >= ENOUGH {
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
        self.put_now(1, |packets, bytes| packets.publish_at_most_once(topic, payload, bytes))
    }

    /// The acknowledgement of a message of the broker.
    pub(super) fn acknowledge(&self, packet: u16) -> bool {
        self.put_now(0, |packets, bytes| packets.acknowledge(packet, bytes))
    }

    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        // Ids that no publish has, in turns.
        let packet = match self.lock().subscription {
            None | Some(u16::MAX) => LAST_PUBLISH + 1,
            Some(last) => last + 1,
        };
        let is_taken = self.put_now(0, |packets, bytes| packets.subscribe(packet, filters, bytes));
        self.lock().subscription = Some(packet);
        is_taken
    }

    pub(super) fn ping(&self) -> bool {
        self.put_now(0, |packets, bytes| packets.ping(bytes))
    }

    /// Our goodbye; nothing is taken after it.
    pub(super) fn disconnect(&self) -> bool {
        let is_taken = self.put_now(0, |packets, bytes| packets.disconnect(bytes));
        self.lock().load.goodbye = true;
        is_taken
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

    fn put_now(
        &self,
        publishes: u64,
        write: impl FnOnce(&dyn Packets, &mut BytesMut) -> Result<(), Unwritable>,
    ) -> bool {
        let is_taken = self.put(publishes, write);
        self.more.notify_one();
        is_taken
    }

    fn put(
        &self,
        publishes: u64,
        write: impl FnOnce(&dyn Packets, &mut BytesMut) -> Result<(), Unwritable>,
    ) -> bool {
        let mut waiting = self.lock();
        if waiting.load.goodbye {
            return false;
        }
        let before = waiting.bytes.len();
        if write(self.packets, &mut waiting.bytes).is_err() {
            // Half a packet would spoil the rest.
            waiting.bytes.truncate(before);
            return false;
        }
        waiting.load.publishes += publishes;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

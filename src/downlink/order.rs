//! What a command asks of a device's queue, after its text was understood.

use std::time::Duration;

use crate::model::{Downlink, DownlinkPayload, ItemId, Timestamp};

/// One downlink that is to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The sender's name for it.
    pub id: Option<ItemId>,
    /// The name that it gets where the sender gave none; made where the command came in.
    pub made_id: ItemId,
    /// The eight bytes.
    pub data: DownlinkPayload,
    /// When it ends unsent.
    pub expiry: Expiry,
    /// Not to be sent before.
    pub not_before: Option<Timestamp>,
    /// A newer queued item with the same key replaces an older one.
    pub coalesce: Option<String>,
    /// What the sender calls the command.
    pub transaction: Option<String>,
    /// Whether the broker said that it may have delivered the command before.
    pub repeat: bool,
}

/// When an order ends unsent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// As the configuration says.
    Default,
    /// So long after it was accepted.
    After(Duration),
    /// At this time.
    At(Timestamp),
}

/// An order that could not be understood, or cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name that the sender gave it, or the one that was made.
    pub id: ItemId,
    /// What the sender calls the command.
    pub transaction: Option<String>,
    /// Why, beginning with a word that programs can tell.
    pub reason: String,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the queue is as the sender wants it: the item is new, or had been there already.
    pub accepted: bool,
    /// The item as it is now.
    pub item: Downlink,
}

/// Which items are to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This one.
    One(ItemId),
    /// All that wait.
    All,
}

/// What became of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// What is done about it.
    Done {
        /// These are cancelled now, or were before.
        ended: Vec<ItemId>,
        /// These are being taken out of a device type's fixed answer; each ends `cancelled`, or `sent` if its device was
        /// faster.
        begun: Vec<ItemId>,
    },
    /// No item has this name.
    Unknown,
    /// The cloud has it: it cannot be taken back.
    InFlight,
    /// It has ended otherwise.
    Ended,
}

/// What the network says about the answer to an uplink (Sigfox ACKNOWLEDGE callback).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When the device asked; the report names no sequence number.
    pub time: Timestamp,
    /// `infoCode`, 0 to 8.
    pub info_code: Option<i64>,
    /// `downlinkAck`: whether a base station emitted the answer.
    pub emitted: Option<bool>,
    /// `downlinkOverusage`: whether it went beyond the contract's quota.
    pub overusage: bool,
}

impl Order {
    /// The name under which it is to be queued.
    pub(crate) fn name(&self) -> &ItemId {
        self.id.as_ref().unwrap_or(&self.made_id)
    }

    /// Whether it asks for what this item is.
    pub(crate) fn is_same_as(&self, item: &Downlink) -> bool {
        let same_end = match self.expiry {
            Expiry::Default => true,
            Expiry::After(duration) => item.expires == item.created.plus(duration),
            Expiry::At(time) => item.expires == time,
        };
        item.data == Some(self.data)
            && item.coalesce == self.coalesce
            && item.not_before == self.not_before
            && same_end
    }
}

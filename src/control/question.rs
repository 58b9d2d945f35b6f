//! What may be asked.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{DeviceId, Payload, Timestamp};

/// The most rows of one answer: what is longer is exported, which streams.
pub(super) const MOST_ROWS: usize = 10_000;

/// A question about what the gateway knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// The devices, by id.
    Devices {
        /// This one only.
        device: Option<DeviceId>,
    },
    /// Uplinks, newest first.
    Messages(Range),
    /// Locations, newest first.
    Locations(Range),
    /// Downlinks that are not forgotten, by device and in the order of the queue.
    Downlinks {
        /// Of this device only.
        device: Option<DeviceId>,
    },
    /// The sources, by name.
    Sources,
    /// What the broker refused, and the oldest of what waits for it.
    Outbox {
        /// At most so many.
        limit: usize,
    },
    /// The history, oldest first; answered row by row.
    Export(Export),
    /// A command in the words of MQTT; only a running daemon does it.
    Command {
        /// The topic, without the base.
        topic: String,
        /// The payload.
        payload: Value,
    },
    /// What a device's decoder makes of a payload: `fields`, and `errors`.
    Decode {
        /// Whose decoder.
        device: DeviceId,
        /// The payload.
        data: Payload,
        /// When it is taken to have been sent.
        time: Timestamp,
    },
    /// The store itself.
    Store(StoreQuestion),
}

/// What may be asked of the store itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum StoreQuestion {
    /// What is in it, counted.
    Stats,
    /// Whether all of it can be read.
    Verify,
    /// To copy what lives into new files, which gives space back.
    Compact,
    /// To write all of it into one file.
    Backup {
        /// An absolute path.
        file: PathBuf,
    },
}

impl Question {
    /// How long the answer may take: what reads the whole store takes about a second each million uplinks on a
    /// desktop, and far longer on an SD card.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Store(_) => Duration::from_secs(30 * 60),
            _ => Duration::from_secs(30),
        }
    }
}

/// Which part of the history is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// At most so many; never more than 10,000.
    pub limit: usize,
}

/// Which rows are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// What a row is.
    pub what: Rows,
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

/// What a row of the history is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// An uplink.
    Messages,
    /// A place where a device was.
    Locations,
}

//! Callbacks that the cloud gave up, for the `callbacks-not-delivered` lists.

use std::collections::VecDeque;

use crate::model::{DeviceId, Timestamp};
use crate::simulate::callback::Callback;

/// So many are kept; the oldest goes first.
const LONGEST: usize = 10_000;

/// A callback that no attempt brought through.
#[derive(Debug, Clone)]
pub(in crate::simulate) struct Undelivered {
    pub(in crate::simulate) device: DeviceId,
    pub(in crate::simulate) device_type: String,
    pub(in crate::simulate) time: Timestamp,
    pub(in crate::simulate) data: String,
    /// The status of the last attempt; the API prints it as a string.
    pub(in crate::simulate) status: u16,
    pub(in crate::simulate) message: String,
    pub(in crate::simulate) callback: Callback,
    /// The address and body as they were sent.
    pub(in crate::simulate) url: String,
    pub(in crate::simulate) body: String,
    pub(in crate::simulate) parameters: Vec<(&'static str, String)>,
}

/// Those that are remembered.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Log {
    entries: VecDeque<Undelivered>,
}

impl Log {
    pub(super) fn add(&mut self, entry: Undelivered) {
        if self.entries.len() >= LONGEST {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// All of them, newest first.
    pub(in crate::simulate) fn newest_first(&self) -> impl Iterator<Item = &Undelivered> {
        self.entries.iter().rev()
    }
}

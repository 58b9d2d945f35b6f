//! The store's promises, on a real database in a folder of its own.

mod uplinks;

use std::time::Duration;

use tempfile::TempDir;

use super::{Options, Store};
use crate::model::{DeviceId, SourceName, Timestamp, Uplink};

/// An open store and the folder that ends with it.
pub(super) struct Rig {
    pub(super) store: Store,
    pub(super) dir: TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: open(dir.path()), dir }
    }

    /// The store after the end of its process.
    pub(super) fn reopened(self) -> Self {
        let Self { store, dir } = self;
        drop(store);
        Self { store: open(dir.path()), dir }
    }
}

pub(super) fn open(dir: &std::path::Path) -> Store {
    let options = Options { dir: dir.to_owned(), cache: 8 << 20, flush: Duration::from_secs(5) };
    Store::open(options).unwrap().0
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_789_000_000_000 + ms).unwrap()
}

pub(super) fn source(name: &str) -> SourceName {
    name.parse().unwrap()
}

pub(super) fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

/// An uplink of a device, so many milliseconds after the tests' beginning of time.
pub(super) fn uplink(device: &str, ms: i64, seq: Option<u16>) -> Uplink {
    Uplink {
        device: id(device),
        time: time(ms),
        seq,
        payload: "0a41ff00".parse().unwrap(),
        source: source("factory"),
        received: time(ms + 51_000),
        replay: false,
        link_quality: None,
        rssi: None,
        snr: None,
        stations: None,
        ack: None,
        location: None,
    }
}

//! The store's promises, on a real database in a folder of its own.

mod asks;
mod daily;
mod devices;
mod keeping;
mod marks;
mod migration;
mod opening;
mod outbox;
mod packing;
mod packing_crash;
mod packing_model;
mod parked;
mod power;
mod queue;
mod tenant;
mod uplinks;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Options, Store, Syncer};
use crate::model::{DeviceId, Event, Location, LocationSource, SourceName, Timestamp, Uplink};

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

pub(super) fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), cache: 8 << 20, flush: Duration::from_secs(5) }
}

pub(super) fn open(dir: &Path) -> Store {
    Store::open(options(dir)).unwrap().0
}

/// Does something beside the task that syncs, and stops that afterwards.
pub(super) async fn beside<T>(syncer: Syncer, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let stopping = async {
        let result = work.await;
        stop.cancel();
        result
    };
    let (ended, result) = tokio::join!(syncer.run(stop.clone()), stopping);
    ended.unwrap();
    result
}

/// The time so many milliseconds after the tests' beginning of time.
pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_789_000_000_000 + ms).unwrap()
}

pub(super) fn source(name: &str) -> SourceName {
    name.parse().unwrap()
}

pub(super) fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

pub(super) fn uplink(device: &str, ms: i64, seq: Option<u16>) -> Uplink {
    Uplink {
        seq,
        received: time(ms + 51_000),
        ..Uplink::new(id(device), time(ms), "0a41ff00".parse().unwrap(), source("factory"))
    }
}

pub(super) fn location(ms: i64, accuracy_m: f64) -> Location {
    Location {
        latitude: 48.1,
        longitude: 2.5,
        accuracy_m: Some(accuracy_m),
        source: LocationSource::Network,
        time: time(ms),
    }
}

/// What a test does after each sync.
pub(super) struct OnSync(pub(super) Box<dyn Fn() + Send>);

impl std::fmt::Debug for OnSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnSync")
    }
}

/// What a test does at each step of packing.
pub(super) struct OnStep(pub(super) Box<dyn FnMut(&'static str) + Send>);

impl std::fmt::Debug for OnStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnStep")
    }
}

/// Copies a folder as it is.
pub(super) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What waits, each event by its kind and what it is about.
pub(super) fn waiting(store: &Store) -> Vec<String> {
    let head = store.outbox_head(&BTreeSet::new(), usize::MAX).unwrap();
    head.into_iter().map(|entry| printed(&entry.event)).collect()
}

pub(super) fn printed(event: &Event) -> String {
    match event {
        Event::Uplink(uplink) => format!("up {}", uplink.id()),
        Event::Downlink(item) => format!("downlink {} {}", item.id, item.state),
        Event::Location { device, uplink: Some(uplink), .. } => format!("location {device} of {uplink}"),
        Event::Location { device, uplink: None, .. } => format!("location {device}"),
        Event::Service { device, kind, .. } => format!("service {device} {kind}"),
        Event::Bridge { kind, detail, .. } => format!("{kind} {detail}"),
    }
}

/// Takes everything out of the outbox.
pub(super) fn publish_all(store: &Store) -> Vec<String> {
    let head = store.outbox_head(&BTreeSet::new(), usize::MAX).unwrap();
    let keys: Vec<_> = head.iter().map(|entry| entry.key.clone()).collect();
    store.outbox_done(&keys, Vec::new()).unwrap();
    head.iter().map(|entry| printed(&entry.event)).collect()
}

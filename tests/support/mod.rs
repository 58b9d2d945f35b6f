//! The rig: real parts, each on a free port and in a temporary folder, each ended with its test.

pub(crate) mod daemon;
pub(crate) mod mosquitto;
pub(crate) mod proxy;
pub(crate) mod puback;
pub(crate) mod shim;
pub(crate) mod subscriber;
pub(crate) mod watcher;

use std::path::Path;
use std::time::{Duration, Instant};

use sigfox2mqtt::store::{Options, Store, Syncer};

/// The store of a folder, with the task that makes it durable.
pub(crate) fn open_store(dir: &Path) -> (Store, Syncer) {
    let options = Options { dir: dir.to_owned(), cache: 8 << 20, flush: Duration::from_secs(5) };
    Store::open(options).unwrap()
}

/// Waits until a condition holds, looking every few milliseconds; fails with what was waited for.
///
/// Generous, because the machine is shared: a test that passes never waits for the limit.
pub(crate) async fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(Duration::from_secs(30), what, holds).await;
}

/// The same with a limit of its own.
pub(crate) async fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < limit, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

//! Flushing that comes back.
//!
//! sled's writer notes a write that failed and may wake nobody who waits for it (0.34.7, `Log::exit_reservation`). Who
//! flushes waits for good then, holding a lock that every later call of the process queues for, a further flush too.
//! Making a tree takes no such lock, and finds the note: it fails, and wakes who waits. The thread that does so must be
//! one of its own, since those of the runtime may all stand in that queue.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// When a flush has not come back for so long, who waits for it is woken; and then as often.
const LONG: Duration = Duration::from_secs(2);
/// A tree that is made and dropped again at once.
pub(super) const WAKING: &str = "waking";

/// Hands what was written to the system; blocks.
pub(super) fn flush(db: &sled::Db) -> sled::Result<usize> {
    // sled flushes on a thread of its own, so that this one can look after it.
    let mut flushed = pin!(db.flush_async());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut limit = Instant::now() + LONG;
    loop {
        if let Poll::Ready(flushed) = flushed.as_mut().poll(&mut Context::from_waker(&waker)) {
            return flushed;
        }
        thread::park_timeout(limit.saturating_duration_since(Instant::now()));
        if Instant::now() >= limit {
            wake(db);
            limit = Instant::now() + LONG;
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Wakes who waits for a write that has failed. Where the disk is slow and nothing has failed, it writes some hundred
/// bytes.
fn wake(db: &sled::Db) {
    if let Err(error) = db.open_tree(WAKING).and_then(|_| db.drop_tree(WAKING)) {
        tracing::debug!(%error, "who waits for the disk is told that it failed");
    }
}

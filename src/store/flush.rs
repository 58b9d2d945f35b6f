//! Flushing that comes back: after a failed write sled may forget to wake who waits for a flush (0.34.7, `Log::exit_reservation`
//! notes the error and notifies nobody). Whoever asks next is told of the error, and wakes the others.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A flush that has not come back for so long is asked for once more.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Hands what was written to the system.
pub(super) async fn flush(db: &sled::Db) -> sled::Result<usize> {
    loop {
        if let Ok(flushed) = tokio::time::timeout(ASK_AGAIN, db.flush_async()).await {
            return flushed;
        }
    }
}

/// The same for who may block.
pub(super) fn flush_blocking(db: &sled::Db) -> sled::Result<usize> {
    std::thread::scope(|scope| {
        let (done, ended) = channel::<()>();
        scope.spawn(move || {
            while ended.recv_timeout(ASK_AGAIN) == Err(RecvTimeoutError::Timeout) {
                // Who waits gets the answer.
                drop(db.flush());
            }
        });
        let flushed = db.flush();
        drop(done);
        flushed
    })
}

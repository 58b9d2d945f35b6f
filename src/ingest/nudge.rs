//! How others ask a source to poll at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::{DeviceId, Timestamp};

/// Asks a source to poll at once, as a person or a button does. Clones ask the same source.
#[derive(Debug, Clone, Default)]
pub struct Nudge {
    wanted: Arc<Mutex<Option<Scope>>>,
    due: Arc<Notify>,
}

/// What a nudge wants to be polled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this device; none: all.
    pub device: Option<DeviceId>,
    /// Again from this time on; none: what is new.
    pub from: Option<Timestamp>,
}

impl Nudge {
    /// Polls now. Several nudges before the poll begins are one that wants as much as all of them.
    pub fn poll_now(&self, scope: Scope) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = Some(match *wanted {
            None => scope,
            Some(other) => Scope {
                device: if other.device == scope.device { scope.device } else { None },
                from: [other.from, scope.from].into_iter().flatten().min(),
            },
        });
        drop(wanted);
        self.due.notify_one();
    }

    /// Waits for the next nudge, and says what it wants.
    pub(super) async fn wait(&self) -> Scope {
        self.due.notified().await;
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nudges_that_come_together_want_as_much_as_all_of_them() {
        let time = |seconds| Timestamp::from_cloud(seconds);
        let (one, other) = ("1A".parse().ok(), "1B".parse().ok());
        let nudge = Nudge::default();
        nudge.poll_now(Scope { device: one, from: time(200) });
        nudge.poll_now(Scope { device: one, from: None });
        assert_eq!(nudge.wait().await, Scope { device: one, from: time(200) });
        nudge.poll_now(Scope { device: one, from: time(200) });
        nudge.poll_now(Scope { device: other, from: time(100) });
        assert_eq!(nudge.wait().await, Scope { device: None, from: time(100) });
    }
}

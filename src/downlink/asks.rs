//! Devices that ask. Those that ask while others are being answered share one commit, so that a hundred at once wait for
//! a few writes of the disk and not each for its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Queues, machine};
use crate::clock;
use crate::config::DownlinkVia;
use crate::model::{Downlink, DownlinkPayload, Timestamp, Uplink};
use crate::store::{Answer, Ask, QueueChange, StoreError};

/// An ask is answered with nothing once the device has sent something this much newer: the cloud's own retries end
/// after 7 minutes, so it is a replay.
const STALE_AFTER: Duration = Duration::from_secs(3600);

type Outcome = Result<Option<DownlinkPayload>, StoreError>;

/// Asks that wait to be taken together; as many as there are requests under way, which the listener bounds.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    uplink: Uplink,
    outcome: oneshot::Sender<Outcome>,
}

impl Gathering {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    /// Keeps an uplink that asked, and says what its device is to be sent. Durable when this returns; the retry of the
    /// same ask gets the same bytes and consumes nothing more, also after a crash on any line of this.
    pub async fn ask(&self, uplink: &Uplink) -> Result<Option<DownlinkPayload>, StoreError> {
        let (outcome, mut told) = oneshot::channel();
        self.gathering.waiting().push(Waiting { uplink: uplink.clone(), outcome });
        let turn = self.gathering.turn.lock().await;
        if told.is_empty() {
            // Whoever is about to ask comes along.
            tokio::task::yield_now().await;
            self.answer_all()?;
        }
        drop(turn);
        let lost = || StoreError::Failing("an ask was not answered".to_owned());
        let answer = told.try_recv().unwrap_or_else(|_unanswered| Err(lost()))?;
        self.store.durable().await?;
        Ok(answer)
    }

    /// Answers all who wait, but for those whose request has ended: the cloud asks again for them.
    fn answer_all(&self) -> Result<(), StoreError> {
        let mut waiting = std::mem::take(&mut *self.gathering.waiting());
        waiting.retain(|one| !one.outcome.is_closed());
        let mut asks = Vec::with_capacity(waiting.len());
        for Waiting { uplink, .. } in &waiting {
            let now = by_both_clocks(uplink, clock::now());
            let stale =
                self.newest(uplink.device)?.is_some_and(|newest| newest.since(uplink.time) > STALE_AFTER);
            asks.push(Ask {
                uplink,
                decide: move |before: Answer, queue: &[Downlink]| {
                    self.decide(uplink, before, queue, stale, now)
                },
            });
        }
        let outcomes = self.store.record_asks(asks);
        for (one, outcome) in waiting.into_iter().zip(outcomes) {
            // Who no longer waits needs no answer.
            one.outcome.send(outcome).ok();
        }
        Ok(())
    }

    fn decide(
        &self,
        uplink: &Uplink,
        before: Answer,
        queue: &[Downlink],
        stale: bool,
        now: Timestamp,
    ) -> (QueueChange, Option<DownlinkPayload>) {
        if let Some(answer) = before {
            let item = answer.and_then(|item| queue.iter().find(|known| known.id == item));
            return (machine::asked_again(queue, &uplink.id(), now), item.and_then(|item| item.data));
        }
        // Which cloud asks decides, not which one knew the device first.
        let source = self.config.sources.iter().find(|source| source.name == uplink.source);
        if source.is_some_and(|source| source.downlink != DownlinkVia::Callback) {
            return (QueueChange::default(), None);
        }
        machine::ask(queue, uplink.id(), stale, self.config.downlink.daily_limit, now)
    }
}

/// The time by which expiry and quota are judged: where our own clock was never set, the cloud's.
fn by_both_clocks(uplink: &Uplink, now: Timestamp) -> Timestamp {
    if clock::is_set(now) { now } else { now.max(uplink.time) }
}

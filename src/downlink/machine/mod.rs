//! What happens to a device's queue: values in, the change out. No clock, no store, no waiting.
//!
//! Each function takes the queue as it is, in its order, and gives what is to be kept and told; `sheet` is the
//! only place that changes an item, and `table` the only one that allows it.

mod accept;
mod answer;
mod elapse;
mod hand;
mod sheet;
mod table;
#[cfg(test)]
mod tests;
mod withdraw;

use std::time::Duration;

pub(crate) use accept::{Entry, cancel, push, rejected, replace};
pub(crate) use answer::{Seen, ask, asked_again, observe, report, transmitted};
pub(crate) use elapse::sweep;
pub(crate) use hand::{Settled, hand, is_unconfirmed, settle};
pub(crate) use table::Cause;
pub(crate) use withdraw::{ANSWERED_AFTER, Knowledge, is_out, judge_withdrawn, withdrawal};

use crate::model::{Downlink, DownlinkState, Timestamp};

/// How many items of a device may wait or be with the cloud at once.
pub(crate) const QUEUE_BOUND: usize = 16;

/// What holds for a device's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// When an item ends unsent, unless it says so itself.
    pub(crate) expires_after: Duration,
    /// How many are sent in a UTC day.
    pub(crate) daily_limit: u32,
    /// Whether the device's decoder can tell that a downlink arrived.
    pub(crate) awaits_device_ack: bool,
    /// How its downlinks are made, where they can be made.
    pub(crate) via: Option<String>,
    /// Why items will not be sent as things are, although they are accepted.
    pub(crate) obstacle: Option<String>,
}

/// How many items went to the cloud in the UTC day of `now` and did not come back from it.
#[must_use]
pub fn used_today(queue: &[Downlink], now: Timestamp) -> usize {
    queue.iter().filter(|item| went_out_on_day_of(item, now)).count()
}

fn went_out_on_day_of(item: &Downlink, now: Timestamp) -> bool {
    let day = |time: Timestamp| time.as_seconds().div_euclid(86_400);
    let last = item.history.iter().rposition(|(state, _)| state.is_in_flight());
    let came_back = last.and_then(|index| item.history.get(index.saturating_add(1)));
    last.and_then(|index| item.history.get(index)).is_some_and(|(_, time)| day(*time) == day(now))
        && came_back.is_none_or(|(state, _)| *state != DownlinkState::Queued)
}

/// Whether its bytes stand in the device type's fixed answer: armed, but not as the answer to one uplink.
pub(crate) fn in_fixed_answer(item: &Downlink) -> bool {
    item.state == DownlinkState::Armed && item.uplink.is_none()
}

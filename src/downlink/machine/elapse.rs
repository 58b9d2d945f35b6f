//! The passing of time: items expire, reports and acknowledgements stop being waited for, the past is forgotten.

use std::time::Duration;

use super::sheet::Sheet;
use super::withdraw::{Withdrawal, is_out, withdraw, withdrawal};
use super::{in_fixed_answer, went_out_on_day_of};
use crate::downlink::machine::table::Cause;
use crate::model::{Downlink, DownlinkState, ItemId, Timestamp};
use crate::store::QueueChange;

/// How long the network is given to report on an answer: its own retries end after 7 minutes.
const REPORT_WAIT: Duration = Duration::from_secs(3600);

/// How long a final item is remembered, and its retained document stands.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);

/// How many final items of a device are remembered; a flood of commands must not fill the store.
const REMEMBER_AT_MOST: usize = 64;

/// Ends what is over and forgets what ended long ago.
pub(crate) fn sweep(queue: &[Downlink], now: Timestamp) -> QueueChange {
    let mut sheet = Sheet::new(queue, now);
    time_out(&mut sheet);
    let past: Vec<ItemId> = past(sheet.items(), now).map(|item| item.id.clone()).collect();
    for id in past {
        sheet.forget(&id);
    }
    sheet.close()
}

/// Ends what is over.
pub(super) fn time_out(sheet: &mut Sheet) {
    let now = sheet.now();
    for place in sheet.places(|item| item.state == DownlinkState::Queued && item.expires <= now) {
        sheet.enter(place, Cause::TimedOut, None, None);
    }
    let unwanted = |item: &Downlink| {
        let leaves = withdrawal(item).map(|(why, _)| why);
        in_fixed_answer(item) && item.expires <= now && leaves.is_none_or(|why| why == Withdrawal::Stopping)
    };
    for place in sheet.places(unwanted) {
        withdraw(sheet, place, Withdrawal::Expiring);
    }
    let unreported = |item: &Downlink| {
        let is_over = item.expires <= now && item.updated.plus(REPORT_WAIT) <= now;
        item.state.is_in_flight() && is_over && !is_out(item)
    };
    for place in sheet.places(unreported) {
        sheet.enter(
            place,
            Cause::TimedOut,
            None,
            Some("unconfirmed: the cloud has not said whether it was sent".into()),
        );
    }
    let unacknowledged = |item: &Downlink| {
        item.state == DownlinkState::Sent
            && item.awaits_device_ack
            && item.updated.plus(item.expires.since(item.created)) <= now
    };
    for place in sheet.places(unacknowledged) {
        sheet.amend(place, |item| {
            item.awaits_device_ack = false;
            item.reason = Some("unacknowledged: the device has not shown that it arrived".to_owned());
        });
    }
}

/// Final items that need not be remembered. One that counts in today's quota is, however many there are.
fn past(items: &[Downlink], now: Timestamp) -> impl Iterator<Item = &Downlink> {
    let finals = items.iter().filter(|item| item.is_final()).count();
    let mut surplus = finals.saturating_sub(REMEMBER_AT_MOST);
    items.iter().filter(move |item| {
        if !item.is_final() || went_out_on_day_of(item, now) {
            return false;
        }
        let is_surplus = surplus > 0;
        surplus = surplus.saturating_sub(1);
        is_surplus || item.updated.plus(REMEMBER) <= now
    })
}

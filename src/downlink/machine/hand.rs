//! Items that we give to a cloud by ourselves, before any device asks: into Soracom's slot, or into a device type's
//! fixed answer.

use super::answer::sendable;
use super::elapse::time_out;
use super::sheet::Sheet;
use super::table::Cause;
use super::withdraw::{Withdrawal, end_unfetched, taken_out, withdraw};
use super::{Rules, in_fixed_answer};
use crate::model::{Downlink, DownlinkState, ItemId, Timestamp};
use crate::store::QueueChange;

/// Why an item is with the cloud and nobody knows: the call was not answered, or we crashed in it.
const UNCONFIRMED: &str = "unconfirmed: the cloud has not said that it has it";

/// Why a device may get an item twice.
const DOUBLED: &str = "unconfirmed: the device was heard while it was submitted again, and may get it twice";

/// What came of giving an item to a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The cloud has it.
    Accepted,
    /// The cloud has it not, and may take it later.
    Returned(String),
    /// The cloud will never take it.
    Refused(String),
    /// The cloud has it, and may have had it before: the device may get it twice.
    Doubled,
    /// It is to be taken out of the fixed answer, because the gateway stops.
    Stopping,
    /// It does not stand in the fixed answer any more.
    TakenOut,
}

/// Takes the first item that may be sent now for the cloud. It counts as with the cloud before the cloud is called:
/// after a crash it is not given a second time, and what happens next tells whether the first time arrived.
pub(crate) fn hand(
    queue: &[Downlink],
    cause: Cause,
    rules: &Rules,
    now: Timestamp,
) -> (QueueChange, Option<Downlink>) {
    let mut sheet = Sheet::new(queue, now);
    time_out(&mut sheet);
    let Some(place) = sendable(sheet.items(), rules.daily_limit, now) else { return (sheet.close(), None) };
    sheet.enter_with(place, cause, |item| {
        item.via.clone_from(&rules.via);
        item.evidence = None;
        item.reason = Some(UNCONFIRMED.to_owned());
    });
    let item = sheet.items().get(place).cloned();
    (sheet.close(), item)
}

/// Takes over what came of it. What the item no longer is, is not changed.
pub(crate) fn settle(queue: &[Downlink], id: &ItemId, settled: &Settled, now: Timestamp) -> QueueChange {
    let mut sheet = Sheet::new(queue, now);
    let Some(place) = sheet.places(|item| item.id == *id).first().copied() else { return sheet.close() };
    match settled {
        Settled::Accepted if sheet.items().get(place).is_some_and(is_unconfirmed) => {
            sheet.amend(place, |item| item.reason = None);
        }
        Settled::Accepted => {}
        Settled::Doubled => {
            if sheet.items().get(place).is_some_and(|item| item.state == DownlinkState::Submitted) {
                sheet.amend(place, |item| item.reason = Some(DOUBLED.to_owned()));
            }
        }
        Settled::Returned(reason) => {
            // What was to be taken out never stood there.
            if !end_unfetched(&mut sheet, place) {
                sheet.enter(place, Cause::Returned, None, Some(reason.clone()));
            }
        }
        Settled::Stopping => {
            if sheet.items().get(place).is_some_and(in_fixed_answer) {
                withdraw(&mut sheet, place, Withdrawal::Stopping);
            }
        }
        Settled::TakenOut => taken_out(&mut sheet, place),
        Settled::Refused(reason) => {
            sheet.enter(place, Cause::Refused, None, Some(reason.clone()));
        }
    }
    time_out(&mut sheet);
    sheet.close()
}

/// Whether it is with the cloud and the cloud has not said so.
pub(crate) fn is_unconfirmed(item: &Downlink) -> bool {
    item.state.is_in_flight() && item.reason.as_deref() == Some(UNCONFIRMED)
}

/// Whether it stays in doubt how often the device got it.
pub(super) fn is_in_doubt(item: &Downlink) -> bool {
    is_unconfirmed(item) || item.reason.as_deref() == Some(DOUBLED)
}

//! Items that are taken out of a device type's fixed answer. Until the cloud has told of everybody who asked before
//! that, nobody knows whether the device was faster; so they end only then, `sent` if it was.

use std::time::Duration;

use super::in_fixed_answer;
use super::sheet::Sheet;
use super::table::Cause;
use crate::model::{Downlink, DownlinkState, Evidence, Timestamp};
use crate::store::QueueChange;

/// A cloud lists a message at the latest so long after it was sent.
const LISTED_AFTER: Duration = Duration::from_secs(10);

/// What an ask was answered with is known so long after it: a device listens until 45 s after its uplink.
pub(crate) const ANSWERED_AFTER: Duration = Duration::from_secs(60);

/// Where the cloud's messages are not read so soon, an item does not wait for them: who took it back waits, too.
const WAIT_AT_MOST: Duration = Duration::from_secs(120);

/// Why an item is taken out of the fixed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdrawal {
    /// A command took it back.
    Cancelling,
    /// Its time ran out.
    Expiring,
    /// The gateway stops, and would not see who fetches it.
    Stopping,
}

/// What is known of a device when it is judged whether an item of its was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Knowledge {
    /// Up to when the cloud's messages of the device were read.
    pub(crate) read_until: Option<Timestamp>,
    /// When the device asked.
    pub(crate) asks: Vec<Timestamp>,
    /// Whether the cloud says what it answered an uplink with.
    pub(crate) tells_answers: bool,
}

impl Withdrawal {
    const ALL: [Self; 3] = [Self::Cancelling, Self::Expiring, Self::Stopping];

    /// How an item says it before and after it was taken out: its only trace, also over a restart.
    fn reason(self, is_out: bool) -> &'static str {
        match (self, is_out) {
            (Self::Cancelling, false) => "cancelling: it is being taken out of the device type's answer",
            (Self::Cancelling, true) => {
                "cancelling: the cloud has not said yet whether the device was faster"
            }
            (Self::Expiring, false) => "expiring: it is being taken out of the device type's answer",
            (Self::Expiring, true) => "expiring: the cloud has not said yet whether the device was faster",
            (Self::Stopping, false) => "stopping: it is being taken out of the device type's answer",
            (Self::Stopping, true) => "stopping: the cloud has not said yet whether the device was faster",
        }
    }

    /// How it ends if the device was not faster.
    fn cause(self) -> Cause {
        match self {
            Self::Cancelling => Cause::TakenBack,
            Self::Expiring => Cause::TimedOut,
            Self::Stopping => Cause::Returned,
        }
    }
}

/// Whether an item is to be, or was, taken out of the fixed answer: why, and whether it is out.
pub(crate) fn withdrawal(item: &Downlink) -> Option<(Withdrawal, bool)> {
    let reason = item.reason.as_deref().filter(|_| in_fixed_answer(item))?;
    let mut both = Withdrawal::ALL.into_iter().flat_map(|why| [(why, false), (why, true)]);
    both.find(|(why, is_out)| why.reason(*is_out) == reason)
}

/// Whether it was taken out of the fixed answer and waits for the cloud's word.
pub(crate) fn is_out(item: &Downlink) -> bool {
    withdrawal(item).is_some_and(|(_, is_out)| is_out)
}

/// Has an item taken out of the fixed answer. That it is out already is not forgotten.
pub(super) fn withdraw(sheet: &mut Sheet, place: usize, why: Withdrawal) {
    let before = sheet.items().get(place).and_then(withdrawal);
    if before.is_some_and(|(before, _)| before == why || why == Withdrawal::Stopping) {
        return;
    }
    let is_out = before.is_some_and(|(_, is_out)| is_out);
    sheet.amend(place, |item| item.reason = Some(why.reason(is_out).to_owned()));
}

/// Takes over that an item is out.
pub(super) fn taken_out(sheet: &mut Sheet, place: usize) {
    if let Some((why, false)) = sheet.items().get(place).and_then(withdrawal) {
        sheet.amend(place, |item| item.reason = Some(why.reason(true).to_owned()));
    }
}

/// Ends an item that is known not to have been fetched; says whether it was to be taken out.
pub(super) fn end_unfetched(sheet: &mut Sheet, place: usize) -> bool {
    let Some((why, _)) = sheet.items().get(place).and_then(withdrawal) else { return false };
    let waits = (why == Withdrawal::Stopping).then(|| "waits: the gateway was stopped".to_owned());
    sheet.enter(place, why.cause(), None, waits)
}

/// Ends what is out, as soon as the cloud has told of all that the device asked before.
pub(crate) fn judge_withdrawn(queue: &[Downlink], known: &Knowledge, now: Timestamp) -> QueueChange {
    let mut sheet = Sheet::new(queue, now);
    for place in sheet.places(is_out) {
        let Some(item) = sheet.items().get(place) else { continue };
        let stood_from = item.history.iter().rfind(|(state, _)| *state == DownlinkState::Armed);
        let stood_from = stood_from.map_or(item.created, |(_, time)| *time).as_seconds();
        let out_since = item.updated;
        // An uplink's time has whole seconds.
        let could_fetch =
            |ask: &&Timestamp| (stood_from..=out_since.as_seconds()).contains(&ask.as_seconds());
        let last_ask = known.asks.iter().filter(could_fetch).max();
        let known_from =
            out_since.plus(LISTED_AFTER).max(last_ask.map_or(out_since, |ask| ask.plus(ANSWERED_AFTER)));
        let is_known = known.read_until.is_some_and(|read| known_from <= read);
        if !is_known && now < out_since.plus(WAIT_AT_MOST) {
            continue;
        }
        if last_ask.is_some() && !known.tells_answers {
            sheet.enter(place, Cause::Emitted, Some(Evidence::Inferred), None);
        } else {
            end_unfetched(&mut sheet, place);
        }
    }
    sheet.close()
}

//! What the device and the network do: an ask, a report on its answer, an uplink that shows what happened.

use std::time::Duration;

use super::elapse::time_out;
use super::hand::is_in_doubt;
use super::sheet::Sheet;
use super::withdraw::is_out;
use super::{in_fixed_answer, used_today};
use crate::downlink::machine::table::Cause;
use crate::downlink::order::Report;
use crate::model::{Downlink, DownlinkPayload, DownlinkState, Evidence, Timestamp, UplinkId};
use crate::store::QueueChange;

/// Longest time between an uplink and the report on its answer, the network's retries included.
const REPORT_WINDOW_S: i64 = 600;

/// How an item says that it stood in a device type's fixed answer.
const DIRECT: &str = "direct";

/// A device has stopped listening so long after its uplink, and the cloud's first retry comes a minute after it.
const LISTENS_FOR: Duration = Duration::from_secs(45);

/// Why an answer is known not to have gone out: the cloud did not get it while the device listened.
const UNHEARD: &str = "unheard: the cloud asked again when the device had stopped listening";

/// From here on an uplink after the answered one shows that no report is coming.
const SILENCE: Duration = Duration::from_secs(900);

/// An uplink as far as it tells something about downlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which.
    pub(crate) uplink: UplinkId,
    /// When it came to us, by our clock.
    pub(crate) received: Timestamp,
    /// Whether it asked for a downlink; none where the cloud does not say.
    pub(crate) asked: Option<bool>,
    /// Whether the device's decoder reads from it that a downlink arrived.
    pub(crate) acknowledges: bool,
}

/// What an uplink's ask was answered with, if the queue still knows: the retry of a callback gets the same bytes.
pub(super) fn answered_before(queue: &[Downlink], uplink: &UplinkId) -> Option<DownlinkPayload> {
    queue.iter().find(|item| item.uplink == Some(*uplink)).and_then(|item| item.data)
}

/// The cloud asks for the answer to the same uplink again. If the device had stopped listening by then, what it got at
/// first has not gone out, whatever comes of this.
pub(crate) fn asked_again(queue: &[Downlink], uplink: &UplinkId, now: Timestamp) -> QueueChange {
    let mut sheet = Sheet::new(queue, now);
    let is_late = |item: &Downlink| {
        let armed = item.history.last().map_or(item.updated, |(_, time)| *time);
        armed.plus(LISTENS_FOR) <= now
    };
    let unheard = |item: &Downlink| {
        item.state == DownlinkState::Armed
            && item.uplink == Some(*uplink)
            && item.reason.is_none()
            && is_late(item)
    };
    for place in sheet.places(unheard) {
        sheet.amend(place, |item| item.reason = Some(UNHEARD.to_owned()));
    }
    sheet.close()
}

/// Answers an ask with the first item that may be sent now, and arms it. `stale` says that the device has gone on
/// since: its listening window is closed, and whatever it would be sent would be lost.
pub(crate) fn ask(
    queue: &[Downlink],
    uplink: UplinkId,
    stale: bool,
    daily_limit: u32,
    now: Timestamp,
) -> (QueueChange, Option<DownlinkPayload>) {
    if let Some(data) = answered_before(queue, &uplink) {
        return (QueueChange::default(), Some(data));
    }
    let mut sheet = Sheet::new(queue, now);
    time_out(&mut sheet);
    let head = if stale || is_overtaken(sheet.items(), &uplink) {
        None
    } else {
        conclude(&mut sheet);
        sendable(sheet.items(), daily_limit, now)
    };
    let Some(place) = head else {
        sheet.answer(uplink, None);
        return (sheet.close(), None);
    };
    sheet.enter_with(place, Cause::Answered, |item| {
        item.uplink = Some(uplink);
        item.via = Some("callback".to_owned());
        item.evidence = None;
        item.reason = None;
    });
    let armed = sheet.items().get(place);
    let (id, data) = (armed.map(|item| item.id.clone()), armed.and_then(|item| item.data));
    sheet.answer(uplink, id);
    (sheet.close(), data)
}

/// Whether a newer uplink was answered already.
fn is_overtaken(items: &[Downlink], uplink: &UplinkId) -> bool {
    items.iter().filter_map(|item| item.uplink).any(|answered| answered.seconds > uplink.seconds)
}

/// A device that asks again has closed its earlier window: what was in it is as sent as we shall ever know.
fn conclude(sheet: &mut Sheet) {
    for place in sheet.places(|item| item.state == DownlinkState::Armed && !in_fixed_answer(item)) {
        end_unreported(sheet, place, "unreported: the device asked again before the network reported");
    }
    // What came back may be over by now.
    time_out(sheet);
}

/// No report is coming: what the cloud got in time counts as sent, what it did not waits again.
fn end_unreported(sheet: &mut Sheet, place: usize, reason: &str) {
    if sheet.items().get(place).is_some_and(|item| item.reason.as_deref() == Some(UNHEARD)) {
        sheet.enter_with(place, Cause::Returned, |item| item.uplink = None);
    } else {
        sheet.enter(place, Cause::Emitted, Some(Evidence::Inferred), Some(reason.to_owned()));
    }
}

/// The place of the first item that may be sent now; one that may not yet holds up nobody.
pub(super) fn sendable(items: &[Downlink], daily_limit: u32, now: Timestamp) -> Option<usize> {
    let quota = usize::try_from(daily_limit).unwrap_or(usize::MAX);
    if used_today(items, now) >= quota || items.iter().any(|item| item.state.is_in_flight()) {
        return None;
    }
    items.iter().position(|item| {
        item.state == DownlinkState::Queued && item.not_before.is_none_or(|start| start <= now)
    })
}

/// Takes over what the network reports. Gives the item that it was about, if there is one.
pub(crate) fn report(queue: &[Downlink], report: &Report, now: Timestamp) -> (QueueChange, Option<Downlink>) {
    let mut sheet = Sheet::new(queue, now);
    let overusage = report.overusage.then(|| "overusage: beyond the contract's daily quota".to_owned());
    let network = Some(Evidence::Network);
    let place = match verdict(report) {
        None => None,
        Some((Cause::Emitted, _)) => match reported(sheet.items(), report) {
            Some(place) => sheet.enter(place, Cause::Emitted, network, overusage).then_some(place),
            None => confirm(&mut sheet, report),
        },
        Some((cause, reason)) => reported(sheet.items(), report).filter(|place| {
            sheet.enter_with(*place, cause, |item| {
                item.evidence = network;
                item.reason = Some(reason.to_owned());
                if cause == Cause::Returned {
                    item.uplink = None;
                }
            })
        }),
    };
    let item = place.and_then(|place| sheet.items().get(place)).cloned();
    // An item that came back after its time is over ends here, not at the next sweep.
    time_out(&mut sheet);
    (sheet.close(), item)
}

/// What a report means for the item, with a word why (Sigfox ACKNOWLEDGE, `infoCode`).
fn verdict(report: &Report) -> Option<(Cause, &'static str)> {
    match report.info_code {
        Some(0) => Some((Cause::Emitted, "")),
        Some(1) => Some((Cause::Refused, "no_answer: the network got no answer in time (infoCode 1)")),
        Some(2) => Some((Cause::Refused, "invalid_payload: the network refused the bytes (infoCode 2)")),
        Some(3) => Some((Cause::Returned, "overrun: the device's quota is used up (infoCode 3)")),
        Some(4) => Some((Cause::Returned, "network_error: it could not be transmitted (infoCode 4)")),
        Some(6) => Some((Cause::Refused, "no_downlink_contract: the contract has no downlinks (infoCode 6)")),
        Some(7) => {
            Some((Cause::Returned, "too_many_requests: the device asked again too early (infoCode 7)"))
        }
        Some(8) => Some((
            Cause::Refused,
            "invalid_configuration: the device type has no BIDIR callback (infoCode 8)",
        )),
        // 5 is transient and says nothing; of a code that we do not know, `downlinkAck` tells the good news only.
        Some(5) => None,
        _ => (report.emitted == Some(true)).then_some((Cause::Emitted, "")),
    }
}

/// The armed item that a report is about: the report repeats the time of the uplink; where it gives another time,
/// the item armed shortly before. That nobody answered (1) is about an ask that had no item, unless the times agree.
fn reported(items: &[Downlink], report: &Report) -> Option<usize> {
    let armed = |item: &Downlink| if item.state == DownlinkState::Armed { item.uplink } else { None };
    let seconds = report.time.as_seconds();
    items.iter().position(|item| armed(item).is_some_and(|uplink| uplink.seconds == seconds)).or_else(|| {
        let after = |uplink: UplinkId| (1..=REPORT_WINDOW_S).contains(&(seconds - uplink.seconds));
        items.iter().position(|item| report.info_code != Some(1) && armed(item).is_some_and(after))
    })
}

/// A late report makes certain what had only been concluded.
fn confirm(sheet: &mut Sheet, report: &Report) -> Option<usize> {
    let place = *sheet
        .places(|item| {
            item.state == DownlinkState::Sent
                && item.evidence == Some(Evidence::Inferred)
                && item.uplink.is_some_and(|uplink| uplink.seconds == report.time.as_seconds())
        })
        .first()?;
    make_certain(sheet, place);
    Some(place)
}

fn make_certain(sheet: &mut Sheet, place: usize) {
    sheet.amend(place, |item| {
        item.evidence = Some(Evidence::Network);
        item.reason = None;
    });
}

/// Takes over that the network says of an uplink what it was answered with (Sigfox `downlinkAnswerStatus`).
pub(crate) fn transmitted(
    queue: &[Downlink],
    seen: &Seen,
    data: DownlinkPayload,
    now: Timestamp,
) -> QueueChange {
    let mut sheet = Sheet::new(queue, now);
    let answered = |item: &Downlink| item.uplink == Some(seen.uplink) && item.data == Some(data);
    // Each poll says it again.
    let is_known = sheet.items().iter().any(|item| answered(item) && item.via.as_deref() == Some(DIRECT));
    // An uplink's time has whole seconds; of the same one, that it was answered with these bytes decides.
    let fixed = |item: &Downlink| {
        !is_known && in_fixed_answer(item) && item.data == Some(data) && stood_before(item, seen)
    };
    let mut went_out = false;
    for place in sheet.places(|item| item.state == DownlinkState::Armed && (answered(item) || fixed(item))) {
        went_out |= sheet.enter_with(place, Cause::Emitted, |item| {
            item.evidence = Some(Evidence::Network);
            item.reason = None;
            item.uplink = Some(seen.uplink);
        });
    }
    let concluded = |item: &Downlink| {
        item.state == DownlinkState::Sent && item.evidence == Some(Evidence::Inferred) && answered(item)
    };
    for place in sheet.places(concluded) {
        make_certain(&mut sheet, place);
    }
    if !is_known && !went_out {
        let taken_down = sheet.places(|item| item.data == Some(data) && was_taken_down(item, seen));
        if let Some(place) = taken_down.last() {
            sheet.amend(*place, |item| {
                item.uplink = Some(seen.uplink);
                item.reason = Some("too_late: the device fetched it before it was taken down".to_owned());
            });
        }
    }
    sheet.close()
}

/// Whether it stood in the fixed answer when this uplink asked, and has ended otherwise since.
fn was_taken_down(item: &Downlink, seen: &Seen) -> bool {
    matches!(item.state, DownlinkState::Cancelled | DownlinkState::Expired)
        && item.via.as_deref() == Some(DIRECT)
        && item.uplink.is_none()
        && stood_before(item, seen)
}

/// Whether it was brought to the fixed answer before this uplink; that the cloud has confirmed it may have come later.
fn stood_before(item: &Downlink, seen: &Seen) -> bool {
    let stood = item.history.iter().rfind(|(state, _)| *state == DownlinkState::Armed);
    stood.is_some_and(|(_, since)| since.as_seconds() <= seen.uplink.seconds)
}

/// Concludes what an uplink shows about earlier downlinks. Seeing the same uplink again changes nothing more.
pub(crate) fn observe(queue: &[Downlink], seen: &Seen, now: Timestamp) -> QueueChange {
    let mut sheet = Sheet::new(queue, now);
    if seen.acknowledges {
        let open = |item: &Downlink| {
            item.state.is_in_flight() || (item.state == DownlinkState::Sent && item.awaits_device_ack)
        };
        if let Some(place) = sheet.places(|item| open(item) && is_before(item, seen)).last() {
            sheet.enter(*place, Cause::Shown, Some(Evidence::Device), None);
        }
    }
    if seen.asked != Some(false) {
        // What is out of the fixed answer cannot be fetched any more.
        let fetched = |item: &Downlink| {
            item.state == DownlinkState::Submitted || (in_fixed_answer(item) && !is_out(item))
        };
        for place in sheet.places(|item| fetched(item) && is_before(item, seen)) {
            // Whether the cloud ever had it stays unknown, and its document goes on saying so.
            let doubt = sheet.items().get(place).filter(|item| is_in_doubt(item));
            let reason = doubt.and_then(|item| item.reason.clone());
            sheet.enter(place, Cause::Emitted, Some(Evidence::Inferred), reason);
        }
    }
    let silent = |item: &Downlink| {
        let seconds = i64::try_from(SILENCE.as_secs()).unwrap_or(i64::MAX);
        item.state == DownlinkState::Armed
            && item.uplink.is_some_and(|uplink| seen.uplink.seconds >= uplink.seconds.saturating_add(seconds))
    };
    for place in sheet.places(silent) {
        end_unreported(&mut sheet, place, "unreported: the device went on and the network did not report");
    }
    sheet.close()
}

/// Whether the item was with the cloud, or on the air, before this uplink.
fn is_before(item: &Downlink, seen: &Seen) -> bool {
    match item.uplink {
        Some(answered) => answered.seconds < seen.uplink.seconds,
        // By both clocks: the cloud's may be ahead of ours, and what comes by a poll may have been sent before.
        None => item.updated.as_seconds() < seen.uplink.seconds && item.updated < seen.received,
    }
}

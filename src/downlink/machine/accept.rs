//! Commands: push, replace, cancel.

use super::elapse::time_out;
use super::sheet::Sheet;
use super::withdraw::{Withdrawal, withdraw};
use super::{QUEUE_BOUND, Rules, in_fixed_answer};
use crate::downlink::machine::table::Cause;
use crate::downlink::order::{Cancelled, Expiry, Order, Outcome, Refusal, Target};
use crate::model::{DeviceId, Downlink, DownlinkState, ItemId, Timestamp};
use crate::store::QueueChange;

/// One item of a command: understood, or refused before it came here.
pub(crate) type Entry = Result<Order, Refusal>;

/// Queues items at the end, each for itself.
pub(crate) fn push(
    queue: &[Downlink],
    device: DeviceId,
    entries: &[Entry],
    rules: &Rules,
    now: Timestamp,
) -> (QueueChange, Vec<Outcome>) {
    let mut sheet = Sheet::new(queue, now);
    time_out(&mut sheet);
    let outcomes = entries.iter().map(|entry| take(&mut sheet, device, entry, rules)).collect();
    (sheet.close(), outcomes)
}

/// Queues items instead of those that wait. Where none of the new ones can be taken, the old ones stay: a command
/// with a mistake in it must not empty a queue. Items that are asked for again stay where they are.
pub(crate) fn replace(
    queue: &[Downlink],
    device: DeviceId,
    entries: &[Entry],
    rules: &Rules,
    now: Timestamp,
) -> (QueueChange, Vec<Outcome>) {
    let mut sheet = Sheet::new(queue, now);
    time_out(&mut sheet);
    let orders: Vec<&Order> = entries.iter().filter_map(|entry| entry.as_ref().ok()).collect();
    let wanted = |order: &&Order| sheet.find(order.name()).is_none_or(|item| order.is_same_as(item));
    if entries.is_empty() || orders.iter().any(wanted) {
        let kept = |item: &Downlink| orders.iter().any(|order| *order.name() == item.id);
        for place in sheet.places(|item| item.state == DownlinkState::Queued && !kept(item)) {
            sheet.enter(place, Cause::Superseded, None, None);
        }
    }
    let outcomes = entries.iter().map(|entry| take(&mut sheet, device, entry, rules)).collect();
    (sheet.close(), outcomes)
}

/// Takes items back that wait, and begins to take back those that stand in a fixed answer, which is ours to restore;
/// what else the cloud has cannot be taken back.
pub(crate) fn cancel(queue: &[Downlink], target: &Target, now: Timestamp) -> (QueueChange, Cancelled) {
    let mut sheet = Sheet::new(queue, now);
    time_out(&mut sheet);
    let outcome = match target {
        Target::All => take_back(&mut sheet, can_be_taken_back),
        Target::One(id) => match sheet.find(id) {
            None => Cancelled::Unknown,
            Some(item) if item.state == DownlinkState::Cancelled => {
                Cancelled::Done { ended: vec![id.clone()], begun: Vec::new() }
            }
            Some(item) if can_be_taken_back(item) => take_back(&mut sheet, |item| item.id == *id),
            Some(item) if item.state.is_in_flight() => Cancelled::InFlight,
            Some(_) => Cancelled::Ended,
        },
    };
    (sheet.close(), outcome)
}

fn can_be_taken_back(item: &Downlink) -> bool {
    item.state == DownlinkState::Queued || in_fixed_answer(item)
}

fn take_back(sheet: &mut Sheet, which: impl Fn(&Downlink) -> bool) -> Cancelled {
    let (mut ended, mut begun) = (Vec::new(), Vec::new());
    for place in sheet.places(which) {
        let Some(item) = sheet.items().get(place) else { continue };
        let id = item.id.clone();
        if in_fixed_answer(item) {
            withdraw(sheet, place, Withdrawal::Cancelling);
            begun.push(id);
        } else {
            sheet.enter(place, Cause::TakenBack, None, None);
            ended.push(id);
        }
    }
    Cancelled::Done { ended, begun }
}

fn take(sheet: &mut Sheet, device: DeviceId, entry: &Entry, rules: &Rules) -> Outcome {
    let order = match entry {
        Ok(order) => order,
        Err(refusal) => return refuse(sheet, device, None, refusal),
    };
    let refusal = |reason: &str| Refusal {
        id: order.name().clone(),
        transaction: order.transaction.clone(),
        reason: reason.to_owned(),
    };
    if let Some(known) = known(sheet.items(), order) {
        if order.id.is_none() || order.is_same_as(known) {
            return Outcome { accepted: true, item: known.clone() };
        }
        return refuse(sheet, device, Some(order), &refusal("id_conflict"));
    }
    let now = sheet.now();
    let expires = match order.expiry {
        Expiry::Default => order.not_before.unwrap_or(now).max(now).plus(rules.expires_after),
        Expiry::After(duration) => now.plus(duration),
        Expiry::At(time) => time,
    };
    if expires <= now || order.not_before.is_some_and(|start| expires <= start) {
        return refuse(
            sheet,
            device,
            Some(order),
            &refusal("expired: its time is over before it can be sent"),
        );
    }
    let same_key = |item: &Downlink| item.coalesce.is_some() && item.coalesce == order.coalesce;
    let replaced = sheet.places(|item| item.state == DownlinkState::Queued && same_key(item));
    let open = sheet.items().iter().filter(|item| item.is_open()).count();
    if open.saturating_sub(replaced.len()) >= QUEUE_BOUND {
        return refuse(sheet, device, Some(order), &refusal("queue_full"));
    }
    for place in replaced {
        sheet.enter(place, Cause::Superseded, None, Some(format!("coalesced with {}", order.name())));
    }
    let item = Downlink {
        expires,
        via: rules.via.clone(),
        reason: rules.obstacle.clone(),
        awaits_device_ack: rules.awaits_device_ack,
        ..draft(device, order.name(), Some(order), DownlinkState::Queued, now)
    };
    sheet.append(item.clone());
    Outcome { accepted: true, item }
}

/// The item that the order names, or, for a command that the broker repeats and whose items have no names of their
/// sender's, the one that its first delivery made.
fn known<'a>(items: &'a [Downlink], order: &Order) -> Option<&'a Downlink> {
    match &order.id {
        Some(id) => items.iter().find(|item| item.id == *id),
        None if order.repeat => items.iter().find(|item| {
            item.id.is_made() && item.transaction == order.transaction && order.is_same_as(item)
        }),
        None => None,
    }
}

/// What is told of an item of which nothing can be kept.
pub(crate) fn rejected(device: DeviceId, entry: &Entry, reason: &str, now: Timestamp) -> Downlink {
    let (id, order, transaction) = match entry {
        Ok(order) => (order.name(), Some(order), &order.transaction),
        Err(refusal) => (&refusal.id, None, &refusal.transaction),
    };
    Downlink {
        reason: Some(reason.to_owned()),
        transaction: transaction.clone(),
        ..draft(device, id, order, DownlinkState::Rejected, now)
    }
}

fn refuse(sheet: &mut Sheet, device: DeviceId, order: Option<&Order>, refusal: &Refusal) -> Outcome {
    let item = Downlink {
        reason: Some(refusal.reason.clone()),
        transaction: refusal.transaction.clone(),
        ..draft(device, &refusal.id, order, DownlinkState::Rejected, sheet.now())
    };
    sheet.tell(&item);
    Outcome { accepted: false, item }
}

fn draft(
    device: DeviceId,
    id: &ItemId,
    order: Option<&Order>,
    state: DownlinkState,
    now: Timestamp,
) -> Downlink {
    Downlink {
        id: id.clone(),
        device,
        data: order.map(|order| order.data),
        state,
        evidence: None,
        created: now,
        updated: now,
        expires: now,
        not_before: order.and_then(|order| order.not_before),
        coalesce: order.and_then(|order| order.coalesce.clone()),
        via: None,
        reason: None,
        history: vec![(state, now)],
        uplink: None,
        transaction: order.and_then(|order| order.transaction.clone()),
        awaits_device_ack: false,
    }
}

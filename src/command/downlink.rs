//! Commands on a device's queue: push, replace, cancel.

use serde_json::{Value, json};

use super::envelope::{Fault, envelope};
use super::{Commands, Request, body, reply};
use crate::clock;
use crate::downlink::{Cancelled, Entry, Outcome, Refusal, Target, rejected};
use crate::model::{DeviceId, Downlink, ItemId};
use crate::mqtt::topic::DownlinkVerb;
use crate::publish::Reply;
use crate::publish::document::DownlinkItem;
use crate::store::StoreError;

impl Commands {
    /// Does a command on a queue. What became of each item is told by its own events; a client that gave a response
    /// topic is answered there too.
    pub(super) async fn downlink(
        &self,
        request: &Request,
        device: DeviceId,
        verb: DownlinkVerb,
    ) -> Vec<Reply> {
        let outcome = match verb {
            DownlinkVerb::Push | DownlinkVerb::Replace => self.queue(request, device, verb).await,
            DownlinkVerb::Cancel => self.cancel(request, device).await,
        };
        let word = match verb {
            DownlinkVerb::Push => "downlink/push",
            DownlinkVerb::Replace => "downlink/replace",
            DownlinkVerb::Cancel => "downlink/cancel",
        };
        let became = if outcome.is_ok() { super::Outcome::Done } else { super::Outcome::Refused };
        self.rooms.tally.count((word, became));
        let mut replies = Vec::new();
        if let Err(Rejected { fault, told: Told::Nowhere(items) }) = &outcome {
            replies = self.reject(request, &fault.message).await;
            let topic = self.rooms.topics.device(device, "event/downlink");
            replies.extend(items.iter().map(|item| reply(topic.clone(), &json!(DownlinkItem::from(item)))));
        }
        let payload =
            envelope(outcome.map_err(|rejected| rejected.fault), &body::transaction(&request.payload));
        replies.extend(self.respond(request, &payload));
        replies
    }

    async fn queue(
        &self,
        request: &Request,
        device: DeviceId,
        verb: DownlinkVerb,
    ) -> Result<Value, Rejected> {
        let queues = &self.rooms.queues;
        let orders = body::orders(&request.payload, request.repeat, |fields| queues.encode(device, fields));
        let (entries, whole_fault) = match orders {
            Ok(entries) => (entries, None),
            // The device's listeners learn of it as of any other item that is refused.
            Err(body::NoCommand(reason)) => {
                let refusal = Refusal {
                    id: ItemId::made(uuid::Uuid::new_v4()),
                    transaction: None,
                    reason: reason.clone(),
                };
                (vec![Err(refusal)], Some(reason))
            }
        };
        let asked = entries.clone();
        let done = match verb {
            DownlinkVerb::Replace if whole_fault.is_none() => queues.replace(device, entries).await,
            _ => queues.push(device, entries).await,
        };
        let outcomes = done.map_err(|error| {
            let held = queues.list(Some(device)).unwrap_or_default();
            Rejected::by_store(&error, &asked, device, &held)
        })?;
        if let Some(reason) = whole_fault {
            return Err(Rejected::untold("malformed", reason));
        }
        judge(&outcomes)
    }

    async fn cancel(&self, request: &Request, device: DeviceId) -> Result<Value, Rejected> {
        let target = body::target(&request.payload)
            .map_err(|body::NoCommand(reason)| Rejected::untold("malformed", reason))?;
        let named = match &target {
            Target::One(id) => id.to_string(),
            Target::All => "all".to_owned(),
        };
        match self
            .rooms
            .queues
            .cancel(device, target)
            .await
            .map_err(|error| Rejected::by_store(&error, &[], device, &[]))?
        {
            Cancelled::Done { ended, begun } => Ok(json!({ "cancelled": ended, "cancelling": begun })),
            Cancelled::Unknown => Err(Rejected::untold(
                "unknown_item",
                format!("unknown_item: {device} has no downlink `{named}`"),
            )),
            Cancelled::InFlight => Err(Rejected::untold(
                "in_flight",
                format!("in_flight: the cloud has `{named}`; it cannot be taken back"),
            )),
            Cancelled::Ended => Err(Rejected::untold("ended", format!("ended: `{named}` has already ended"))),
        }
    }
}

/// Why a command on a queue failed, and where that is told already.
struct Rejected {
    fault: Fault,
    told: Told,
}

enum Told {
    /// By the events of its items.
    Everywhere,
    /// Nowhere; the items that its sender may be waiting to hear of.
    Nowhere(Vec<Downlink>),
}

impl Rejected {
    fn untold(code: &'static str, message: String) -> Self {
        Self { fault: Fault::new(code, message), told: Told::Nowhere(Vec::new()) }
    }

    /// The store takes nothing: that is said of each item by hand, but for those that it holds without the disk having
    /// answered, which are told by their own events.
    fn by_store(error: &StoreError, entries: &[Entry], device: DeviceId, held: &[Downlink]) -> Self {
        let message = format!("unavailable: the gateway cannot keep it ({error})");
        let items = entries.iter().map(|entry| rejected(device, entry, &message, clock::now()));
        let untold = items.filter(|item| !held.iter().any(|known| known.id == item.id)).collect();
        Self { fault: Fault::new("unavailable", message), told: Told::Nowhere(untold) }
    }
}

/// A push of which nothing was taken has failed.
fn judge(outcomes: &[Outcome]) -> Result<Value, Rejected> {
    let items: Vec<_> = outcomes
        .iter()
        .map(|Outcome { item, .. }| json!({ "id": item.id, "state": item.state, "reason": item.reason }))
        .collect();
    if outcomes.iter().any(|outcome| outcome.accepted) || outcomes.is_empty() {
        return Ok(json!({ "items": items }));
    }
    let reasons: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.item.reason.clone()).collect();
    Err(Rejected { fault: Fault::new("rejected", reasons.join("; ")), told: Told::Everywhere })
}

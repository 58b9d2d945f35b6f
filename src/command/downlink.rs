//! Commands on a device's queue: push, replace, cancel.

use serde_json::{Value, json};

use super::envelope::{Fault, envelope};
use super::{Commands, Request, body};
use crate::downlink::{Cancelled, Outcome, Refusal, Target};
use crate::model::{DeviceId, ItemId};
use crate::mqtt::topic::DownlinkVerb;
use crate::publish::Reply;
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
        if let Err(Rejected { fault, is_told: false }) = &outcome {
            replies = self.reject(request, &fault.message);
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
        let done = match verb {
            DownlinkVerb::Replace if whole_fault.is_none() => queues.replace(device, entries).await,
            _ => queues.push(device, entries).await,
        };
        let outcomes = done.map_err(|error| Rejected::by_store(&error))?;
        if let Some(reason) = whole_fault {
            return Err(Rejected { fault: Fault::new("malformed", reason), is_told: false });
        }
        judge(&outcomes)
    }

    async fn cancel(&self, request: &Request, device: DeviceId) -> Result<Value, Rejected> {
        let untold = |code, message: String| Rejected { fault: Fault::new(code, message), is_told: false };
        let target =
            body::target(&request.payload).map_err(|body::NoCommand(reason)| untold("malformed", reason))?;
        let named = match &target {
            Target::One(id) => id.to_string(),
            Target::All => "all".to_owned(),
        };
        match self.rooms.queues.cancel(device, target).await.map_err(|error| Rejected::by_store(&error))? {
            Cancelled::Done(ids) => Ok(json!({ "cancelled": ids })),
            Cancelled::Unknown => {
                Err(untold("unknown_item", format!("unknown_item: {device} has no downlink `{named}`")))
            }
            Cancelled::InFlight => Err(untold(
                "in_flight",
                format!("in_flight: the cloud has `{named}`; it cannot be taken back"),
            )),
            Cancelled::Ended => Err(untold("ended", format!("ended: `{named}` has already ended"))),
        }
    }
}

/// Why a command on a queue failed, and whether events of its items tell of that already.
struct Rejected {
    fault: Fault,
    is_told: bool,
}

impl Rejected {
    fn by_store(error: &StoreError) -> Self {
        let message = format!("unavailable: the gateway cannot keep it ({error})");
        Self { fault: Fault::new("unavailable", message), is_told: false }
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
    Err(Rejected { fault: Fault::new("rejected", reasons.join("; ")), is_told: true })
}

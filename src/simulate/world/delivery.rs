//! A callback on its way: what is sent, when it is tried again, and when it is given up.

use std::time::Duration;

use super::air::Event;
use super::{Undelivered, World};
use crate::model::{DeviceId, Timestamp};
use crate::simulate::callback::{Callback, CallbackKind, Variables, fill_in};

/// The waits before the second, third and fourth attempt (support.sigfox.com, callback-integration).
const RETRY_AFTER: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(240)];

/// One callback that is on its way.
#[derive(Debug, Clone)]
pub(in crate::simulate) struct Delivery {
    pub(in crate::simulate) callback: Callback,
    /// The messages that it is about, by their numbers in the history.
    pub(super) uplinks: Vec<u64>,
    pub(super) variables: Variables,
    /// How many attempts failed before this one.
    pub(in crate::simulate) failed: usize,
    /// Whose callback list it appears in, if it is given up.
    pub(super) device: DeviceId,
    pub(super) device_type: String,
}

impl Delivery {
    /// The address as it is called.
    pub(in crate::simulate) fn url(&self) -> String {
        fill_in(&self.callback.url, &self.variables)
    }

    /// The body as it is sent.
    pub(in crate::simulate) fn body(&self) -> Option<String> {
        self.callback.body.as_deref().map(|body| fill_in(body, &self.variables))
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub(in crate::simulate) enum Outcome {
    /// An answer within the time limit.
    Answered { status: u16, body: Vec<u8> },
    /// None, or one too late.
    Failed(String),
}

impl World {
    /// Takes in what came of a callback: its answer counts, or it is tried again, or given up.
    pub(in crate::simulate) fn settle(&mut self, mut delivery: Delivery, outcome: &Outcome, now: Timestamp) {
        let status = match outcome {
            Outcome::Answered { status, .. } => *status,
            Outcome::Failed(_) => 600,
        };
        for number in &delivery.uplinks {
            if let Some(uplink) = self.history.uplink_mut(*number) {
                uplink.callback_answers.push((status, now));
            }
        }
        if let Outcome::Answered { status: 200..=299, body } = outcome {
            let late = delivery.failed > 0;
            if delivery.callback.kind == CallbackKind::Bidir && delivery.callback.downlink_hook {
                self.take_answer(&delivery.uplinks, status, body, late, now);
            }
            return;
        }
        if let Some(wait) = RETRY_AFTER.get(delivery.failed) {
            delivery.failed += 1;
            self.agenda.add(now.plus(self.pace.real(*wait)), Event::Deliver(Box::new(delivery)));
            return;
        }
        if delivery.callback.kind == CallbackKind::Bidir {
            self.take_answer(&delivery.uplinks, 204, &[], true, now);
        }
        self.give_up(&delivery, status, outcome, now);
    }

    fn give_up(&mut self, delivery: &Delivery, status: u16, outcome: &Outcome, now: Timestamp) {
        let uplink = delivery.uplinks.first().and_then(|number| self.history.uplink(*number));
        let message = match outcome {
            Outcome::Answered { .. } => "HTTP error".to_owned(),
            Outcome::Failed(reason) => reason.clone(),
        };
        self.undelivered.add(Undelivered {
            device: delivery.device,
            device_type: delivery.device_type.clone(),
            time: uplink.map_or(now, |uplink| uplink.time),
            data: uplink.map(|uplink| uplink.payload.to_string()).unwrap_or_default(),
            status,
            message,
            url: delivery.url(),
            body: delivery.body().unwrap_or_default(),
            callback: delivery.callback.clone(),
            parameters: delivery.variables.iter().map(|(name, value)| (*name, value.clone())).collect(),
        });
    }
}

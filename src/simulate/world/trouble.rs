//! What the network has to complain about a device: broken keep-alives and stations that are down.

use std::collections::VecDeque;

use super::air::Event;
use super::{Delivery, Uplink, World};
use crate::model::{DeviceId, Payload, Timestamp};
use crate::simulate::callback::CallbackKind;
use crate::simulate::variables;

/// So many are kept; the oldest goes first.
const LONGEST: usize = 10_000;

/// One complaint.
#[derive(Debug, Clone)]
pub(in crate::simulate) struct Trouble {
    pub(in crate::simulate) device: DeviceId,
    pub(in crate::simulate) device_type: String,
    pub(in crate::simulate) time: Timestamp,
    /// `ERROR` or `WARN`.
    pub(in crate::simulate) severity: String,
    pub(in crate::simulate) info: String,
}

impl Trouble {
    pub(in crate::simulate) fn is_error(&self) -> bool {
        self.severity == "ERROR"
    }
}

/// Those that are remembered, oldest first.
pub(super) type Log = VecDeque<Trouble>;

impl World {
    /// Complains about a device and calls the ERROR callbacks of its type. False if there is no such device.
    pub fn complain(&mut self, device: DeviceId, severity: &str, info: &str, now: Timestamp) -> bool {
        let Some(found) = self.devices.get(&device) else { return false };
        let Some(device_type) = self.types.get(&found.device_type) else { return false };
        let trouble = Trouble {
            device: found.id,
            device_type: device_type.id.clone(),
            time: now,
            severity: severity.to_owned(),
            info: info.to_owned(),
        };
        let no_uplink = Uplink::new(found.id, now, None, Payload::default());
        let mut values = variables::of_uplink(device_type, &no_uplink, false);
        values.insert("severity", severity.to_owned());
        values.insert("info", info.to_owned());
        let wanted = device_type.callbacks.iter().filter(|callback| callback.enabled);
        for callback in wanted.filter(|callback| callback.kind == CallbackKind::Error) {
            let delivery = Delivery {
                callback: callback.clone(),
                uplinks: Vec::new(),
                variables: values.clone(),
                failed: 0,
                device: found.id,
                device_type: device_type.id.clone(),
            };
            self.agenda.add(now, Event::Deliver(Box::new(delivery)));
        }
        if self.troubles.len() >= LONGEST {
            self.troubles.pop_front();
        }
        self.troubles.push_back(trouble);
        true
    }

    /// All complaints, newest first.
    pub(in crate::simulate) fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.troubles.iter().rev()
    }
}

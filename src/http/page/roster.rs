//! What pages know of devices: names, last values, availability, read from the store when they are asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::command::Rooms;
use crate::decode::FieldInfo;
use crate::model::{Device, DeviceId, Timestamp};
use crate::publish::{Availability, Profile, View};
use crate::store::{Store, StoreError};

/// How long a judgement of whether a device is there is believed, while nothing is heard of the device.
const BELIEVED: Duration = Duration::from_secs(60);

/// Reads what the store knows of devices.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) store: Store,
    pub(super) view: View,
    /// One a device.
    judged: Mutex<HashMap<DeviceId, Judged>>,
}

#[derive(Debug, Clone)]
struct Judged {
    last_seen: Option<Timestamp>,
    at: Timestamp,
    availability: Option<Availability>,
}

impl Roster {
    pub(super) fn new(rooms: &Rooms) -> Self {
        let view = View::new(
            rooms.config.clone(),
            rooms.store.clone(),
            rooms.registry.clone(),
            rooms.board.clone(),
            rooms.topics.clone(),
            rooms.run.clone(),
        );
        Self { store: rooms.store.clone(), view, judged: Mutex::default() }
    }

    /// Whether a device is there. Devices that learn their interval from their history make this dear, so a judgement
    /// holds for a while.
    pub(super) fn availability(
        &self,
        device: &Device,
        now: Timestamp,
    ) -> Result<Option<Availability>, StoreError> {
        if let Some(judged) = self.judged().get(&device.id).filter(|judged| judged.holds(device, now)) {
            return Ok(judged.availability);
        }
        let availability = self.view.availability(device.id, now)?;
        let judged = Judged { last_seen: device.last_seen, at: now, availability };
        self.judged().insert(device.id, judged);
        Ok(availability)
    }

    /// Forgets judgements about devices that are not there any more.
    pub(super) fn keep_only(&self, devices: &[Device]) {
        let mut judged = self.judged();
        if judged.len() > devices.len() {
            judged.retain(|id, _| devices.iter().any(|device| device.id == *id));
        }
    }

    fn judged(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Judged>> {
        // A panic under the lock leaves at worst a judgement out.
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Judged {
    fn holds(&self, device: &Device, now: Timestamp) -> bool {
        let is_due = self.availability.and_then(|judged| judged.deadline).is_some_and(|due| due < now);
        let was_due = self.availability.and_then(|judged| judged.deadline).is_some_and(|due| due < self.at);
        // None is no judgement yet.
        self.availability.is_some()
            && self.last_seen == device.last_seen
            && now.since(self.at) < BELIEVED
            && is_due == was_due
    }
}

/// Every field that the decoder of a device can give.
pub(super) fn catalogue(profile: &Profile) -> &[FieldInfo] {
    profile.resolved.decoder.as_ref().map_or(&[], |decoder| decoder.catalogue())
}

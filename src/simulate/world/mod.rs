//! The simulated network's memory: device types, devices, their history, and what is to happen next.
//!
//! Plain state and questions about it; time is passed in, nothing here does I/O. What sending causes is in
//! `air`, what becomes of the callbacks in `delivery`, of their answers in `downlink`.

mod air;
mod delivery;
mod device;
mod downlink;
mod history;
mod soracom;
mod trouble;
mod undelivered;
mod uplink;

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use air::Event;
pub use air::Telegram;
pub(super) use delivery::{Delivery, Outcome};
pub use device::{Device, DeviceType, Place, Received, Schedule};
pub(super) use history::{Cut, Of};
pub use soracom::{Generation, Registration};
pub(super) use trouble::Trouble;
pub(super) use undelivered::Undelivered;
pub use uplink::{Position, Reception, Uplink};

use super::agenda::Agenda;
use super::pace::Pace;
use crate::model::{DeviceId, DownlinkPayload, Timestamp};

/// Sequence numbers have 12 bits.
pub(super) const SEQUENCE_MODULO: u16 = 4096;

/// A simulated network and the devices that send in it.
#[derive(Debug)]
pub struct World {
    types: BTreeMap<String, DeviceType>,
    devices: BTreeMap<DeviceId, Device>,
    history: history::History,
    undelivered: undelivered::Log,
    troubles: trouble::Log,
    agenda: Agenda<Event>,
    batches: BTreeMap<String, Vec<u64>>,
    rng: fastrand::Rng,
    pace: Pace,
    daily_downlinks: u32,
    head_start: Duration,
}

impl World {
    /// An empty world whose chances are drawn from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            types: BTreeMap::new(),
            devices: BTreeMap::new(),
            history: history::History::default(),
            undelivered: undelivered::Log::default(),
            troubles: trouble::Log::default(),
            agenda: Agenda::default(),
            batches: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            pace: Pace::default(),
            daily_downlinks: 4,
            head_start: Duration::ZERO,
        }
    }

    /// The same at this pace.
    #[must_use]
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// The same with this many downlinks a device and day; 4 unless told otherwise.
    #[must_use]
    pub fn daily_downlinks(self, daily_downlinks: u32) -> Self {
        Self { daily_downlinks, ..self }
    }

    /// The same with devices that begin to send so long after the simulator starts, by the wall clock.
    #[must_use]
    pub fn head_start(self, head_start: Duration) -> Self {
        Self { head_start, ..self }
    }

    /// The same with one more device type.
    #[must_use]
    pub fn with_type(mut self, device_type: DeviceType) -> Self {
        self.add_type(device_type);
        self
    }

    /// The same with one more device.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.add_device(device);
        self
    }

    /// The same with this message in its history.
    #[must_use]
    pub fn with_uplink(mut self, uplink: Uplink) -> Self {
        self.record(uplink);
        self
    }

    /// Adds a device type, or replaces the one with its id.
    pub fn add_type(&mut self, device_type: DeviceType) {
        self.types.insert(device_type.id.clone(), device_type);
    }

    /// Adds a device, or replaces the one with its id; its schedule starts when the simulator does.
    pub fn add_device(&mut self, device: Device) {
        self.devices.insert(device.id, device);
    }

    /// Takes a device out of the inventory; its history stays.
    pub fn remove_device(&mut self, device: DeviceId) {
        self.devices.remove(&device);
    }

    /// Puts a message into the history without calling anyone, as if its callbacks had been lost.
    pub fn record(&mut self, uplink: Uplink) {
        self.remember(uplink);
    }

    /// A device.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(&id)
    }

    /// A device that is to change.
    pub fn device_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.devices.get_mut(&id)
    }

    /// All devices, by id.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// A device type.
    #[must_use]
    pub fn device_type(&self, id: &str) -> Option<&DeviceType> {
        self.types.get(id)
    }

    /// A device type that is to change.
    pub fn device_type_mut(&mut self, id: &str) -> Option<&mut DeviceType> {
        self.types.get_mut(id)
    }

    /// All device types, by id.
    pub fn device_types(&self) -> impl Iterator<Item = &DeviceType> {
        self.types.values()
    }

    /// How many messages the network remembers.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.history.len()
    }

    /// What a device received, oldest first.
    #[must_use]
    pub fn received(&self, device: DeviceId) -> &[Received] {
        self.devices.get(&device).map_or(&[], |device| &device.received)
    }

    /// Puts a downlink into Soracom's one slot of a device; one that waits there is silently discarded.
    pub fn fill_slot(&mut self, device: DeviceId, data: DownlinkPayload) -> bool {
        let registration = self.devices.get_mut(&device).and_then(|device| device.registration.as_mut());
        let known = registration.map(|registration| registration.slot = Some(data));
        known.is_some()
    }

    /// A new identifier of 24 hex digits, as the cloud makes them.
    pub(super) fn new_id(&mut self) -> String {
        format!("{:024x}", self.rng.u128(..) >> 32)
    }

    pub(super) fn history(&self) -> &history::History {
        &self.history
    }

    pub(super) fn undelivered(&self) -> &undelivered::Log {
        &self.undelivered
    }

    pub(super) fn current_pace(&self) -> Pace {
        self.pace
    }

    /// The time of the next thing that is to happen.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.agenda.next_due()
    }

    /// How many things are to happen.
    pub(super) fn pending(&self) -> usize {
        self.agenda.len()
    }

    fn remember(&mut self, uplink: Uplink) -> u64 {
        let device_type = self.devices.get(&uplink.device).map(|device| device.device_type.clone());
        self.history.add(uplink, device_type)
    }
}

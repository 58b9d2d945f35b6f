//! Device types and devices of the simulated network.

use std::time::Duration;

use super::Registration;
use crate::model::{DeviceId, DownlinkPayload, Timestamp};
use crate::simulate::callback::Callback;
use crate::simulate::sensor::Sensor;

/// A device type, with the names and codes of the Sigfox API v2.
#[derive(Debug, Clone)]
pub struct DeviceType {
    /// 24 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `payloadType`: 2 raw, 3 custom grammar, 9 Sens'it v2, ….
    pub payload_type: u8,
    /// `payloadConfig`, the grammar of `payloadType` 3.
    pub payload_config: Option<String>,
    /// `keepAlive` in seconds; 0 is none.
    pub keep_alive_s: u32,
    /// `downlinkMode`: 0 direct, 1 callback, 2 none, 3 managed.
    pub downlink_mode: u8,
    /// `downlinkDataString`, the fixed answer of mode 0.
    pub downlink_data: Option<String>,
    /// Whether the contract shows which stations heard a message.
    pub network_metadata: bool,
    /// What the cloud calls for it.
    pub callbacks: Vec<Callback>,
}

impl DeviceType {
    /// A type whose payloads are raw and whose downlinks are asked for by a callback.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            payload_type: 2,
            payload_config: None,
            keep_alive_s: 0,
            downlink_mode: 1,
            downlink_data: None,
            network_metadata: true,
            callbacks: Vec::new(),
        }
    }

    /// The same with payloads by this custom grammar.
    #[must_use]
    pub fn grammar(self, format: impl Into<String>) -> Self {
        Self { payload_type: 3, payload_config: Some(format.into()), ..self }
    }

    /// The same with this callback.
    #[must_use]
    pub fn callback(mut self, callback: Callback) -> Self {
        self.callbacks.push(callback);
        self
    }
}

/// A place on the Earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// When a device sends by itself, and what.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The time between two uplinks, in the world's time.
    pub every: Duration,
    /// What it measures.
    pub sensor: Sensor,
    /// It asks for a downlink with every so many-th uplink; 0 is never.
    pub asks_every: u32,
    /// The network finds out where it is with every so many-th uplink; 0 is never.
    pub located_every: u32,
}

/// A device and what the network knows of it.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its identifier, printed in its own width.
    pub id: DeviceId,
    /// What its owner calls it.
    pub name: String,
    /// The identifier of its type.
    pub device_type: String,
    /// Whether the Sigfox APIs list it.
    pub in_sigfox: bool,
    /// What Soracom knows of it; none: Soracom does not list it.
    pub registration: Option<Registration>,
    /// `state` of the Sigfox API v2.
    pub state: u8,
    /// Where it stands.
    pub place: Place,
    /// When it sends by itself; none: only when it is told to.
    pub schedule: Option<Schedule>,
    /// The sequence number of its last uplink.
    pub seq: u16,
    /// How often the sequence number has wrapped.
    pub rollover: u32,
    /// When the network first knew it.
    pub created: Timestamp,
    /// The `infoCode` that its next answers end with, instead of what would come of them.
    pub forced_info_codes: Vec<u8>,
    /// Everything that it received, oldest first.
    pub received: Vec<Received>,
    /// How many uplinks it has sent by its schedule.
    pub(crate) sent: u32,
    /// Until when it listens for the answer to its last question.
    pub(crate) listens_until: Option<Timestamp>,
    /// The world's day, and how many downlinks it was sent on it.
    pub(crate) quota: (i64, u32),
}

impl Device {
    /// A device of this type that sends only when it is told to.
    #[must_use]
    pub fn new(id: DeviceId, device_type: impl Into<String>) -> Self {
        Self {
            id,
            name: format!("device {id}"),
            device_type: device_type.into(),
            in_sigfox: true,
            registration: None,
            state: 0,
            place: Place { latitude: 48.8566, longitude: 2.3522 },
            schedule: None,
            seq: 0,
            rollover: 0,
            created: Timestamp::from_millis(1_511_000_000_000).unwrap_or_default(),
            forced_info_codes: Vec::new(),
            received: Vec::new(),
            sent: 0,
            listens_until: None,
            quota: (0, 0),
        }
    }

    /// The same under this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same at this place.
    #[must_use]
    pub fn place(self, latitude: f64, longitude: f64) -> Self {
        Self { place: Place { latitude, longitude }, ..self }
    }

    /// The same with a schedule of its own.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule: Some(schedule), ..self }
    }

    /// The same, listed by Soracom too.
    #[must_use]
    pub fn soracom(self) -> Self {
        let tags = [("name".to_owned(), self.name.clone())].into_iter().collect();
        Self { registration: Some(Registration { tags, ..Registration::default() }), ..self }
    }

    /// The same, listed by Soracom and not by Sigfox.
    #[must_use]
    pub fn soracom_only(self) -> Self {
        Self { in_sigfox: false, ..self.soracom() }
    }

    /// The next sequence number: 12 bits, then from 0 again (support.sigfox.com, sequence number).
    pub(crate) fn next_seq(&mut self) -> u16 {
        self.seq = (self.seq + 1) % super::SEQUENCE_MODULO;
        if self.seq == 0 {
            self.rollover += 1;
        }
        self.seq
    }
}

/// A downlink that reached a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When it was transmitted.
    pub time: Timestamp,
    /// The sequence number of the uplink that it answers.
    pub seq: Option<u16>,
    /// The eight bytes.
    pub data: DownlinkPayload,
    /// How it came: `callback`, `direct` or `soracom`.
    pub via: &'static str,
}

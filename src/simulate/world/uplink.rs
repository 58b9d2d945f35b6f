//! One message as the simulated network keeps it.

use std::time::Duration;

use crate::model::{DeviceId, DownlinkPayload, Payload, Timestamp};

/// A message in the network's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    /// Who sent it.
    pub device: DeviceId,
    /// When the first station heard it.
    pub time: Timestamp,
    /// 12 bits; none for a V0 device.
    pub seq: Option<u16>,
    /// How often the sequence number had wrapped.
    pub rollover: u32,
    /// What was sent.
    pub payload: Payload,
    /// Whether the device asked for a downlink.
    pub ack: bool,
    /// `lqi` of the API v2: 0 limit, 1 average, 2 good, 3 excellent, 4 not available.
    pub lqi: u8,
    /// Which stations heard it, the best first.
    pub receptions: Vec<Reception>,
    /// Where the network computed it to be.
    pub position: Option<Position>,
    /// What it was answered.
    pub answer: Option<DownlinkPayload>,
    /// The answers of the callbacks that it caused: status and when.
    pub callback_answers: Vec<(u16, Timestamp)>,
    /// Whether the network refused the question, so that no answer to it counts.
    pub(crate) refused: bool,
}

impl Uplink {
    /// A message that asks for nothing, heard by one station.
    #[must_use]
    pub fn new(device: DeviceId, time: Timestamp, seq: impl Into<Option<u16>>, payload: Payload) -> Self {
        Self {
            device,
            time,
            seq: seq.into(),
            rollover: 0,
            payload,
            ack: false,
            lqi: 2,
            receptions: vec![Reception::default()],
            position: None,
            answer: None,
            callback_answers: Vec::new(),
            refused: false,
        }
    }

    /// The same, asking for a downlink.
    #[must_use]
    pub fn asking(self) -> Self {
        Self { ack: true, ..self }
    }

    /// The same, found by the network within `radius` metres so long after it was heard.
    #[must_use]
    pub fn located(self, latitude: f64, longitude: f64, radius: u32, after: Duration) -> Self {
        let known = self.time.plus(after);
        Self { position: Some(Position { latitude, longitude, radius, source: 2, known }), ..self }
    }
}

/// How one station heard a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Reception {
    /// The station, hex.
    pub station: String,
    /// Signal strength in hundredths of a dBm.
    pub rssi_centi: i32,
    /// Signal to noise in hundredths of a dB.
    pub snr_centi: i32,
    /// How many of the repetitions it heard.
    pub repetitions: u8,
    /// The station's place, rounded to a degree as the live service does.
    pub degrees: (i32, i32),
    /// Milliseconds until the backend had it.
    pub delay_ms: u32,
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            station: "1A2B".to_owned(),
            rssi_centi: -12_300,
            snr_centi: 1_886,
            repetitions: 3,
            degrees: (48, 2),
            delay_ms: 2_345,
        }
    }
}

/// A computed position, known only some time after the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres.
    pub radius: u32,
    /// `source` of the API v2: 2 is the network.
    pub source: u8,
    /// From when on the APIs show it.
    pub known: Timestamp,
}

//! An uplink and a location on disk; the device, the second and the tail of an uplink stand in its key.

use serde::{Deserialize, Serialize};

use super::{Record, code, named};
use crate::model::{
    DeviceId, LinkQuality, Location, LocationSource, Payload, SourceName, Timestamp, Uplink, UplinkTail,
};

const LINK_QUALITIES: [LinkQuality; 4] =
    [LinkQuality::Limit, LinkQuality::Average, LinkQuality::Good, LinkQuality::Excellent];

const LOCATION_SOURCES: [LocationSource; 7] = [
    LocationSource::Gps,
    LocationSource::Network,
    LocationSource::PointOfInterest,
    LocationSource::Private,
    LocationSource::Wifi,
    LocationSource::Proximity,
    LocationSource::Unknown,
];

/// What an uplink's key does not say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct UplinkRecord {
    /// Of the time, below the second.
    millis: u16,
    pub(in crate::store) payload: Vec<u8>,
    source: u16,
    /// From the time, in milliseconds.
    received_after: i64,
    replay: bool,
    link_quality: Option<u8>,
    rssi: Option<f32>,
    snr: Option<f32>,
    stations: Option<u16>,
    ack: Option<bool>,
    pub(in crate::store) location: Option<LocationRecord>,
}

impl Record for UplinkRecord {
    const WHAT: &'static str = "uplink";
}

impl UplinkRecord {
    /// The record of an uplink whose source has this number.
    pub(in crate::store) fn new(uplink: &Uplink, source: u16) -> Self {
        Self {
            millis: u16::try_from(uplink.time.as_millis().rem_euclid(1000)).unwrap_or(0),
            payload: uplink.payload.as_bytes().to_vec(),
            source,
            received_after: uplink.received.as_millis().saturating_sub(uplink.time.as_millis()),
            replay: uplink.replay,
            link_quality: uplink.link_quality.map(|quality| code(&LINK_QUALITIES, &quality)),
            // What is no number never equals itself, and would be found new in every copy.
            rssi: uplink.rssi.filter(|rssi| rssi.is_finite()),
            snr: uplink.snr.filter(|snr| snr.is_finite()),
            stations: uplink.stations,
            ack: uplink.ack,
            location: uplink
                .location
                .and_then(Location::checked)
                .map(|location| LocationRecord::new(&location, uplink.time)),
        }
    }

    /// The number of the source that brought it first.
    pub(in crate::store) fn source(&self) -> u16 {
        self.source
    }

    /// The uplink again.
    pub(in crate::store) fn uplink(
        self,
        device: DeviceId,
        seconds: u32,
        tail: UplinkTail,
        source: SourceName,
    ) -> Option<Uplink> {
        let time = self.time(seconds)?;
        Some(Uplink {
            device,
            time,
            seq: match tail {
                UplinkTail::Seq(seq) => Some(seq),
                UplinkTail::Crc(_) => None,
            },
            payload: Payload::new(self.payload)?,
            source,
            received: Timestamp::from_millis(time.as_millis().saturating_add(self.received_after))
                .unwrap_or(time),
            replay: self.replay,
            link_quality: self.link_quality.and_then(|number| named(&LINK_QUALITIES, number)),
            rssi: self.rssi,
            snr: self.snr,
            stations: self.stations,
            ack: self.ack,
            location: self.location.and_then(|location| location.location(time)),
        })
    }

    /// A location as this record keeps it, in the second of its key.
    pub(in crate::store) fn location_record(&self, location: &Location, second: u32) -> LocationRecord {
        LocationRecord::new(location, self.time(second).unwrap_or_default())
    }

    fn time(&self, second: u32) -> Option<Timestamp> {
        Timestamp::from_millis(i64::from(second) * 1000 + i64::from(self.millis))
    }

    /// Takes over what a second copy knows and this one does not, and says whether that was anything.
    pub(in crate::store) fn fill_from(&mut self, copy: &Self) -> bool {
        let before = self.clone();
        self.link_quality = self.link_quality.or(copy.link_quality);
        self.rssi = self.rssi.or(copy.rssi);
        self.snr = self.snr.or(copy.snr);
        self.stations = self.stations.or(copy.stations);
        self.ack = self.ack.or(copy.ack);
        self.location = self.location.take().or_else(|| copy.location.clone());
        *self != before
    }
}

/// A location; its time is counted from a time that the reader knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct LocationRecord {
    latitude: f64,
    longitude: f64,
    accuracy_m: Option<f64>,
    source: u8,
    /// In milliseconds.
    after: i64,
}

impl Record for LocationRecord {
    const WHAT: &'static str = "location";
}

impl LocationRecord {
    /// The record of a location, counted from this time.
    pub(in crate::store) fn new(location: &Location, from: Timestamp) -> Self {
        Self {
            latitude: location.latitude,
            longitude: location.longitude,
            accuracy_m: location.accuracy_m,
            source: code(&LOCATION_SOURCES, &location.source),
            after: location.time.as_millis().saturating_sub(from.as_millis()),
        }
    }

    /// The location again.
    pub(in crate::store) fn location(&self, from: Timestamp) -> Option<Location> {
        Some(Location {
            latitude: self.latitude,
            longitude: self.longitude,
            accuracy_m: self.accuracy_m,
            source: named(&LOCATION_SOURCES, self.source).unwrap_or(LocationSource::Unknown),
            time: Timestamp::from_millis(from.as_millis().saturating_add(self.after))?,
        })
    }

    /// The radius of the circle that holds the device.
    pub(in crate::store) fn accuracy_m(&self) -> Option<f64> {
        self.accuracy_m
    }

    /// Whether it is the same place, whenever that was said.
    pub(in crate::store) fn same_place(&self, other: &Self) -> bool {
        Self { after: 0, ..self.clone() } == Self { after: 0, ..other.clone() }
    }
}

/// What tells apart the uplinks of one device in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) enum TailRecord {
    Seq(u16),
    Crc(u16),
}

impl From<UplinkTail> for TailRecord {
    fn from(tail: UplinkTail) -> Self {
        match tail {
            UplinkTail::Seq(seq) => Self::Seq(seq),
            UplinkTail::Crc(crc) => Self::Crc(crc),
        }
    }
}

impl From<TailRecord> for UplinkTail {
    fn from(tail: TailRecord) -> Self {
        match tail {
            TailRecord::Seq(seq) => Self::Seq(seq),
            TailRecord::Crc(crc) => Self::Crc(crc),
        }
    }
}

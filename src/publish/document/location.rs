//! Where a device is (`event/location`, `location`, and the `location` of an uplink).

use serde::Serialize;

use super::VERSION;
use crate::model::{Location, LocationSource, Timestamp, UplinkId};

/// A location with the uplink that it belongs to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LocationDocument {
    v: u8,
    #[serde(flatten)]
    place: Place,
    /// The uplink that it came with; none where the cloud told of the place before the uplink.
    uplink: Option<String>,
}

/// A location within another document.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Place {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
    /// Metres.
    gps_accuracy: Option<f64>,
    /// How it was found.
    source: LocationSource,
    /// When the device was there.
    time: Timestamp,
}

impl LocationDocument {
    /// The document of a location.
    #[must_use]
    pub fn new(location: &Location, uplink: Option<&UplinkId>) -> Self {
        Self { v: VERSION, place: Place::from(location), uplink: uplink.map(ToString::to_string) }
    }
}

impl From<&Location> for Place {
    fn from(location: &Location) -> Self {
        Self {
            latitude: location.latitude,
            longitude: location.longitude,
            gps_accuracy: location.accuracy_m,
            source: location.source,
            time: location.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::document::print;

    #[test]
    fn the_document_is_the_one_of_the_contract() {
        let location = Location {
            latitude: 48.8584,
            longitude: 2.2945,
            accuracy_m: Some(1200.0),
            source: LocationSource::Network,
            time: "2026-09-09T22:26:40Z".parse().unwrap(),
        };
        let uplink = "1A2B3C-1789000000-251".parse().unwrap();
        assert_eq!(
            print(&LocationDocument::new(&location, Some(&uplink))),
            concat!(
                r#"{"v":1,"latitude":48.8584,"longitude":2.2945,"gps_accuracy":1200.0,"source":"network","#,
                r#""time":"2026-09-09T22:26:40.000Z","uplink":"1A2B3C-1789000000-251"}"#
            )
        );
        let unknown = Location { accuracy_m: None, source: LocationSource::PointOfInterest, ..location };
        assert_eq!(
            print(&LocationDocument::new(&unknown, None)),
            concat!(
                r#"{"v":1,"latitude":48.8584,"longitude":2.2945,"gps_accuracy":null,"source":"point_of_interest","#,
                r#""time":"2026-09-09T22:26:40.000Z","uplink":null}"#
            )
        );
    }
}

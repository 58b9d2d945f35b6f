//! Where a device was.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A position of a device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Radius of the circle that holds the device, in metres; 0 for a GPS fix.
    pub accuracy_m: Option<f64>,
    /// How it was found.
    pub source: LocationSource,
    /// When the device was there.
    pub time: Timestamp,
}

impl Location {
    /// The location, if it lies on the Earth and its numbers are finite.
    #[must_use]
    pub fn checked(self) -> Option<Self> {
        let on_earth = (-90.0..=90.0).contains(&self.latitude) && (-180.0..=180.0).contains(&self.longitude);
        let accuracy_m = self.accuracy_m.filter(|radius| radius.is_finite() && *radius >= 0.0);
        on_earth.then_some(Self { accuracy_m, ..self })
    }
}

/// How a location was found (Sigfox API v2, `source` of a computed location).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum LocationSource {
    /// A GPS fix in the payload (code 1).
    Gps,
    /// Computed by the network from signal strengths (codes 0, 2, 4).
    Network,
    /// A point of interest (code 3).
    PointOfInterest,
    /// A private database (code 5).
    Private,
    /// Access points in the payload (code 6).
    Wifi,
    /// Near a known device (code 7).
    Proximity,
    /// Not said, or a code that is not known.
    Unknown,
}

impl LocationSource {
    /// The source by its code in the Sigfox API v2.
    #[must_use]
    pub fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Gps,
            0 | 2 | 4 => Self::Network,
            3 => Self::PointOfInterest,
            5 => Self::Private,
            6 => Self::Wifi,
            7 => Self::Proximity,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_off_the_earth_is_none() {
        let here = Location {
            latitude: 48.1,
            longitude: 2.5,
            accuracy_m: Some(400.0),
            source: LocationSource::Network,
            time: Timestamp::default(),
        };
        assert_eq!(here.checked(), Some(here));
        assert_eq!(Location { latitude: 90.5, ..here }.checked(), None);
        assert_eq!(Location { longitude: f64::NAN, ..here }.checked(), None);
        let unsure = Location { accuracy_m: Some(f64::INFINITY), ..here };
        assert_eq!(unsure.checked().map(|location| location.accuracy_m), Some(None));
    }
}

//! Where the network hears devices.

use serde::Serialize;

use super::Sigfox;
use crate::cloud::Call;
use crate::cloud::row::{Json, Row};
use crate::config::SigfoxApi::{V1, V2};

/// A place to ask about, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// Where the device stands, which costs it strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Situation {
    /// In the open.
    #[default]
    Outdoor,
    /// Within a building (20 dB).
    Indoor,
    /// Below ground (30 dB).
    Underground,
}

/// How many base stations hear a device there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Redundancy {
    /// The number of base stations.
    pub redundancy: f64,
}

/// How well a device will be heard there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Whether it will be heard at all.
    pub covered: Option<bool>,
    /// Spare strength in dB towards the best, second and third base station.
    pub margins_db: Vec<f64>,
}

impl Sigfox {
    /// How many base stations hear a device at a place.
    ///
    /// v2 `GET /coverages/operators/redundancy`, v1 `GET /coverages/redundancy`.
    #[must_use]
    pub fn redundancy(&self, place: Place, situation: Situation, operator: Option<&str>) -> Call<Redundancy> {
        let word = situation.word().to_owned();
        let mut query = place.query();
        let (path, key) = match self.version {
            V1 => (["coverages", "redundancy"].as_slice(), "mode"),
            V2 => (["coverages", "operators", "redundancy"].as_slice(), "deviceSituation"),
        };
        query.push((key, word));
        if let (V2, Some(operator)) = (self.version, operator) {
            query.push(("operatorId", operator.to_owned()));
        }
        self.call(reqwest::Method::GET, path, &query, None, place.asked(), redundancy)
    }

    /// How well a device will be heard at a place (`GET /coverages/global/predictions`); `radius` in metres.
    #[must_use]
    pub fn prediction(&self, place: Place, radius_m: Option<u32>) -> Call<Prediction> {
        let mut query = place.query();
        query.extend(radius_m.map(|radius| ("radius", radius.to_string())));
        let path = ["coverages", "global", "predictions"];
        self.call(reqwest::Method::GET, &path, &query, None, place.asked(), prediction)
    }
}

impl Place {
    fn query(self) -> Vec<(&'static str, String)> {
        vec![("lat", self.latitude.to_string()), ("lng", self.longitude.to_string())]
    }

    fn asked(self) -> String {
        format!("coverage at {}, {}", self.latitude, self.longitude)
    }
}

impl Situation {
    fn word(self) -> &'static str {
        match self {
            Self::Outdoor => "OUTDOOR",
            Self::Indoor => "INDOOR",
            Self::Underground => "UNDERGROUND",
        }
    }
}

fn redundancy(value: &Json<'_>) -> Result<Redundancy, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    Ok(Redundancy { redundancy: row.number("redundancy").ok_or("it names no redundancy")? })
}

fn prediction(value: &Json<'_>) -> Result<Prediction, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let margins = row.value("margins").and_then(Json::as_array).into_iter().flatten();
    Ok(Prediction {
        covered: row.flag("locationCovered"),
        margins_db: margins.filter_map(Json::as_f64).collect(),
    })
}

//! The values of a message's callback variables, printed as the cloud prints them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::callback::Variables;
use super::world::{DeviceType, Uplink};

/// Every variable that a message gives. `shown` says whether its computed position is known by now.
///
/// Without network metadata in the contract the radio's values are `null` (support.sigfox.com, bidir).
pub(super) fn of_uplink(device_type: &DeviceType, uplink: &Uplink, shown: bool) -> Variables {
    let best = uplink.receptions.first();
    let known = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
    let position = uplink.position.filter(|_| shown);
    let computed = position.map(|position| {
        json!({
            "lat": position.latitude, "lng": position.longitude, "radius": position.radius,
            "source": position.source, "status": 1, "placeIds": [],
        })
    });
    let duplicates = uplink.receptions.iter().map(|reception| {
        json!({
            "bsId": reception.station, "rssi": f64::from(reception.rssi_centi) / 100.0,
            "snr": f64::from(reception.snr_centi) / 100.0, "nbRep": reception.repetitions,
        })
    });
    let duplicates = if uplink.receptions.is_empty() {
        "null".to_owned()
    } else {
        json!(duplicates.collect::<Vec<_>>()).to_string()
    };
    let mut variables = Variables::from([
        ("device", uplink.device.to_string()),
        ("deviceTypeId", device_type.id.clone()),
        ("time", uplink.time.as_seconds().to_string()),
        ("data", uplink.payload.to_string()),
        ("ack", uplink.ack.to_string()),
        ("longPolling", "false".to_owned()),
        ("duplicate", "false".to_owned()),
        ("rssi", known(best.map(|reception| hundredths(reception.rssi_centi)))),
        ("snr", known(best.map(|reception| hundredths(reception.snr_centi)))),
        ("avgSnr", known(best.map(|reception| hundredths(reception.snr_centi)))),
        ("station", known(best.map(|reception| reception.station.clone()))),
        ("lat", known(best.map(|reception| reception.degrees.0.to_string()))),
        ("lng", known(best.map(|reception| reception.degrees.1.to_string()))),
        ("lqi", lqi_word(uplink.lqi).to_owned()),
        ("linkQuality", uplink.lqi.to_string()),
        ("fixedLat", "0.0".to_owned()),
        ("fixedLng", "0.0".to_owned()),
        ("operatorName", "SIGFOX_France".to_owned()),
        ("countryCode", "250".to_owned()),
        ("temp", "21.5".to_owned()),
        ("batt", "3.01".to_owned()),
        ("duplicates", duplicates),
        ("computedLocation", known(computed.map(|computed| computed.to_string()))),
    ]);
    if let Some(seq) = uplink.seq {
        variables.insert("seqNumber", seq.to_string());
    }
    if let Some(position) = uplink.position {
        variables.insert("radius", position.radius.to_string());
        variables.insert("geolocSource", position.source.to_string());
    }
    variables
}

/// `lqi` as callbacks spell it.
pub(super) fn lqi_word(lqi: u8) -> &'static str {
    match lqi {
        0 => "LIMIT",
        1 => "AVERAGE",
        2 => "GOOD",
        3 => "EXCELLENT",
        _ => "NA",
    }
}

/// A number of hundredths with two digits after the point, the way the live service quotes radio values.
pub(super) fn hundredths(value: i32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let value = value.unsigned_abs();
    format!("{sign}{}.{:02}", value / 100, value % 100)
}

/// Degrees rounded to whole ones, as places of stations are published.
pub(super) fn whole_degrees(degrees: f64) -> i32 {
    (-180..=180)
        .min_by_key(|whole| {
            let off = (degrees - f64::from(*whole)).abs();
            // A total order of non-negative floats is that of their bits.
            off.to_bits()
        })
        .unwrap_or(0)
}

/// A text as it stands in a query or a form.
pub(super) fn query_encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radio_values_have_two_digits() {
        for (value, text) in [(-13_300, "-133.00"), (1_248, "12.48"), (-5, "-0.05"), (0, "0.00"), (7, "0.07")]
        {
            assert_eq!(hundredths(value), text);
        }
    }

    #[test]
    fn stations_stand_on_whole_degrees() {
        for (degrees, whole) in [(48.8566, 49), (2.3522, 2), (-0.1, 0), (-33.9, -34), (139.7, 140)] {
            assert_eq!(whole_degrees(degrees), whole, "{degrees}");
        }
    }
}

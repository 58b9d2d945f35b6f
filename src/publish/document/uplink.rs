//! The uplink document (`event/up`, `state`).

use serde::Serialize;

use super::{Place, VERSION};
use crate::model::{DeviceId, Fields, LinkQuality, Payload, SourceName, Timestamp, Uplink};

/// One uplink, or a device's state: the newest uplink with the fields of all uplinks merged over time.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UplinkDocument<'a> {
    v: u8,
    /// `<device>-<seconds of time>-<seq>`, or `…-x<CRC-16 of data>` without a sequence number.
    id: String,
    /// The device that sent it.
    device: DeviceId,
    /// What the device is called.
    name: &'a str,
    /// The source that told of it first.
    source: &'a SourceName,
    /// When the network received it.
    time: Timestamp,
    /// When it came here.
    received: Timestamp,
    /// Whether it was already history when it was first seen, or is published again on request.
    replay: bool,
    /// The device's own count of its messages.
    seq: Option<u16>,
    /// The payload.
    data: &'a Payload,
    /// What the decoder could read.
    fields: &'a Fields,
    /// The decoder.
    decoder: Option<&'a str>,
    /// What could not be read, in words.
    errors: &'a [String],
    /// How good the link is.
    lqi: Option<LinkQuality>,
    /// Signal strength in dBm.
    rssi: Option<f64>,
    /// Signal-to-noise ratio in dB.
    snr: Option<f64>,
    /// How many base stations received it.
    stations: Option<u16>,
    /// Whether the device asked for a downlink with it.
    ack: Option<bool>,
    /// Where the device was.
    location: Option<Place>,
}

impl<'a> UplinkDocument<'a> {
    /// The document of an uplink as its device is called and decoded.
    #[must_use]
    pub fn new(
        uplink: &'a Uplink,
        name: &'a str,
        decoder: Option<&'a str>,
        fields: &'a Fields,
        errors: &'a [String],
        location: Option<Place>,
    ) -> Self {
        Self {
            v: VERSION,
            id: uplink.id().to_string(),
            device: uplink.device,
            name,
            source: &uplink.source,
            time: uplink.time,
            received: uplink.received,
            replay: uplink.replay,
            seq: uplink.seq,
            data: &uplink.payload,
            fields,
            decoder,
            errors,
            lqi: uplink.link_quality,
            rssi: uplink.rssi.and_then(as_measured),
            snr: uplink.snr.and_then(as_measured),
            stations: uplink.stations,
            ack: uplink.ack,
            location,
        }
    }

    /// The uplink's own name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// A measurement with the digits that it has, also where its document goes through JSON's wider numbers.
fn as_measured(value: f32) -> Option<f64> {
    value.to_string().parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::document::print;

    #[test]
    fn the_document_is_the_one_of_the_contract() {
        let uplink = Uplink {
            device: "1A2B3C".parse().unwrap(),
            time: "2026-09-09T22:26:40.123Z".parse().unwrap(),
            seq: Some(251),
            payload: "0a41ff00".parse().unwrap(),
            source: "factory".parse().unwrap(),
            received: "2026-09-09T22:27:31.004Z".parse().unwrap(),
            replay: false,
            link_quality: Some(LinkQuality::Good),
            rssi: Some(-118.0),
            snr: Some(12.1),
            stations: Some(3),
            ack: Some(false),
            location: None,
        };
        let fields: Fields = serde_json::from_str(r#"{"level":1.23,"alarm":false}"#).unwrap();
        let document = UplinkDocument::new(&uplink, "Tank 3", Some("level"), &fields, &[], None);
        let in_an_answer = serde_json::to_value(&document).unwrap();
        assert_eq!(in_an_answer.get("snr"), Some(&serde_json::json!(12.1)));
        let printed = print(&document);
        assert_eq!(
            std::str::from_utf8(&printed).unwrap(),
            concat!(
                r#"{"v":1,"id":"1A2B3C-1788992800-251","device":"1A2B3C","name":"Tank 3","source":"factory","#,
                r#""time":"2026-09-09T22:26:40.123Z","received":"2026-09-09T22:27:31.004Z","replay":false,"#,
                r#""seq":251,"data":"0a41ff00","fields":{"level":1.23,"alarm":false},"decoder":"level","errors":[],"#,
                r#""lqi":"good","rssi":-118.0,"snr":12.1,"stations":3,"ack":false,"location":null}"#
            )
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        let uplink = Uplink {
            replay: true,
            rssi: Some(f32::NAN),
            ..Uplink::new(
                "2C".parse().unwrap(),
                Timestamp::default(),
                Payload::default(),
                "s".parse().unwrap(),
            )
        };
        let printed = print(&UplinkDocument::new(&uplink, "2C", None, &Fields::new(), &[], None));
        let document: serde_json::Value = serde_json::from_slice(&printed).unwrap();
        for key in ["seq", "decoder", "lqi", "rssi", "snr", "stations", "ack", "location"] {
            assert!(document.get(key).is_some_and(serde_json::Value::is_null), "{key} of {document}");
        }
        assert_eq!(document.get("data"), Some(&serde_json::json!("")));
    }
}

//! An entry of Soracom Harvest: JSON within JSON, in the two generations of its shape.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cloud::row::{Json, Row};
use crate::model::{DeviceId, LinkQuality, Payload, Timestamp};

/// Keys of an entry's content that Soracom itself writes; every other one is an output of its binary parser.
const OWN_KEYS: [&str; 14] = [
    "device",
    "time",
    "data",
    "seqNumber",
    "station",
    "lat",
    "lng",
    "rssi",
    "snr",
    "avgSnr",
    "lqi",
    "operatorName",
    "countryCode",
    "binaryParserEnabled",
];

/// A message of a device as Harvest keeps it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When Harvest stored it; with the device it identifies the entry.
    pub stored: Timestamp,
    /// Who sent it, where the content says so.
    pub device: Option<DeviceId>,
    /// When the network received it; the time of storage where the content does not say.
    pub time: Timestamp,
    /// What was sent.
    pub payload: Payload,
    /// The sequence number.
    pub seq: Option<u16>,
    /// Quality of the link (second generation).
    pub link_quality: Option<LinkQuality>,
    /// Signal strength in dBm (first generation).
    pub rssi: Option<f64>,
    /// Signal to noise in dB.
    pub snr: Option<f64>,
    /// The base station (first generation).
    pub station: Option<String>,
    /// The operator whose network heard it (second generation).
    pub operator: Option<String>,
    /// What Soracom's binary parser read, if the group has one.
    pub fields: Map<String, Value>,
}

pub(super) fn entry(value: &Json<'_>) -> Result<Entry, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let stored = row.time("time").ok_or("it has no readable time")?;
    // The content is a text that holds JSON; a proxy that unwraps it is met half-way.
    let content = match row.value("content").ok_or("it has no content")? {
        Json::Str(text) => serde_json::from_str(text).map_err(|error| format!("its content: {error}"))?,
        other => other.clone(),
    };
    let inner = Row::of(&content).ok_or("its content is no object")?;
    let data = inner.text("data").ok_or("its content holds no data")?;
    let payload = data.parse().map_err(|error| format!("its data: {error}"))?;
    let own = |key: &str| OWN_KEYS.contains(&key);
    let fields = content.iter_object().into_iter().flatten().filter(|(key, _)| !own(key));
    Ok(Entry {
        stored,
        device: inner.name("device").and_then(|device| device.parse().ok()),
        time: inner.time("time").unwrap_or(stored),
        payload,
        seq: inner.integer("seqNumber").and_then(|seq| u16::try_from(seq).ok()),
        link_quality: inner.name("lqi").and_then(|word| LinkQuality::from_word(&word)),
        rssi: inner.number("rssi"),
        snr: inner.number("snr"),
        station: inner.name("station"),
        operator: inner.name("operatorName"),
        fields: fields.map(|(key, value)| (key.to_owned(), value.into())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(fixture: &'static str) -> Vec<Result<Entry, String>> {
        serde_json::from_str::<Vec<Json<'_>>>(fixture).unwrap().iter().map(entry).collect()
    }

    #[test]
    fn both_generations_are_the_same_thing() {
        let first = entries(include_str!("../../../tests/fixtures/soracom/data-first-generation.json"));
        let first = first[0].as_ref().unwrap();
        assert_eq!(first.time.to_string(), "2017-09-08T07:46:34.000Z");
        assert_eq!((first.payload.to_string().as_str(), first.seq), ("816c1e71", Some(1406)));
        assert_eq!((first.rssi, first.link_quality), (Some(-126.0), None));
        assert_eq!(
            Value::Object(first.fields.clone()),
            serde_json::json!({"temperature":26.75,"humidity":56.5})
        );

        let second = entries(include_str!("../../../tests/fixtures/soracom/data-second-generation.json"));
        let second = second[0].as_ref().unwrap();
        assert_eq!((second.rssi, second.link_quality), (None, Some(LinkQuality::Excellent)));
        assert_eq!(second.operator.as_deref(), Some("SIGFOX_Japan_KCCS"));
    }

    #[test]
    fn what_is_no_message_says_why() {
        let read = entries(include_str!("../../../tests/fixtures/soracom/data-unreadable.json"));
        assert!(read[0].as_ref().is_err_and(|why| why.starts_with("its content")));
        assert!(read[1].as_ref().is_err_and(|why| why == "it has no readable time"));
        assert_eq!(
            read[2].as_ref().map(|entry| (entry.seq, entry.payload.as_bytes().len())),
            Ok((Some(1219), 0))
        );
    }
}

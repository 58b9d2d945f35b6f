//! Which metrics the edge node and every device have beside the decoded fields, and what they say. Pure.
//!
//! Fields are metrics by their own names, without a `/`; everything else stands in a folder, so that no field can
//! take its place.

use std::borrow::Cow;

use serde::Serialize;

use super::metric::{DataType, Metric, Value, forced, typed};
use crate::decode::{Decoded, Decoder, FieldKind};
use crate::ingest::SourceStatus;
use crate::model::{Downlink, Fields, Location, SourceName, Timestamp, Uplink};
use crate::publish::health::Health;

/// A metric that is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name; `<source>` stands for the name of a source.
    pub name: &'static str,
    /// Its type.
    pub datatype: DataType,
    /// Its unit.
    pub unit: Option<&'static str>,
}

const fn row(name: &'static str, datatype: DataType, unit: Option<&'static str>) -> Row {
    Row { name, datatype, unit }
}

const VERSION: Row = row("Gateway/Version", DataType::String, None);
const STARTED: Row = row("Gateway/Started", DataType::DateTime, None);
const MEMORY: Row = row("Gateway/Memory", DataType::UInt64, Some("B"));
const STORE_SIZE: Row = row("Gateway/Store Size", DataType::UInt64, Some("B"));
const STORE_ERROR: Row = row("Gateway/Store Error", DataType::String, None);
const OUTBOX_DEPTH: Row = row("Gateway/Outbox Depth", DataType::UInt64, None);
const BACKLOG: Row = row("Gateway/Sparkplug Backlog", DataType::UInt64, None);
const IGNORED: Row = row("Gateway/Commands Ignored", DataType::UInt64, None);
const SOURCE_STATE: Row = row("Sources/<source>/State", DataType::String, None);
const SOURCE_SUCCESS: Row = row("Sources/<source>/Last Success", DataType::DateTime, None);
const SOURCE_ERROR: Row = row("Sources/<source>/Error", DataType::String, None);

const NAME: Row = row("Device/Name", DataType::String, None);
const TYPE: Row = row("Device/Type", DataType::String, None);
const SOURCE: Row = row("Device/Source", DataType::String, None);
const ID: Row = row("Uplink/Id", DataType::String, None);
const PAYLOAD: Row = row("Uplink/Payload", DataType::String, None);
const SEQ: Row = row("Uplink/Seq", DataType::Int64, None);
const ERRORS: Row = row("Uplink/Errors", DataType::String, None);
const QUALITY: Row = row("Link/Quality", DataType::String, None);
const RSSI: Row = row("Link/RSSI", DataType::Float, Some("dBm"));
const SNR: Row = row("Link/SNR", DataType::Float, Some("dB"));
const STATIONS: Row = row("Link/Stations", DataType::Int64, None);
const LATITUDE: Row = row("Location/Latitude", DataType::Double, Some("°"));
const LONGITUDE: Row = row("Location/Longitude", DataType::Double, Some("°"));
const ACCURACY: Row = row("Location/Accuracy", DataType::Double, Some("m"));
const POSITIONED_BY: Row = row("Location/Source", DataType::String, None);
/// What a host writes to send a downlink.
pub(super) const PUSH: Row = row("Downlink/Push", DataType::String, None);
const ITEM: Row = row("Downlink/Item", DataType::String, None);
const STATE: Row = row("Downlink/State", DataType::String, None);
const EVIDENCE: Row = row("Downlink/Evidence", DataType::String, None);
const REASON: Row = row("Downlink/Reason", DataType::String, None);

/// The metrics of the edge node, beside those that Sparkplug wants.
pub static NODE: [Row; 11] = [
    VERSION,
    STARTED,
    MEMORY,
    STORE_SIZE,
    STORE_ERROR,
    OUTBOX_DEPTH,
    BACKLOG,
    IGNORED,
    SOURCE_STATE,
    SOURCE_SUCCESS,
    SOURCE_ERROR,
];

/// The metrics of every device, beside its fields; those of downlinks only where it takes some.
pub static DEVICE: [Row; 20] = [
    NAME,
    TYPE,
    SOURCE,
    ID,
    PAYLOAD,
    SEQ,
    ERRORS,
    QUALITY,
    RSSI,
    SNR,
    STATIONS,
    LATITUDE,
    LONGITUDE,
    ACCURACY,
    POSITIONED_BY,
    PUSH,
    ITEM,
    STATE,
    EVIDENCE,
    REASON,
];

impl Row {
    /// The metric with this value.
    fn metric(self, value: Option<Value>, time: Timestamp) -> Metric {
        Metric::new(self.name, self.datatype, value, time).in_unit(self.unit)
    }

    fn of_source(self, source: &SourceName, value: Option<Value>, time: Timestamp) -> Metric {
        Metric::new(self.name.replace("<source>", source.as_str()), self.datatype, value, time)
    }
}

fn text(value: Option<impl ToString>) -> Option<Value> {
    value.map(|value| Value::String(value.to_string()))
}

/// The word that published documents have for it.
fn word(value: Option<impl Serialize>) -> Option<Value> {
    let printed = value.and_then(|value| serde_json::to_value(value).ok());
    text(printed.as_ref().and_then(serde_json::Value::as_str))
}

/// What the edge node says of the gateway. `backlog`: events that wait for the host; `ignored`: commands.
pub(super) fn of_gateway(
    health: &Health,
    started: Timestamp,
    backlog: u64,
    ignored: u64,
    now: Timestamp,
) -> Vec<Metric> {
    vec![
        VERSION.metric(text(Some(env!("CARGO_PKG_VERSION"))), now),
        STARTED.metric(Some(Value::DateTime(started)), now),
        MEMORY.metric(health.memory_bytes.map(Value::UInt64), now),
        STORE_SIZE.metric(health.store_bytes.map(Value::UInt64), now),
        STORE_ERROR.metric(text(health.store_error.as_ref()), now),
        OUTBOX_DEPTH.metric(health.outbox.as_ref().map(|outbox| Value::UInt64(outbox.depth)), now),
        BACKLOG.metric(Some(Value::UInt64(backlog)), now),
        IGNORED.metric(Some(Value::UInt64(ignored)), now),
    ]
}

/// What the edge node says of a source.
pub(super) fn of_source(source: &SourceName, status: &SourceStatus, now: Timestamp) -> [Metric; 3] {
    [
        SOURCE_STATE.of_source(source, text(Some(status.state)), now),
        SOURCE_SUCCESS.of_source(source, status.last_success.map(Value::DateTime), now),
        SOURCE_ERROR.of_source(source, text(status.error.as_ref()), now),
    ]
}

/// Who a device is.
pub(super) fn of_device(
    name: &str,
    device_type: Option<&str>,
    source: &SourceName,
    time: Timestamp,
) -> [Metric; 3] {
    [
        NAME.metric(text(Some(name)), time),
        TYPE.metric(text(device_type), time),
        SOURCE.metric(text(Some(source)), time),
    ]
}

/// How a message came, whatever it says; null where none came yet.
pub(super) fn of_uplink(uplink: Option<(&Uplink, &Decoded)>, since: Timestamp) -> [Metric; 8] {
    let errors = uplink.map(|(_, decoded)| decoded.errors.join("; ")).filter(|errors| !errors.is_empty());
    let uplink = uplink.map(|(uplink, _)| uplink);
    let time = uplink.map_or(since, |uplink| uplink.time);
    let decibels = |value: Option<f32>| value.filter(|value| value.is_finite()).map(Value::Float);
    let count = |value: Option<u16>| value.map(|value| Value::Int64(value.into()));
    [
        ID.metric(text(uplink.map(Uplink::id)), time),
        PAYLOAD.metric(text(uplink.map(|uplink| &uplink.payload)), time),
        SEQ.metric(count(uplink.and_then(|uplink| uplink.seq)), time),
        ERRORS.metric(text(errors), time),
        QUALITY.metric(word(uplink.and_then(|uplink| uplink.link_quality)), time),
        RSSI.metric(decibels(uplink.and_then(|uplink| uplink.rssi)), time),
        SNR.metric(decibels(uplink.and_then(|uplink| uplink.snr)), time),
        STATIONS.metric(count(uplink.and_then(|uplink| uplink.stations)), time),
    ]
}

/// Where a device is; null where that is not known.
pub(super) fn of_location(location: Option<&Location>, since: Timestamp) -> [Metric; 4] {
    let time = location.map_or(since, |location| location.time);
    [
        LATITUDE.metric(location.map(|location| Value::Double(location.latitude)), time),
        LONGITUDE.metric(location.map(|location| Value::Double(location.longitude)), time),
        ACCURACY.metric(location.and_then(|location| location.accuracy_m).map(Value::Double), time),
        POSITIONED_BY.metric(word(location.map(|location| location.source)), time),
    ]
}

/// What becomes of downlinks: the item that changed last.
pub(super) fn of_downlink(item: Option<&Downlink>, since: Timestamp) -> [Metric; 5] {
    let time = item.map_or(since, |item| item.updated);
    [
        PUSH.metric(text(item.and_then(|item| item.data)), time),
        ITEM.metric(text(item.map(|item| &item.id)), time),
        STATE.metric(text(item.map(|item| item.state)), time),
        EVIDENCE.metric(word(item.and_then(|item| item.evidence)), time),
        REASON.metric(text(item.and_then(|item| item.reason.as_ref())), time),
    ]
}

/// Whether the value of a field may be cut to the type that its birth said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typing {
    /// It may not: the type follows the value.
    Follow,
    /// It may: the value is old, or the birth has just followed a newer one.
    Force,
}

/// The fields of a message, or of all messages merged. `known` gives the type by which a metric was declared.
pub(super) fn of_fields(
    fields: &Fields,
    decoder: Option<&Decoder>,
    typing: Typing,
    known: impl Fn(&str) -> Option<DataType>,
    time: Timestamp,
) -> Vec<Metric> {
    let metric = |(key, field): (&String, &serde_json::Value)| {
        let name = metric_name(key);
        let declared = known(&name);
        let (datatype, value) = match (typing, declared) {
            (Typing::Force, Some(declared)) => (declared, forced(field, declared)),
            _ => typed(field, declared.or_else(|| expected_type(decoder, key))),
        };
        Metric::new(name.into_owned(), datatype, value, time).in_unit(unit(decoder, key))
    };
    fields.iter().map(metric).collect()
}

/// The fields that a decoder may give and that no message gave yet: null.
pub(super) fn of_catalogue(decoder: &Decoder, fields: &Fields, since: Timestamp) -> Vec<Metric> {
    let unseen = decoder.catalogue().iter().filter(|field| !fields.contains_key(&field.key));
    let metric = |key: &String| {
        let datatype = expected_type(Some(decoder), key).unwrap_or(DataType::Double);
        Metric::new(metric_name(key).into_owned(), datatype, None, since).in_unit(unit(Some(decoder), key))
    };
    unseen.map(|field| metric(&field.key)).collect()
}

/// The name of a field's metric: without folders, and no longer than a person can read.
fn metric_name(key: &str) -> Cow<'_, str> {
    const LONGEST: usize = 128;
    if key.len() <= LONGEST && !key.contains(|character: char| character == '/' || character.is_control()) {
        return Cow::Borrowed(key);
    }
    let plain = |character: char| if character == '/' || character.is_control() { '_' } else { character };
    key.chars().map(plain).take(LONGEST).collect()
}

/// The type that a field has by what is known of its decoder.
fn expected_type(decoder: Option<&Decoder>, key: &str) -> Option<DataType> {
    let decoder = decoder?;
    let by_grammar =
        decoder.grammar().and_then(|grammar| grammar.fields().iter().find(|field| field.name() == key));
    if by_grammar.is_some_and(crate::decode::grammar::Field::is_integer) {
        return Some(DataType::Int64);
    }
    let field = decoder.catalogue().iter().find(|field| field.key == key)?;
    Some(match field.kind {
        FieldKind::Number => DataType::Double,
        FieldKind::Bool => DataType::Boolean,
        FieldKind::Text => DataType::String,
    })
}

fn unit(decoder: Option<&Decoder>, key: &str) -> Option<String> {
    decoder?.catalogue().iter().find(|field| field.key == key)?.settings.unit.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decode::grammar::{Dialect, Grammar};

    #[test]
    fn a_field_has_the_name_type_and_unit_of_its_decoder() {
        let grammar = Grammar::parse("count::uint:16 level::uint:16:/100 alarm::bool:0", Dialect::Sigfox);
        let decoder = Decoder::of_grammar(grammar.unwrap());
        let fields = json!({"count": 5, "level": 17, "alarm": true, "a/b": "x", "free": null});
        let time = Timestamp::default();
        let made = of_fields(fields.as_object().unwrap(), Some(&decoder), Typing::Follow, |_| None, time);
        let seen: Vec<_> = made.iter().map(|metric| (metric.name.as_ref(), metric.datatype)).collect();
        assert_eq!(
            seen,
            [
                ("count", DataType::Int64),
                ("level", DataType::Double),
                ("alarm", DataType::Boolean),
                ("a_b", DataType::String),
                ("free", DataType::Double),
            ]
        );
        let unseen = of_catalogue(&decoder, json!({"level": 1}).as_object().unwrap(), time);
        assert_eq!(unseen.iter().map(|metric| metric.name.as_ref()).collect::<Vec<_>>(), ["count", "alarm"]);
        assert!(unseen.iter().all(|metric| metric.value.is_none()));
    }

    #[test]
    fn an_old_value_is_told_by_the_type_of_the_birth() {
        let fields = json!({"level": 17.5, "mode": "auto"});
        let known = |_: &str| Some(DataType::Double);
        let made = of_fields(fields.as_object().unwrap(), None, Typing::Force, known, Timestamp::default());
        let values: Vec<_> = made.into_iter().map(|metric| (metric.datatype, metric.value)).collect();
        assert_eq!(values, [(DataType::Double, Some(Value::Double(17.5))), (DataType::Double, None)]);
    }

    #[test]
    fn no_field_can_take_the_place_of_another_metric() {
        for row in NODE.iter().chain(&DEVICE) {
            assert!(row.name.contains('/'), "{}", row.name);
            assert!(!metric_name(row.name).contains('/'));
        }
    }
}

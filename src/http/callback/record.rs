//! From the variables of a callback to what it tells us, in the gateway's own words. No I/O, no clock.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Kind, Malformed, Variables};
use crate::clock;
use crate::downlink::Report;
use crate::model::{
    DeviceId, Event, LinkQuality, Location, LocationSource, Payload, SourceName, Timestamp, Uplink, UplinkId,
    UplinkTail,
};

/// What a callback tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// A message of a device.
    Uplink {
        uplink: Box<Uplink>,
        /// The device as the cloud printed it: the answer names it so.
        printed: String,
    },
    /// Where a device was when it sent a message that is not in the callback.
    Location { device: DeviceId, location: Location, uplink: Option<UplinkId> },
    /// Something about a device that is no message of it.
    Service(Event),
    /// What became of the answer to an ask.
    Report { device: DeviceId, report: Report },
    /// Nothing that we keep.
    Nothing,
}

/// What holds for the source that a callback came from.
#[derive(Debug, Clone)]
pub(super) struct Origin<'a> {
    pub(super) source: &'a SourceName,
    /// How old a message may be when first seen and be no history.
    pub(super) overlap: Duration,
    pub(super) now: Timestamp,
    /// Whether a callback without a time is taken as sent now: a batch whose pattern has none.
    pub(super) untimed: bool,
}

impl Origin<'_> {
    /// When a message of this time came; where our clock was never set, not before it was sent.
    fn received(&self, time: Timestamp) -> Timestamp {
        if clock::is_set(self.now) { self.now } else { self.now.max(time) }
    }
}

/// Reads a callback of one kind.
pub(super) fn read(kind: Kind, variables: &Variables, origin: &Origin<'_>) -> Result<Told, Malformed> {
    let device: DeviceId = required(variables, "device")?;
    let time = match variables.integer("time").and_then(Timestamp::from_cloud) {
        Some(time) => time,
        None if origin.untimed && !variables.has("time") => origin.now,
        None => return Err(Malformed::new("`time` is missing or no time (expected Unix seconds)")),
    };
    match kind {
        Kind::Uplink | Kind::Bidir => uplink(variables, device, time, origin),
        Kind::Advanced if variables.written("data").is_some() => uplink(variables, device, time, origin),
        Kind::Advanced => Ok(location(variables, device, time, computed(variables, time))),
        Kind::Geoloc => Ok(location(variables, device, time, legacy(variables, time))),
        Kind::Ack => {
            let overusage = variables.boolean("downlinkoverusage") == Some(true);
            let report = Report {
                time,
                info_code: variables.integer("infocode"),
                emitted: variables.boolean("downlinkack"),
                overusage,
            };
            if report.info_code.is_none() && report.emitted.is_none() {
                return Err(Malformed::new("neither `infoCode` nor `downlinkAck` can be read"));
            }
            Ok(Told::Report { device, report })
        }
        Kind::Status | Kind::Error => Ok(Told::Service(service(kind, variables, device, time))),
    }
}

fn required<T: FromStr<Err: std::fmt::Display>>(variables: &Variables, name: &str) -> Result<T, Malformed> {
    let text = variables.text(name).ok_or_else(|| Malformed::new(format!("`{name}` is missing")))?;
    text.parse().map_err(|error| Malformed::new(format!("`{name}`: {error}")))
}

fn uplink(
    variables: &Variables,
    device: DeviceId,
    time: Timestamp,
    origin: &Origin<'_>,
) -> Result<Told, Malformed> {
    let data = variables.written("data").ok_or_else(|| Malformed::new("`data` is missing"))?;
    let payload = data.parse::<Payload>().map_err(|error| Malformed::new(format!("`data`: {error}")))?;
    let receptions = variables.objects("duplicates");
    let best = |name: &str| receptions.iter().filter_map(|one| one.metric(name)).max_by(f32::total_cmp);
    let uplink = Uplink {
        device,
        time,
        seq: sequence(variables),
        payload,
        source: origin.source.clone(),
        received: origin.received(time),
        replay: origin.now.since(time) > origin.overlap,
        link_quality: link_quality(variables),
        rssi: variables.metric("rssi").or_else(|| best("rssi")),
        snr: variables.metric("snr").or_else(|| best("snr")),
        stations: u16::try_from(receptions.len()).ok().filter(|stations| *stations > 0),
        ack: variables.boolean("ack"),
        location: computed(variables, time),
    };
    let printed = variables.text("device").unwrap_or_default();
    Ok(Told::Uplink { uplink: Box::new(uplink), printed })
}

/// 12 bits today; `007c` and other texts are no numbers and identify nothing.
fn sequence(variables: &Variables) -> Option<u16> {
    variables.integer("seqnumber").and_then(|number| u16::try_from(number).ok())
}

fn link_quality(variables: &Variables) -> Option<LinkQuality> {
    let word = |name| variables.text(name).and_then(|word| LinkQuality::from_word(&word));
    let number = |name| variables.integer(name).and_then(LinkQuality::from_number);
    word("lqi").or_else(|| number("lqi")).or_else(|| word("linkquality")).or_else(|| number("linkquality"))
}

/// The position that the network computed (`DATA_ADVANCED`): an object, sometimes a list of one.
fn computed(variables: &Variables, time: Timestamp) -> Option<Location> {
    let place = variables.objects("computedlocation").into_iter().next()?;
    let location = Location {
        latitude: place.number("lat")?,
        longitude: place.number("lng")?,
        accuracy_m: place.number("radius"),
        source: place.integer("source").map_or(LocationSource::Network, LocationSource::from_code),
        time,
    };
    location.checked()
}

/// The position of a legacy GEOLOC callback. In other callbacks `lat` and `lng` are the base station's.
fn legacy(variables: &Variables, time: Timestamp) -> Option<Location> {
    let location = Location {
        latitude: variables.number("lat")?,
        longitude: variables.number("lng")?,
        accuracy_m: variables.number("radius"),
        source: variables.integer("geolocsource").map_or(LocationSource::Network, LocationSource::from_code),
        time,
    };
    location.checked()
}

fn location(variables: &Variables, device: DeviceId, time: Timestamp, place: Option<Location>) -> Told {
    let Some(location) = place else { return Told::Nothing };
    let uplink = sequence(variables).map(|seq| UplinkId {
        device,
        seconds: time.as_seconds(),
        tail: UplinkTail::Seq(seq),
    });
    Told::Location { device, location, uplink }
}

fn service(kind: Kind, variables: &Variables, device: DeviceId, time: Timestamp) -> Event {
    let event = variables.text("event").map(|event| event.to_ascii_lowercase());
    let severity = variables.text("severity").map(|severity| severity.to_ascii_uppercase());
    let kind = match (kind, event.as_deref(), severity.as_deref()) {
        (Kind::Status, ..) => "status",
        (_, Some("break"), _) => "break",
        (.., Some("WARN" | "WARNING")) => "warning",
        _ => "error",
    };
    let mut detail = Map::new();
    for (name, key) in [
        ("temp", "temperature"),
        ("batt", "battery_voltage"),
        ("rssi", "rssi"),
        ("snr", "snr"),
        ("devicelastseqnumber", "last_seq"),
        ("deviceexpectedseqnumber", "expected_seq"),
        ("devicemessageseqnumber", "message_seq"),
        ("seqnumber", "seq"),
    ] {
        // A number that stands as an integer stays one.
        let integer = variables.integer(name).map(Value::from);
        if let Some(number) = integer.or_else(|| variables.number(name).map(Value::from)) {
            detail.insert(key.to_owned(), number);
        }
    }
    for name in ["severity", "info"] {
        if let Some(text) = variables.text(name) {
            let text: String = text.chars().take(500).collect();
            detail.insert(name.to_owned(), Value::from(text));
        }
    }
    Event::Service { device, time, kind: kind.to_owned(), detail: Value::Object(detail).to_string() }
}

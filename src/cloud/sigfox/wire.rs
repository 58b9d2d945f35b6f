//! The objects of the Sigfox APIs, read from rows as either version writes them.
//!
//! Every reader takes what it can: only what identifies a row is required, everything else may be missing,
//! of another type, or unknown.

use serde::Serialize;

use crate::cloud::row::{Json, Row};
use crate::model::{
    CloudState, DeviceId, DownlinkMode, LinkQuality, Location, LocationSource, Payload, PayloadKind,
    Timestamp,
};

/// A message of a device (v2 `deviceMessage`; v1 messages of a device or device type).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who sent it.
    pub device: DeviceId,
    /// When the network received it.
    pub time: Timestamp,
    /// What was sent.
    pub payload: Payload,
    /// The sequence number; absent for V0 devices.
    pub seq: Option<u16>,
    /// `lqi` (v2), `linkQuality` (v1).
    pub link_quality: Option<LinkQuality>,
    /// The base stations that heard it; empty where the contract hides them.
    pub receptions: Vec<Reception>,
    /// `computedLocation`: the position that the network computed.
    pub location: Option<Location>,
    /// Whether the device asked for a downlink.
    pub ack_required: Option<bool>,
    /// What was sent down in answer, where the cloud says so.
    pub downlink: Option<Payload>,
    /// The operator whose network heard it.
    pub operator: Option<String>,
    /// The country where it was heard, alpha-3.
    pub country: Option<String>,
}

/// One base station's reception of a message (`rinfos`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reception {
    /// The base station (v2 `baseStation.id`, v1 `tap`).
    pub station: Option<String>,
    /// Signal strength in dBm.
    pub rssi: Option<f64>,
    /// Signal to noise in dB.
    pub snr: Option<f64>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// Its identifier.
    pub id: DeviceId,
    /// Its name.
    pub name: Option<String>,
    /// The identifier of its type.
    pub device_type: Option<String>,
    /// Its state in the cloud.
    pub state: Option<CloudState>,
    /// When it last sent; none if never.
    pub last_seen: Option<Timestamp>,
    /// The newest sequence number.
    pub seq: Option<u16>,
    /// The sequence number of the last message that the cloud threw away because it was out of order.
    pub rejected_seq: Option<u16>,
    /// The position that was last computed for it.
    pub location: Option<Location>,
}

/// A device type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceType {
    /// Its identifier, 24 hex digits.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// How its payloads are to be read (`payloadType`, `payloadConfig`).
    pub payload: PayloadKind,
    /// The longest silence before the cloud complains, in seconds; none if it never does.
    pub keep_alive_s: Option<u64>,
    /// How its downlinks are made.
    pub downlink: Option<DownlinkMode>,
    /// The fixed answer of direct downlinks (`downlinkDataString`).
    pub downlink_data: Option<String>,
}

/// A position of a device over time (`/devices/{id}/locations`); none where the cloud says it is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Position {
    /// When.
    pub time: Timestamp,
    /// Where, if that is known.
    pub location: Option<Location>,
}

pub(super) fn message(value: &Json<'_>) -> Result<Message, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let device = row.reference("device").ok_or("it names no device")?;
    let device = device.parse().map_err(|error| format!("{error}"))?;
    let time = row.time("time").ok_or("it has no readable time")?;
    let payload =
        row.text("data").unwrap_or_default().parse().map_err(|error| format!("its data: {error}"))?;
    let answer = row.object("downlinkAnswerStatus");
    let mut receptions: Vec<Reception> = row.objects("rinfos").into_iter().map(reception).collect();
    // v1 gives one signal to noise for the whole message.
    if let ([best, ..], Some(snr)) = (receptions.as_mut_slice(), row.number("snr")) {
        best.snr = best.snr.or(Some(snr));
    }
    let word = row.name("lqi").or_else(|| row.name("linkQuality"));
    Ok(Message {
        device,
        time,
        payload,
        seq: row.integer("seqNumber").and_then(|seq| u16::try_from(seq).ok()),
        link_quality: row
            .integer("lqi")
            .and_then(LinkQuality::from_number)
            .or_else(|| LinkQuality::from_word(&word?)),
        receptions,
        location: row.objects("computedLocation").into_iter().find_map(|place| location(place, time)),
        ack_required: row.flag("ackRequired").or_else(|| answer.map(|_| true)),
        downlink: answer.and_then(|answer| answer.name("data")?.parse().ok()),
        operator: row.name("operator"),
        country: row.name("country"),
    })
}

fn reception(row: Row<'_>) -> Reception {
    Reception {
        station: row.reference("baseStation").or_else(|| row.name("tap")),
        rssi: row.number("rssi"),
        snr: row.number("snr"),
    }
}

/// A position with `lat` and `lng`; the radius is in metres, the code of its origin `source` or `sourceCode`.
fn location(row: Row<'_>, time: Timestamp) -> Option<Location> {
    let code = row.integer("source").or_else(|| row.integer("sourceCode"));
    let accuracy_m = row.number("radius");
    let source = match code {
        Some(code) => LocationSource::from_code(code),
        // v1 gives no code; its documents say that a radius of 0 is a GPS fix.
        None if accuracy_m == Some(0.0) => LocationSource::Gps,
        None if accuracy_m.is_some() => LocationSource::Network,
        None => LocationSource::Unknown,
    };
    if row.flag("valid") == Some(false) {
        return None;
    }
    let place =
        Location { latitude: row.number("lat")?, longitude: row.number("lng")?, accuracy_m, source, time };
    place.checked()
}

pub(super) fn position(value: &Json<'_>) -> Result<Position, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let time = row.time("time").ok_or("it has no readable time")?;
    Ok(Position { time, location: location(row, time) })
}

pub(super) fn device(value: &Json<'_>) -> Result<Device, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let id = row.name("id").ok_or("it has no id")?.parse().map_err(|error| format!("{error}"))?;
    // v1 writes 0 for a device that has never sent.
    let last_seen =
        ["lastCom", "last"].into_iter().find_map(|key| row.time(key)).filter(|t| t.as_millis() > 0);
    let number = |key| row.integer(key).and_then(|seq| u16::try_from(seq).ok());
    let place = row.object("lastComputedLocation").or_else(|| row.object("computedLocation"));
    Ok(Device {
        id,
        name: row.name("name"),
        device_type: row.reference("deviceType").or_else(|| row.name("type")),
        state: row.integer("state").map(state),
        last_seen,
        seq: number("sequenceNumber"),
        rejected_seq: number("trashSequenceNumber"),
        location: place.and_then(|place| location(place, place.time("time").or(last_seen)?)),
    })
}

/// v1 knows 0 to 4, with the same meanings (1 is its "timeout").
fn state(code: i64) -> CloudState {
    match code {
        0 => CloudState::Ok,
        1 => CloudState::Dead,
        2 => CloudState::OffContract,
        3 => CloudState::Disabled,
        4 => CloudState::Warn,
        5 => CloudState::Deleted,
        6 => CloudState::Suspended,
        7 => CloudState::NotActivable,
        _ => CloudState::Unknown,
    }
}

pub(super) fn device_type(value: &Json<'_>) -> Result<DeviceType, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    Ok(DeviceType {
        id: row.name("id").ok_or("it has no id")?,
        name: row.name("name"),
        description: row.name("description"),
        payload: payload_kind(row),
        keep_alive_s: row
            .integer("keepAlive")
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0),
        downlink: row.integer("downlinkMode").and_then(downlink_mode),
        downlink_data: row.name("downlinkDataString"),
    })
}

/// `payloadType` is a number in v2 and a word in v1.
fn payload_kind(row: Row<'_>) -> PayloadKind {
    let grammar = || row.name("payloadConfig").map(PayloadKind::Grammar);
    match row.text("payloadType").unwrap_or_default().to_ascii_lowercase().as_str() {
        "3" | "custom" => grammar().unwrap_or(PayloadKind::Raw),
        "4" | "geolocation" => PayloadKind::Geolocation,
        "5" | "string" => PayloadKind::Text,
        "9" => PayloadKind::SensitV2,
        _ => PayloadKind::Raw,
    }
}

fn downlink_mode(code: i64) -> Option<DownlinkMode> {
    match code {
        0 => Some(DownlinkMode::Direct),
        1 => Some(DownlinkMode::Callback),
        2 => Some(DownlinkMode::None),
        3 => Some(DownlinkMode::Managed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

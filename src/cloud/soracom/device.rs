//! A Sigfox device as Soracom lists it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cloud::row::{Json, Row};
use crate::model::{CloudState, DeviceId, ParseDeviceIdError, Timestamp};

/// A Sigfox device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// Its identifier as Soracom writes it, to be sent back as it was.
    pub id: String,
    /// Its display name (the tag `name`).
    pub name: Option<String>,
    /// The status as Soracom says it: `active`, `ready`, `terminated`, `instock`, or another word.
    pub status: Option<String>,
    /// When it last sent; none if never.
    pub last_seen: Option<Timestamp>,
    /// Signal strength of its last message in dBm.
    pub rssi: Option<f64>,
    /// Signal to noise of its last message in dB.
    pub snr: Option<f64>,
    /// The group whose settings it has.
    pub group: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it may be terminated.
    pub termination_enabled: Option<bool>,
    /// When its settings were last changed.
    pub modified: Option<Timestamp>,
}

impl Device {
    /// The identifier as all clouds share it.
    ///
    /// # Errors
    /// If it is none.
    pub fn device_id(&self) -> Result<DeviceId, ParseDeviceIdError> {
        self.id.parse()
    }

    /// The status in the words that all clouds share.
    #[must_use]
    pub fn state(&self) -> Option<CloudState> {
        Some(match self.status.as_ref()?.to_ascii_lowercase().as_str() {
            "active" | "ready" => CloudState::Ok,
            "terminated" => CloudState::Deleted,
            "suspended" => CloudState::Suspended,
            "inactive" | "instock" | "shipped" | "standby" | "banned" => CloudState::Disabled,
            _ => CloudState::Unknown,
        })
    }
}

pub(super) fn device(value: &Json<'_>) -> Result<Device, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let id = row.name("device_id").or_else(|| row.name("deviceId")).ok_or("it has no device_id")?;
    let seen = row.object("lastSeen");
    let tags: BTreeMap<String, String> = match row.value("tags") {
        Some(Json::Object(tags)) => tags
            .iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())))
            .collect(),
        _ => BTreeMap::new(),
    };
    Ok(Device {
        id,
        name: tags.get("name").filter(|name| !name.is_empty()).cloned(),
        status: row.name("status"),
        last_seen: seen.and_then(|seen| seen.time("time")),
        rssi: seen.and_then(|seen| seen.number("rssi")),
        snr: seen.and_then(|seen| seen.number("snr")),
        group: row.name("groupId"),
        tags,
        termination_enabled: row.flag("terminationEnabled"),
        modified: row.time("lastModifiedTime"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_in_every_shape_that_is_sent() {
        let list: Vec<Json<'_>> =
            serde_json::from_str(include_str!("../../../tests/fixtures/soracom/devices.json")).unwrap();
        let read: Vec<Device> = list.iter().map(|row| device(row).unwrap()).collect();
        assert_eq!(read[0].name.as_deref(), Some("greenhouse 3"));
        assert_eq!(
            (read[1].device_id().unwrap().to_string().as_str(), read[1].id.as_str()),
            ("7BFD2A", "7bfd2a")
        );
        assert_eq!((read[0].rssi, read[1].rssi, read[2].rssi), (Some(-126.0), Some(-126.0), None));
        assert_eq!((read[0].last_seen.is_some(), read[2].last_seen), (true, None));
        assert!(read[0].modified.is_some() && read[1].modified.is_some());
        let states: Vec<_> = read.iter().map(|device| device.state().unwrap()).collect();
        assert_eq!(states, [CloudState::Ok, CloudState::Suspended, CloudState::Ok]);
    }
}

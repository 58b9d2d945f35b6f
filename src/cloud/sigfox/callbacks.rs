//! Callbacks: what the cloud sends to us of its own accord, and what it could not deliver.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::client::Unit;
use super::{Sigfox, Window};
use crate::cloud::api::done;
use crate::cloud::row::{Json, Row};
use crate::cloud::{Call, Pages};
use crate::config::SigfoxApi::{V1, V2};
use crate::model::{DeviceId, Payload, Timestamp};

/// A callback of a device type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Callback {
    /// Its identifier; v1 does not always say it.
    pub id: Option<String>,
    /// `URL`, `BATCH_URL` or `EMAIL`.
    pub channel: Option<String>,
    /// 0 data, 1 service, 2 error.
    pub callback_type: Option<i64>,
    /// 0 status, 1 location, 2 uplink, 3 with answer, 4 acknowledgement, 5 repeater, 6 advanced data.
    pub callback_subtype: Option<i64>,
    /// Where it goes.
    pub url: Option<String>,
    /// How it is sent.
    pub http_method: Option<String>,
    /// Whether it is sent.
    pub enabled: Option<bool>,
    /// Whether the cloud has given it up.
    pub dead: Option<bool>,
    /// Whether it is the one that answers with downlinks.
    pub downlink: Option<bool>,
}

/// A message whose callback failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undelivered {
    /// Who sent the message.
    pub device: Option<DeviceId>,
    /// The device's type.
    pub device_type: Option<String>,
    /// When the network received it.
    pub time: Timestamp,
    /// What was sent.
    pub payload: Option<Payload>,
    /// The sequence number, where the callback carried it.
    pub seq: Option<u16>,
    /// The status that the callback was answered with.
    pub status: Option<String>,
    /// What it was answered with.
    pub message: Option<String>,
    /// Where it went.
    pub url: Option<String>,
}

/// Whose undelivered callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndeliveredOf {
    /// A device's.
    Device(DeviceId),
    /// Those of all devices of a type.
    DeviceType(String),
    /// Those of all devices of a group.
    Group(String),
}

impl Sigfox {
    /// The callbacks of a device type.
    ///
    /// v2 `GET /device-types/{id}/callbacks`, v1 `GET /devicetypes/{id}/callbacks`.
    #[must_use]
    pub fn callbacks(&self, device_type: &str) -> Call<Vec<Callback>> {
        let asked = format!("callbacks of device type {device_type}");
        self.get(&[self.types(), device_type, "callbacks"], asked, callbacks)
    }

    /// Makes a callback from an object in the API's own words, and gives its identifier.
    ///
    /// v2 `POST /device-types/{id}/callbacks`, v1 `POST /devicetypes/{id}/callbacks/new` with a list of one.
    #[must_use]
    pub fn new_callback(&self, device_type: &str, callback: Value) -> Call<String> {
        let asked = format!("callbacks of device type {device_type}");
        match self.version {
            V2 => {
                let path = ["device-types", device_type, "callbacks"];
                self.call(Method::POST, &path, &[], Some(callback), asked, new_id)
            }
            V1 => {
                let path = ["devicetypes", device_type, "callbacks", "new"];
                self.call(Method::POST, &path, &[], Some(Value::from(vec![callback])), asked, new_id)
            }
        }
    }

    /// Changes what the object names of a callback (v2 `PUT /device-types/{id}/callbacks/{callback}`).
    #[must_use]
    pub fn update_callback(&self, device_type: &str, callback: &str, change: Value) -> Call<()> {
        match self.version {
            V1 => self.no_call("callbacks update", "delete it and make a new one"),
            V2 => {
                let path = ["device-types", device_type, "callbacks", callback];
                self.call(Method::PUT, &path, &[], Some(change), about(device_type, callback), done)
            }
        }
    }

    /// Deletes a callback.
    ///
    /// v2 `DELETE /device-types/{id}/callbacks/{callback}`, v1 `POST …/callbacks/{callback}/delete`.
    #[must_use]
    pub fn delete_callback(&self, device_type: &str, callback: &str) -> Call<()> {
        let asked = about(device_type, callback);
        match self.version {
            V2 => {
                let path = ["device-types", device_type, "callbacks", callback];
                self.call(Method::DELETE, &path, &[], None, asked, done)
            }
            V1 => {
                let path = ["devicetypes", device_type, "callbacks", callback, "delete"];
                self.call(Method::POST, &path, &[], None, asked, done)
            }
        }
    }

    /// Switches a callback on or off (`…/callbacks/{callback}/enable?enabled=`; v2 `PUT`, v1 `POST`).
    #[must_use]
    pub fn enable_callback(&self, device_type: &str, callback: &str, enabled: bool) -> Call<()> {
        let path = [self.types(), device_type, "callbacks", callback, "enable"];
        let query = [("enabled", enabled.to_string())];
        self.call(self.write(), &path, &query, None, about(device_type, callback), done)
    }

    /// Makes a callback the one that answers with downlinks (`…/callbacks/{callback}/downlink`; v2 `PUT`, v1
    /// `POST`); there is one a device type.
    #[must_use]
    pub fn downlink_callback(&self, device_type: &str, callback: &str) -> Call<()> {
        let path = [self.types(), device_type, "callbacks", callback, "downlink"];
        self.call(self.write(), &path, &[], None, about(device_type, callback), done)
    }

    /// Callbacks that could not be delivered, newest first.
    ///
    /// v2 `GET /{devices|device-types|groups}/{id}/callbacks-not-delivered`, v1 `GET /callbacks/messages/error`.
    #[must_use]
    pub fn undelivered(&self, of: &UndeliveredOf, window: Window) -> Pages<Undelivered> {
        let (noun, v1_key, id, what) = match of {
            UndeliveredOf::Device(id) => ("devices", "hexId", id.to_string(), "device"),
            UndeliveredOf::DeviceType(id) => (self.types(), "deviceTypeId", id.clone(), "device type"),
            UndeliveredOf::Group(id) => ("groups", "groupId", id.clone(), "group"),
        };
        let asked = format!("undelivered callbacks of {what} {id}");
        let mut query = window.query(Unit::Milliseconds);
        match self.version {
            V2 => {
                let path = [noun, &id, "callbacks-not-delivered"];
                self.list(&path, query, Unit::Milliseconds, asked, undelivered)
            }
            V1 => {
                query.push((v1_key, id));
                let path = ["callbacks", "messages", "error"];
                self.list(&path, query, Unit::Milliseconds, asked, undelivered)
            }
        }
    }

    fn write(&self) -> Method {
        match self.version {
            V1 => Method::POST,
            V2 => Method::PUT,
        }
    }
}

fn about(device_type: &str, callback: &str) -> String {
    format!("callback {callback} of device type {device_type}")
}

/// v1 keeps data and service callbacks in lists of their own.
fn callbacks(value: &Json<'_>) -> Result<Vec<Callback>, String> {
    if let Json::Array(listed) = value {
        return Ok(listed.iter().filter_map(Row::of).map(callback).collect());
    }
    let row = Row::of(value).ok_or("it is no object")?;
    let listed = ["data", "service", "error"].into_iter().flat_map(|key| row.objects(key));
    Ok(listed.map(callback).collect())
}

fn callback(row: Row<'_>) -> Callback {
    Callback {
        id: row.name("id"),
        channel: row.name("channel"),
        callback_type: row.integer("callbackType"),
        callback_subtype: row.integer("callbackSubtype"),
        url: row.name("url").or_else(|| row.name("urlPattern")),
        http_method: row.name("httpMethod"),
        enabled: row.flag("enabled"),
        dead: row.flag("dead"),
        downlink: row.flag("downlinkHook"),
    }
}

/// v2 answers with an object, v1 with a list of identifiers.
fn new_id(value: &Json<'_>) -> Result<String, String> {
    let id = match value {
        Json::Array(ids) => ids.first().and_then(Json::as_str).map(str::to_owned),
        other => Row::of(other).and_then(|row| row.name("id")),
    };
    id.ok_or_else(|| "it names no new callback".to_owned())
}

/// Levels differ in their keys, and the examples from the definitions: `messages` stands for `message`.
pub(super) fn undelivered(value: &Json<'_>) -> Result<Undelivered, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let parameters = row.object("parameters");
    let device = row.name("deviceId").or_else(|| row.reference("device"));
    let seq = parameters
        .and_then(|parameters| parameters.integer("seqNumber"))
        .or_else(|| row.integer("seqNumber"));
    Ok(Undelivered {
        device: device.and_then(|device| device.parse().ok()),
        device_type: row.name("deviceTypeId").or_else(|| row.reference("deviceType")),
        time: row.time("time").ok_or("it has no readable time")?,
        payload: row.text("data").and_then(|data| data.parse().ok()),
        seq: seq.and_then(|seq| u16::try_from(seq).ok()),
        status: row.name("status"),
        message: row.name("message").or_else(|| row.name("messages")),
        url: row.object("callback").and_then(|callback| callback.name("url")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(fixture: &str) -> Vec<Json<'_>> {
        let page: Json<'_> = serde_json::from_str(fixture).unwrap();
        page.as_object().and_then(|page| page.get("data")?.as_array()).unwrap().to_vec()
    }

    #[test]
    fn callbacks_of_both_versions_are_the_same_thing() {
        let read = |fixture| callbacks(&serde_json::from_str(fixture).unwrap()).unwrap();
        let v2 = read(include_str!("../../../tests/fixtures/sigfox-v2/callbacks.json"));
        let v1 = read(include_str!("../../../tests/fixtures/sigfox-v1/callbacks.json"));
        assert_eq!((v2.len(), v1.len()), (2, 1));
        assert_eq!(v1[0].url, v2[0].url);
        assert_eq!((v2[0].downlink, v2[1].dead), (Some(true), Some(true)));
    }

    #[test]
    fn undelivered_callbacks_of_every_level_and_drift() {
        let device = include_str!("../../../tests/fixtures/sigfox-v2/callbacks-not-delivered.json");
        let device: Vec<_> = rows(device).iter().map(|row| undelivered(row).unwrap()).collect();
        assert_eq!((device[0].seq, device[0].status.as_deref()), (Some(512), Some("403")));
        assert_eq!(device[1].message.as_deref(), Some("Internal Server Error"));
        let group = include_str!("../../../tests/fixtures/sigfox-v2/callbacks-not-delivered-group.json");
        let group = undelivered(&rows(group)[0]).unwrap();
        assert_eq!((group.device, group.time), (device[0].device, device[0].time));
    }
}

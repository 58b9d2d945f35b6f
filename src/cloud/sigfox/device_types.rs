//! Device types: what their devices have in common, and their messages.

use reqwest::Method;
use serde_json::{Map, Value};

use super::report::{Kind, Report, report};
use super::wire;
use super::{DeviceType, Message, Sigfox, Window};
use crate::cloud::api::done;
use crate::cloud::{Call, Pages};
use crate::config::SigfoxApi::{V1, V2};

/// What has no counterpart in v2.
const REPORTS_IN_V2: &str =
    "`devices get` tells a device's state, and callbacks of kind `error` report each event";

impl Sigfox {
    /// All device types that the login sees.
    ///
    /// v2 `GET /device-types`, v1 `GET /devicetypes`.
    #[must_use]
    pub fn device_types(&self) -> Pages<DeviceType> {
        self.list(&[self.types()], Vec::new(), self.unit(), "device types".to_owned(), wire::device_type)
    }

    /// One device type.
    ///
    /// v2 `GET /device-types/{id}`, v1 `GET /devicetypes/{id}`.
    #[must_use]
    pub fn device_type(&self, id: &str) -> Call<DeviceType> {
        self.get(&[self.types(), id], format!("device type {id}"), wire::device_type)
    }

    /// Changes what the object names of a device type, in the API's own words: an absent key stays as it is.
    ///
    /// v2 `PUT /device-types/{id}`, v1 `POST /devicetypes/edit` with the id in the body.
    #[must_use]
    pub fn edit_device_type(&self, id: &str, mut change: Map<String, Value>) -> Call<()> {
        let asked = format!("device type {id}");
        match self.version {
            V2 => {
                let path = ["device-types", id];
                self.call(Method::PUT, &path, &[], Some(Value::Object(change)), asked, done)
            }
            V1 => {
                change.insert("id".to_owned(), Value::from(id));
                let path = ["devicetypes", "edit"];
                self.call(Method::POST, &path, &[], Some(Value::Object(change)), asked, done)
            }
        }
    }

    /// The messages of all devices of a type, newest first; v1 includes those of devices that have left it.
    ///
    /// v2 `GET /device-types/{id}/messages`, v1 `GET /devicetypes/{id}/messages`.
    #[must_use]
    pub fn device_type_messages(&self, id: &str, window: Window) -> Pages<Message> {
        let asked = format!("messages of device type {id}");
        self.list(
            &[self.types(), id, "messages"],
            self.message_query(window),
            self.unit(),
            asked,
            wire::message,
        )
    }

    /// Errors of a type's devices, newest first (v1 `GET /devicetypes/{id}/status/error`).
    #[must_use]
    pub fn device_type_errors(&self, id: &str, window: Window) -> Pages<Report> {
        self.reports("device-types errors", &["devicetypes", id], Kind::Error, window, REPORTS_IN_V2)
    }

    /// Warnings of a type's devices, newest first (v1 `GET /devicetypes/{id}/status/warn`).
    #[must_use]
    pub fn device_type_warnings(&self, id: &str, window: Window) -> Pages<Report> {
        self.reports("device-types warnings", &["devicetypes", id], Kind::Warning, window, REPORTS_IN_V2)
    }

    /// Accepts the next message of every device of a type whatever its sequence number.
    ///
    /// v2 `PUT /device-types/{id}/disengage`, v1 `GET /devicetypes/{id}/disengage`.
    #[must_use]
    pub fn disengage_device_type(&self, id: &str) -> Call<()> {
        let method = if self.version == V1 { Method::GET } else { Method::PUT };
        let path = [self.types(), id, "disengage"];
        self.call(method, &path, &[], None, format!("device type {id}"), done)
    }

    /// The reports of devices or device types, times in milliseconds also in v1.
    pub(super) fn reports(
        &self,
        call: &'static str,
        of: &[&str],
        kind: Kind,
        window: Window,
        nearest: &'static str,
    ) -> Pages<Report> {
        let asked = format!("{} of {}", kind.plural(), of.join(" "));
        match self.version {
            V2 => self.no_list(call, nearest, asked, report),
            V1 => {
                let path: Vec<&str> = of.iter().copied().chain(["status", kind.path()]).collect();
                let unit = super::client::Unit::Milliseconds;
                self.list(&path, window.query(unit), unit, asked, report)
            }
        }
    }

    /// Whether a device asked for a downlink is sent on demand only (v2 `fields`).
    pub(super) fn message_query(&self, window: Window) -> Vec<(&'static str, String)> {
        let fields = (self.version == V2).then(|| ("fields", "ackRequired".to_owned()));
        fields.into_iter().chain(window.query(self.unit())).collect()
    }

    pub(super) fn types(&self) -> &'static str {
        match self.version {
            V1 => "devicetypes",
            V2 => "device-types",
        }
    }
}

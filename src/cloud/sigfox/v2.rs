//! What the Sigfox cloud is asked (REST API v2, state of June 2021).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};

use super::wire;
use super::{Device, DeviceType, Message, Position};
use crate::cloud::http::{Http, sensitive};
use crate::cloud::page::Read;
use crate::cloud::{Access, Error, Pages};
use crate::model::{DeviceId, Timestamp};

/// The largest page that the API gives.
const PAGE: u32 = 100;

/// A client of the Sigfox API. Clones share connections and ceilings.
#[derive(Debug, Clone)]
pub struct Sigfox {
    http: Http,
    headers: HeaderMap,
}

/// Which time a list is asked for; an open end is not sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// From this time on (`since`).
    pub since: Option<Timestamp>,
    /// Before this time (`before`).
    pub before: Option<Timestamp>,
}

impl Sigfox {
    /// A client with the login of an API user.
    ///
    /// # Errors
    /// [`Error::Setup`] if the CA cannot be read or the credentials cannot be sent.
    pub fn new(access: &Access, login: &str, password: &SecretString) -> Result<Self, Error> {
        let http = Http::new(access)?;
        let credentials = STANDARD.encode(format!("{login}:{}", password.expose_secret()));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, sensitive(&format!("Basic {credentials}"))?)]);
        Ok(Self { http, headers })
    }

    /// How many requests were made so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// All device types that the login sees (`GET /device-types`).
    #[must_use]
    pub fn device_types(&self) -> Pages<DeviceType> {
        self.list(&["device-types"], &[], "device types".to_owned(), wire::device_type)
    }

    /// The devices of a type (`GET /devices?deviceTypeId=`).
    #[must_use]
    pub fn devices_of_type(&self, device_type: &str) -> Pages<Device> {
        let query = [("deviceTypeId", device_type.to_owned())];
        self.list(&["devices"], &query, format!("devices of device type {device_type}"), wire::device)
    }

    /// All devices that the login sees (`GET /devices`).
    #[must_use]
    pub fn devices(&self) -> Pages<Device> {
        self.list(&["devices"], &[], "devices".to_owned(), wire::device)
    }

    /// The messages of all devices of a type, newest first (`GET /device-types/{id}/messages`).
    #[must_use]
    pub fn device_type_messages(&self, device_type: &str, window: Window) -> Pages<Message> {
        let asked = format!("messages of device type {device_type}");
        self.list(&["device-types", device_type, "messages"], &message_query(window), asked, wire::message)
    }

    /// The messages of one device, newest first (`GET /devices/{id}/messages`; one request a second).
    #[must_use]
    pub fn device_messages(&self, device: DeviceId, window: Window) -> Pages<Message> {
        let asked = format!("messages of device {device}");
        self.list(&["devices", &device.to_string(), "messages"], &message_query(window), asked, wire::message)
    }

    /// Where one device was, newest first (`GET /devices/{id}/locations`).
    #[must_use]
    pub fn device_locations(&self, device: DeviceId, window: Window) -> Pages<Position> {
        let asked = format!("locations of device {device}");
        self.list(
            &["devices", &device.to_string(), "locations"],
            &window_query(window),
            asked,
            wire::position,
        )
    }

    fn list<T>(&self, path: &[&str], query: &[(&str, String)], asked: String, read: Read<T>) -> Pages<T> {
        let limit = ("limit", PAGE.to_string());
        let query: Vec<_> = std::iter::once(limit).chain(query.iter().cloned()).collect();
        let url = self.http.url(path, &query);
        Pages::new(self.http.clone(), self.headers.clone(), url, asked, 1, read)
    }
}

/// `since` and `before` in milliseconds.
fn window_query(window: Window) -> Vec<(&'static str, String)> {
    let bound = |key, time: Option<Timestamp>| time.map(|time| (key, time.as_millis().to_string()));
    [bound("since", window.since), bound("before", window.before)].into_iter().flatten().collect()
}

/// The flag whether a device asked for a downlink is sent on demand only (`fields`).
fn message_query(window: Window) -> Vec<(&'static str, String)> {
    let mut query = vec![("fields", "ackRequired".to_owned())];
    query.extend(window_query(window));
    query
}

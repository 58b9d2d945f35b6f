//! What Soracom is asked.

use std::collections::BTreeMap;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::data::entry;
use super::device::device;
use super::session::{Session, SessionKeeper};
use super::{Device, Entry};
use crate::cloud::api::{Api, Call, Read, Request, done};
use crate::cloud::http::Http;
use crate::cloud::page::Walk;
use crate::cloud::{Access, Error, Pages};
use crate::model::{DownlinkPayload, Timestamp};
use crate::tally::Tally;

/// A list of devices has no documented largest page; this is what other clients ask for.
const DEVICES_A_PAGE: u32 = 100;
/// The largest page of Harvest data (the default is 10).
const ENTRIES_A_PAGE: u32 = 1000;

/// A client of the Soracom API. Clones share connections, ceilings and the session.
#[derive(Debug, Clone)]
pub struct Soracom {
    api: Api,
}

/// Only devices with this tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter {
    /// The tag's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// How the value is compared.
    pub matched: Match,
}

/// How a tag's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is equal.
    Exact,
    /// It begins so.
    Prefix,
}

/// What a registration brings.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The device's porting code.
    pub secret: SecretString,
    /// Its product certificate.
    pub product_certification: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Soracom {
    /// A client with an `AuthKey`, and the session that an earlier one kept.
    ///
    /// # Errors
    /// [`Error::Setup`] if the CA cannot be read.
    pub fn new(
        access: &Access,
        auth_key_id: &str,
        auth_key: &SecretString,
        kept: Option<Session>,
    ) -> Result<Self, Error> {
        let keeper = SessionKeeper::new(auth_key_id, auth_key, kept);
        Ok(Self { api: Api::with_session(Http::new(access)?, keeper) })
    }

    /// The answers so far by their HTTP status, shared; none for requests that were not answered.
    #[must_use]
    pub fn answers(&self) -> Tally<Option<u16>> {
        self.api.http.answers()
    }

    /// How many requests were made so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.api.http.requests()
    }

    /// The current session, to be kept over a restart.
    pub async fn session(&self) -> Option<Session> {
        self.api.session().await
    }

    /// All Sigfox devices (`listSigfoxDevices`).
    #[must_use]
    pub fn devices(&self, filter: Option<&TagFilter>) -> Pages<Device> {
        let mut query = vec![("limit", DEVICES_A_PAGE.to_string())];
        if let Some(filter) = filter {
            let mode = if filter.matched == Match::Prefix { "prefix" } else { "exact" };
            query.extend([
                ("tag_name", filter.name.clone()),
                ("tag_value", filter.value.clone()),
                ("tag_value_match_mode", mode.to_owned()),
            ]);
        }
        self.list(&["sigfox_devices"], &query, "Sigfox devices".to_owned(), device)
    }

    /// One device (`getSigfoxDevice`).
    #[must_use]
    pub fn device(&self, id: &str) -> Call<Device> {
        self.call(Method::GET, &["sigfox_devices", id], None, format!("device {id}"), device)
    }

    /// What Harvest keeps of a device from one time to another, oldest first (`getDataFromSigfoxDevice`); times
    /// are those of storage. Empty if Harvest is off in the device's group.
    #[must_use]
    pub fn data(&self, id: &str, from: Option<Timestamp>, to: Option<Timestamp>) -> Pages<Entry> {
        let bound = |key, time: Option<Timestamp>| time.map(|time| (key, time.as_millis().to_string()));
        let mut query = vec![("sort", "asc".to_owned()), ("limit", ENTRIES_A_PAGE.to_string())];
        query.extend([bound("from", from), bound("to", to)].into_iter().flatten());
        self.list(&["sigfox_devices", id, "data"], &query, format!("data of device {id}"), entry)
    }

    /// Puts eight bytes into a device's one slot (`sendDataToSigfoxDevice`); what waits there is replaced without
    /// a word. Done means accepted, not delivered.
    #[must_use]
    pub fn send(&self, id: &str, data: DownlinkPayload) -> Call<()> {
        let body = json!({ "data": data.to_string() });
        self.call(Method::POST, &["sigfox_devices", id, "data"], Some(body), format!("device {id}"), done)
    }

    /// Registers a device (`registerSigfoxDevice`).
    #[must_use]
    pub fn register(&self, id: &str, registration: &Registration) -> Call<Device> {
        let mut body = Map::new();
        body.insert("registrationSecret".to_owned(), Value::from(registration.secret.expose_secret()));
        body.insert("tags".to_owned(), json!(registration.tags));
        if let Some(certification) = &registration.product_certification {
            body.insert("productCertificationId".to_owned(), Value::from(certification.as_str()));
        }
        let body = Value::Object(body);
        self.change(id, "register", Some(body))
    }

    /// Puts a device into a group (`setSigfoxDeviceGroup`).
    #[must_use]
    pub fn set_group(&self, id: &str, group: &str) -> Call<Device> {
        self.change(id, "set_group", Some(json!({ "groupId": group })))
    }

    /// Takes a device out of its group (`unsetSigfoxDeviceGroup`).
    #[must_use]
    pub fn unset_group(&self, id: &str) -> Call<Device> {
        self.change(id, "unset_group", None)
    }

    /// Permits a device's termination (`enableTerminationOnSigfoxDevice`).
    #[must_use]
    pub fn enable_termination(&self, id: &str) -> Call<Device> {
        self.change(id, "enable_termination", None)
    }

    /// Forbids a device's termination (`disableTerminationOnSigfoxDevice`).
    #[must_use]
    pub fn disable_termination(&self, id: &str) -> Call<Device> {
        self.change(id, "disable_termination", None)
    }

    /// Terminates a device for good (`terminateSigfoxDevice`), at the end of the month or at once.
    #[must_use]
    pub fn terminate(&self, id: &str, at_once: bool) -> Call<Device> {
        let query = [("delete_immediately", at_once.to_string())];
        let url = self.api.http.url(&["sigfox_devices", id, "terminate"], &query);
        let request = Request { method: Method::POST, url, body: None, asked: format!("device {id}") };
        Call::new(&self.api, request, device)
    }

    /// Adds or changes tags (`putSigfoxDeviceTags`).
    #[must_use]
    pub fn put_tags(&self, id: &str, tags: &BTreeMap<String, String>) -> Call<Device> {
        let tags: Vec<Value> =
            tags.iter().map(|(name, value)| json!({ "tagName": name, "tagValue": value })).collect();
        let path = ["sigfox_devices", id, "tags"];
        self.call(Method::PUT, &path, Some(Value::from(tags)), format!("device {id}"), device)
    }

    /// Takes a tag away (`deleteSigfoxDeviceTag`).
    #[must_use]
    pub fn delete_tag(&self, id: &str, tag: &str) -> Call<()> {
        let path = ["sigfox_devices", id, "tags", tag];
        self.call(Method::DELETE, &path, None, format!("tag {tag} of device {id}"), done)
    }

    fn change(&self, id: &str, verb: &str, body: Option<Value>) -> Call<Device> {
        self.call(Method::POST, &["sigfox_devices", id, verb], body, format!("device {id}"), device)
    }

    fn call<T>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
        asked: String,
        read: Read<T>,
    ) -> Call<T> {
        let url = self.api.http.url(path, &[]);
        Call::new(&self.api, Request { method, url, body, asked }, read)
    }

    fn list<T>(&self, path: &[&str], query: &[(&str, String)], asked: String, read: Read<T>) -> Pages<T> {
        let url = self.api.http.url(path, query);
        Pages::new(&self.api, url, asked, Walk::Key, read)
    }
}

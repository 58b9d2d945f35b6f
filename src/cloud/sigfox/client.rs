//! The client itself: who asks, which version, and how paths and windows of time are written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::cloud::api::{Api, Call, Read, Request};
use crate::cloud::http::{Http, sensitive};
use crate::cloud::page::Walk;
use crate::cloud::{Access, Error, Pages};
use crate::config::SigfoxApi;
use crate::model::Timestamp;
use crate::tally::Tally;

/// The largest page that the API gives.
const PAGE: u32 = 100;

/// A client of the Sigfox API. Clones share connections and ceilings.
#[derive(Debug, Clone)]
pub struct Sigfox {
    api: Api,
    pub(super) version: SigfoxApi,
}

/// Which time a list is asked for; an open end is not sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// From this time on (`since`).
    pub since: Option<Timestamp>,
    /// Before this time (`before`).
    pub before: Option<Timestamp>,
}

/// The unit of `since` and `before` of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

impl Unit {
    fn ms(self) -> i64 {
        match self {
            Self::Seconds => 1000,
            Self::Milliseconds => 1,
        }
    }
}

pub(super) type Query = Vec<(&'static str, String)>;

impl Sigfox {
    /// A client with the login of an API user (v2) or a group (v1).
    ///
    /// # Errors
    /// [`Error::Setup`] if the CA cannot be read or the credentials cannot be sent.
    pub fn new(
        access: &Access,
        version: SigfoxApi,
        login: &str,
        password: &SecretString,
    ) -> Result<Self, Error> {
        let http = Http::new(access)?;
        let credentials = STANDARD.encode(format!("{login}:{}", password.expose_secret()));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, sensitive(&format!("Basic {credentials}"))?)]);
        Ok(Self { api: Api::with_headers(http, headers), version })
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

    /// Which version of the API is asked.
    #[must_use]
    pub fn version(&self) -> SigfoxApi {
        self.version
    }

    /// The unit of times in most lists of messages.
    pub(super) fn unit(&self) -> Unit {
        match self.version {
            SigfoxApi::V1 => Unit::Seconds,
            SigfoxApi::V2 => Unit::Milliseconds,
        }
    }

    pub(super) fn list<T>(
        &self,
        path: &[&str],
        query: Query,
        unit: Unit,
        asked: String,
        read: Read<T>,
    ) -> Pages<T> {
        let mut with_limit = vec![("limit", PAGE.to_string())];
        with_limit.extend(query);
        let url = self.api.http.url(path, &with_limit);
        let pages = Pages::new(&self.api, url, asked, Walk::Link { unit_ms: unit.ms() }, read);
        // The description of v2 writes its collections with a slash; live clients do without.
        if self.version == SigfoxApi::V2 && path.len() == 1 { pages.or_with_slash() } else { pages }
    }

    /// A list that only the other version has.
    pub(super) fn no_list<T>(
        &self,
        call: &'static str,
        nearest: &'static str,
        asked: String,
        read: Read<T>,
    ) -> Pages<T> {
        let error = Error::Unsupported { call, api: self.api_name(), nearest };
        self.list(&[], Vec::new(), self.unit(), asked, read).refusing(error)
    }

    pub(super) fn call<T>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Value>,
        asked: String,
        read: Read<T>,
    ) -> Call<T> {
        let url = self.api.http.url(path, query);
        Call::new(&self.api, Request { method, url, body, asked }, read)
    }

    pub(super) fn get<T>(&self, path: &[&str], asked: String, read: Read<T>) -> Call<T> {
        self.call(Method::GET, path, &[], None, asked, read)
    }

    /// A call that only the other version has.
    pub(super) fn no_call<T>(&self, call: &'static str, nearest: &'static str) -> Call<T> {
        Call::unsupported(call, self.api_name(), nearest)
    }

    fn api_name(&self) -> &'static str {
        match self.version {
            SigfoxApi::V1 => "the Sigfox API v1",
            SigfoxApi::V2 => "the Sigfox API v2",
        }
    }
}

impl Window {
    pub(super) fn query(self, unit: Unit) -> Query {
        let bound =
            |key, time: Option<Timestamp>| time.map(|time| (key, (time.as_millis() / unit.ms()).to_string()));
        // In seconds the end is rounded up, lest what happened within its second be left out.
        let before = self.before.map(|time| match unit {
            Unit::Seconds if time.as_millis() % 1000 != 0 => time.plus(std::time::Duration::from_secs(1)),
            _ => time,
        });
        [bound("since", self.since), bound("before", before)].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_written_in_the_unit_of_its_list() {
        let window = Window { since: Timestamp::from_millis(1_500), before: Timestamp::from_millis(2_500) };
        let written = |unit| window.query(unit).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(written(Unit::Milliseconds), ["1500", "2500"]);
        assert_eq!(written(Unit::Seconds), ["1", "3"]);
        assert!(Window::default().query(Unit::Seconds).is_empty());
    }
}

//! The one HTTP client: timeouts, bounded bodies, redirects within the host, credentials marked sensitive,
//! and statuses turned into decisions. It knows no API.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, redirect};
use serde_json::Value;
use url::Url;

use super::limit::Limits;
use super::refusal::{http_date, refusal, used_up};
use super::{Access, Error};
use crate::model::Timestamp;
use crate::tally::Tally;

/// A page of 100 messages is about 100 kB; whatever is larger than this is no page.
const LARGEST_ANSWER: usize = 16 << 20;
/// Of an error only the first sentence is read.
const LARGEST_ERROR: usize = 64 << 10;
const CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
/// After a 429 that says no time, as other clients do.
const UNSAID_PAUSE: Duration = Duration::from_secs(1);

/// The client of one API. Clones share connections, ceilings and the count of requests.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    timeout: Duration,
    limits: Arc<Limits>,
    /// What every request carries besides its own.
    headers: HeaderMap,
    answers: Tally<Option<u16>>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Content>,
    /// What it is about, for people: "device 1A2B3C".
    pub(super) asked: &'a str,
}

/// What goes with a request.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Json(Value),
    /// Fields of a form, encoded.
    Form(String),
}

/// What came back with a 2xx.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Where the link to a next page leads.
#[derive(Debug)]
pub(super) enum NextUrl {
    Own(Url),
    Foreign(String),
    Unreadable,
}

impl Answer {
    /// What the cloud's clock said when it answered.
    pub(super) fn date(&self) -> Option<Timestamp> {
        http_date(self.headers.get(reqwest::header::DATE)?)
    }
}

impl Http {
    pub(super) fn new(access: &Access) -> Result<Self, Error> {
        let setup = |what: &str, why: &dyn std::fmt::Display| Error::Setup(format!("{what}: {why}"));
        install_tls_provider();
        let base = access.url.clone();
        let here = base.clone();
        let within_the_host = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > 5 || !same_host(&here, attempt.url()) {
                attempt.stop()
            } else {
                attempt.follow()
            }
        });
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sigfox2mqtt/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(access.timeout))
            .timeout(access.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(2)
            .redirect(within_the_host);
        // A proxy of the environment is for the Internet, not for this machine.
        if base.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]")) {
            builder = builder.no_proxy();
        }
        if base.scheme() == "http" {
            // Nothing is encrypted and no redirect changes the scheme: a machine without certificates will do.
            builder = builder.tls_certs_only([]);
        } else if access.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(file) = &access.ca_file {
            let pem = std::fs::read(file).map_err(|error| setup(&file.display().to_string(), &error))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|error| setup(&file.display().to_string(), &error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| setup("the HTTP client", &root_cause(&error)))?;
        let limits = Arc::new(Limits::new(access.rate));
        let (answers, headers) = (Tally::default(), HeaderMap::new());
        Ok(Self { client, base, timeout: access.timeout, limits, answers, headers })
    }

    /// With a header that every request carries.
    pub(super) fn with_header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// How many requests came to an end so far.
    pub(super) fn requests(&self) -> u64 {
        self.answers.sum()
    }

    /// The answers by their HTTP status; none for requests that were not answered.
    pub(super) fn answers(&self) -> Tally<Option<u16>> {
        self.answers.clone()
    }

    /// The address of a path below the API's, with a query.
    pub(super) fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Where the link to a next page leads: credentials go to this API's own host only.
    pub(super) fn next_url(&self, next: &str) -> NextUrl {
        let absolute = next.parse::<Url>().ok();
        let relative = || self.base.join(next).ok().filter(|_| next.starts_with(['/', '?']));
        match absolute.or_else(relative) {
            Some(url) if same_host(&self.base, &url) => NextUrl::Own(url),
            Some(url) => NextUrl::Foreign(url.host_str().unwrap_or_default().to_owned()),
            None => NextUrl::Unreadable,
        }
    }

    /// Makes a request once; every answer but a 2xx is an error.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<Answer, Error> {
        let Ask { method, url, headers, body, asked } = ask;
        if let Err(left) = self.limits.admit(&method, url.path()).await {
            return Err(Error::RateLimited { asked: asked.to_owned(), after: Some(left) });
        }
        let path = url.path().to_owned();
        let mut request = self.client.request(method, url).headers(self.headers.clone()).headers(headers);
        request = match body {
            Some(Content::Json(body)) => request.json(&body),
            Some(Content::Form(body)) => {
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
            None => request,
        };
        let unanswered = |error: &reqwest::Error| Error::Retry {
            asked: asked.to_owned(),
            why: in_words(error, self.timeout),
            after: None,
            answered: false,
        };
        let response = request.send().await;
        self.answers.count(response.as_ref().ok().map(|response| response.status().as_u16()));
        let response = response.map_err(|error| unanswered(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(refresh) = used_up(&headers) {
            self.limits.used_up(&path, refresh);
        }
        let largest = if status.is_success() { LARGEST_ANSWER } else { LARGEST_ERROR };
        let mut read = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) if read.len() + chunk.len() <= largest => read.extend_from_slice(&chunk),
                Ok(_too_much) if status.is_success() => {
                    let why = format!("it is larger than {} MiB", LARGEST_ANSWER >> 20);
                    return Err(Error::Malformed { asked: asked.to_owned(), why });
                }
                Ok(_rest_of_an_error) => break,
                Err(error) if status.is_success() => return Err(unanswered(&error)),
                Err(_cut_error) => break,
            }
        }
        if status.is_success() {
            return Ok(Answer { headers, body: read });
        }
        let error = refusal(status, &headers, &read, asked);
        if let Error::RateLimited { after, .. } = &error {
            self.limits.pause(after.unwrap_or(UNSAID_PAUSE));
        }
        Err(error)
    }
}

/// The daemon installs its provider first of all; who uses the library alone gets the same one.
fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race to another thread means that one is installed.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

fn same_host(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The reason without the address, which may carry what a person would not print.
fn in_words(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        let waited = if error.is_connect() { CONNECT.min(timeout) } else { timeout };
        return format!("timeout after {} s", waited.as_secs());
    }
    let cause = root_cause(error);
    if cause.contains("peer certificate") {
        format!("{cause}; `ca_file` names a private authority")
    } else {
        cause
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().chars().filter(|char| !char.is_control()).take(200).collect()
}

/// A header that no log prints.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text)
        .ok()
        .ok_or_else(|| Error::Setup("the credentials hold characters that no HTTP header can".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_same_only_with_scheme_and_port() {
        let base: Url = "https://api.sigfox.com/v2".parse().unwrap();
        for (other, same) in [
            ("https://api.sigfox.com/v2/devices?pageId=1", true),
            ("https://api.sigfox.com:443/v2", true),
            ("http://api.sigfox.com/v2", false),
            ("https://api.sigfox.com:8443/v2", false),
            ("https://attacker.example/v2", false),
            ("https://api.sigfox.com@attacker.example/v2", false),
        ] {
            assert_eq!(same_host(&base, &other.parse().unwrap()), same, "{other}");
        }
    }
}

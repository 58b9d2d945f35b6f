//! A client of one space: where things lie, and the calls of Things.

use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::thing::thing;
use super::{Thing, TokenKeeper};
use crate::cloud::api::{Api, Call, Read, Request, done};
use crate::cloud::http::Http;
use crate::cloud::page::Walk;
use crate::cloud::{Access, Error, Pages};

/// The largest page of any list.
pub(super) const A_PAGE: u32 = 1000;

/// Who asks, and of which space.
#[derive(Debug, Clone)]
pub struct Login {
    /// The space.
    pub space: String,
    /// The client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Value of a `Prefer` header, where the service asks for one.
    pub prefer: Option<String>,
}

impl From<&crate::config::Mirror> for Login {
    fn from(mirror: &crate::config::Mirror) -> Self {
        Self {
            space: mirror.space.clone(),
            client_id: mirror.client_id.clone(),
            client_secret: mirror.client_secret.clone(),
            prefer: mirror.prefer.clone(),
        }
    }
}

/// A client of a space. Clones share connections, ceilings and the token.
#[derive(Debug, Clone)]
pub struct Altair {
    api: Api,
    space: String,
}

/// Which Things are asked for.
#[derive(Debug, Clone, Default)]
pub struct ThingFilter {
    /// Of this category only.
    pub category: Option<String>,
    /// With this `@type`.
    pub r#type: Option<String>,
    /// With these values of properties: name, and `OP:VALUE` with `eq neq gt gte lt lte contains`.
    pub properties: Vec<(String, String)>,
    /// Further parameters in the API's own names.
    pub query: Vec<(String, String)>,
}

impl Altair {
    /// A client that asks for tokens of this scope (`thing`, or more words between blanks).
    ///
    /// # Errors
    /// [`Error::Setup`] if the CA cannot be read or `prefer` holds what no header can.
    pub fn new(access: &Access, login: &Login, scope: &str) -> Result<Self, Error> {
        let prefer = login.prefer.as_deref().map(HeaderValue::from_str).transpose();
        let prefer = prefer
            .ok()
            .ok_or_else(|| Error::Setup("`prefer` holds characters that no HTTP header can".to_owned()))?;
        let http = Http::new(access)?.with_header(reqwest::header::HeaderName::from_static("prefer"), prefer);
        let api = Api::with_token(http, TokenKeeper::new(login, scope));
        Ok(Self { api, space: login.space.clone() })
    }

    /// How many requests were made so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.api.http.requests()
    }

    /// Gives the current token back (`POST /oauth2/revoke`); says whether there was one. The next call asks for
    /// another.
    ///
    /// # Errors
    /// As [`Error`] says, by what is to be done about it.
    pub async fn revoke(&self) -> Result<bool, Error> {
        self.api.revoke().await
    }

    /// Asks for a token, where there is none that still lives.
    ///
    /// # Errors
    /// As [`Error`] says, by what is to be done about it.
    pub async fn log_in(&self) -> Result<(), Error> {
        self.api.log_in().await
    }

    /// The Things of the space (`GET …/things`).
    #[must_use]
    pub fn things(&self, filter: &ThingFilter) -> Pages<Thing> {
        let mut query: Vec<(String, String)> = vec![("limit".to_owned(), A_PAGE.to_string())];
        query.extend(filter.r#type.iter().map(|value| ("@type".to_owned(), value.clone())));
        query.extend(
            filter.properties.iter().map(|(name, value)| (format!("property:{name}"), value.clone())),
        );
        query.extend(filter.query.iter().cloned());
        let query: Vec<(&str, String)> =
            query.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        match &filter.category {
            Some(category) => {
                let asked = format!("Things of category {category}");
                self.list(&["categories", category, "things"], &query, asked, thing)
            }
            None => self.list(&["things"], &query, format!("Things of space {}", self.space), thing),
        }
    }

    /// One Thing (`GET …/things/{id}`).
    #[must_use]
    pub fn thing(&self, uid: &str) -> Call<Thing> {
        self.call(Method::GET, &["things", uid], None, about(uid), thing)
    }

    /// Makes a Thing of a description (`POST …/things`), in a category where one is named. Not idempotent: look for
    /// it first.
    #[must_use]
    pub fn create_thing(&self, category: Option<&str>, description: Value) -> Call<Thing> {
        let path = match category {
            Some(category) => vec!["categories", category, "things"],
            None => vec!["things"],
        };
        let asked = category.map_or_else(
            || format!("space {}", self.space),
            |category| format!("category {category} of space {}", self.space),
        );
        self.call(Method::POST, &path, Some(description), asked, thing)
    }

    /// Changes a Thing's description step by step (`PATCH …/things/{id}`, RFC 6902).
    #[must_use]
    pub fn patch_thing(&self, uid: &str, steps: Value) -> Call<Thing> {
        self.call(Method::PATCH, &["things", uid], Some(steps), about(uid), thing)
    }

    /// Deletes a Thing with all that it holds (`DELETE …/things/{id}`).
    #[must_use]
    pub fn delete_thing(&self, uid: &str) -> Call<()> {
        self.call(Method::DELETE, &["things", uid], None, about(uid), done)
    }

    /// Makes a secret for a Thing's own client (`POST …/things/{id}/reset-secret`).
    #[must_use]
    pub fn reset_secret(&self, uid: &str) -> Call<Map<String, Value>> {
        let read: Read<Map<String, Value>> =
            |value| value.as_object().map(Map::from).ok_or_else(|| "it is no object".to_owned());
        self.call(Method::POST, &["things", uid, "reset-secret"], Some(json!({})), about(uid), read)
    }

    pub(super) fn call<T>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
        asked: String,
        read: Read<T>,
    ) -> Call<T> {
        self.call_with_query(method, path, &[], body, asked, read)
    }

    pub(super) fn call_with_query<T>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Value>,
        asked: String,
        read: Read<T>,
    ) -> Call<T> {
        if path.iter().any(|segment| leads_elsewhere(segment)) {
            return Call::failing(Error::NotFound { asked });
        }
        let url = self.api.http.url(&[&["spaces", self.space.as_str()], path].concat(), query);
        Call::new(&self.api, Request { method, url, body, asked }, read)
    }

    pub(super) fn list<T>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        asked: String,
        read: Read<T>,
    ) -> Pages<T> {
        let is_wrong = path.iter().any(|segment| leads_elsewhere(segment));
        let url = self.api.http.url(&[&["spaces", self.space.as_str()], path].concat(), query);
        let pages = Pages::new(&self.api, url, asked.clone(), Walk::Cursor, read);
        if is_wrong { pages.refusing(Error::NotFound { asked }) } else { pages }
    }
}

/// What a Thing is called in errors.
pub(super) fn about(uid: &str) -> String {
    format!("Thing {uid}")
}

/// An address drops such a segment, or goes up: a call of one Thing would become one of all.
fn leads_elsewhere(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

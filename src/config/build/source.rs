//! Rules for `[sources.NAME]`: how to get into each kind of cloud, and which keys only one kind has.

use secrecy::SecretString;
use url::Url;

use super::super::path::KeyPath;
use super::super::problem::Place;
use super::super::reader::{Reader, Table};
use super::super::value::{Value, quote};
use super::super::{DownlinkVia, Filter, SigfoxApi, Source, SourceKind};
use crate::model::SourceName;

/// Keys that only one kind of cloud has.
const ONLY: [(&str, &str); 9] = [
    ("sigfox", "api"),
    ("sigfox", "login"),
    ("sigfox", "password"),
    ("sigfox", "direct_group"),
    ("sigfox", "callback_token"),
    ("sigfox", "callback_batch"),
    ("soracom", "coverage"),
    ("soracom", "auth_key_id"),
    ("soracom", "auth_key"),
];

pub(super) fn sources(reader: &mut Reader<'_>) -> Vec<Source> {
    let all = KeyPath::of("sources");
    let named = reader.settings.tables_in(&all);
    if named.is_empty() {
        let place = reader.settings.table(&all).cloned().unwrap_or(Place::Default);
        reader.missing(place, &all, "at least one table such as [sources.factory]");
    }
    let listens = reader.settings.table(&KeyPath::of("http")).is_some();
    named.into_iter().filter_map(|(name, place)| source(reader, &name, place, listens)).collect()
}

fn source(reader: &mut Reader<'_>, name: &str, place: Place, listens: bool) -> Option<Source> {
    let path = KeyPath::of("sources").join(name);
    let parsed = name.parse::<SourceName>();
    if parsed.is_err() {
        reader.problems.add(
            place,
            &path,
            format!("{} is no name, expected 1 to 32 of a-z 0-9 _ -", quote(name)),
        );
    }
    let mut table = reader.table(path);
    let kind_name = table.required("kind", "\"sigfox\" or \"soracom\"");
    let kind = kind_name.as_deref().and_then(|kind| kind_of(&mut table, kind));
    if let Some(kind) = kind_name.as_deref() {
        derive_defaults(&mut table, kind);
        check_keys_of_other_kinds(&mut table, kind);
    }
    let callback_token = table.secret("callback_token");
    let downlink = kind_name.as_deref().and_then(|kind| downlink(&mut table, kind, listens));
    check_url(&mut table, callback_token.as_ref(), listens);
    let callback_batch = table.text("callback_batch");
    if let Some(fault) = callback_batch.as_deref().and_then(crate::http::batch_pattern_fault) {
        table.problem(
            "callback_batch",
            format!("{fault}, expected a pattern such as \"{{device}};{{data}};\""),
        );
    }
    let ca_file = table.file("ca_file");
    let filter = filter(&mut table);
    Some(Source {
        name: parsed.ok()?,
        kind: kind?,
        url: without_slash(table.url("url")?),
        insecure: table.boolean("insecure")?,
        ca_file,
        poll: table.schedule("poll")?,
        locations: table.schedule("locations")?,
        inventory: table.schedule("inventory")?,
        resync: table.schedule("resync")?,
        backfill: table.duration("backfill")?,
        overlap: table.duration("overlap")?,
        filter,
        rate: table.rate("rate")?,
        timeout: table.duration("timeout")?,
        downlink: downlink?,
        direct_group: table.boolean("direct_group")?,
        callback_token,
        callback_batch,
    })
}

fn kind_of(table: &mut Table<'_, '_>, kind: &str) -> Option<SourceKind> {
    if kind == "soracom" {
        let auth_key_id = table.required("auth_key_id", "the id of a Soracom key, such as \"keyId-…\"");
        let auth_key = table.required_secret("auth_key", "the Soracom key");
        return Some(SourceKind::Soracom { auth_key_id: auth_key_id?, auth_key: auth_key? });
    }
    let login = table.required("login", "the login of the API's user");
    let password = table.required_secret("password", "the password of the API's user");
    let api = if table.text("api")? == "v1" { SigfoxApi::V1 } else { SigfoxApi::V2 };
    Some(SourceKind::Sigfox { api, login: login?, password: password? })
}

/// Where the clouds' APIs are: their own documents name these addresses.
fn derive_defaults(table: &mut Table<'_, '_>, kind: &str) {
    let choice = |key: &str, other: &str| table.text(key).as_deref() == Some(other);
    let url = match kind {
        "soracom" if choice("coverage", "global") => "https://g.api.soracom.io/v1",
        "soracom" => "https://api.soracom.io/v1",
        _ if choice("api", "v1") => "https://backend.sigfox.com/api",
        _ => "https://api.sigfox.com/v2",
    };
    if let Ok(url) = Url::parse(url) {
        table.default("url", Value::Url(url));
    }
    let via = match kind {
        "soracom" => "soracom",
        _ if table.is_written("callback_token") => "callback",
        _ => "none",
    };
    table.default("downlink", Value::Text(via.to_owned()));
}

fn check_keys_of_other_kinds(table: &mut Table<'_, '_>, kind: &str) {
    for (owner, key) in ONLY.into_iter().filter(|(owner, _)| *owner != kind) {
        if table.is_written(key) {
            table.problem(
                key,
                format!("belongs to sources of kind `{owner}`, expected none with kind `{kind}`"),
            );
        } else if key != "direct_group" {
            table.drop_default(key);
        }
    }
}

fn downlink(table: &mut Table<'_, '_>, kind: &str, listens: bool) -> Option<DownlinkVia> {
    let via = match table.text("downlink")?.as_str() {
        "callback" => DownlinkVia::Callback,
        "direct" => DownlinkVia::Direct,
        "soracom" => DownlinkVia::Soracom,
        _ => DownlinkVia::None,
    };
    match (kind, via) {
        ("soracom", DownlinkVia::Callback | DownlinkVia::Direct) => {
            table.problem("downlink", "is not for kind `soracom`, expected soracom or none");
        }
        ("sigfox", DownlinkVia::Soracom) => {
            table.problem("downlink", "is not for kind `sigfox`, expected callback, direct or none");
        }
        (_, DownlinkVia::Callback) if !table.is_written("callback_token") => {
            table.missing("callback_token", "the secret of the callbacks that `downlink = \"callback\"` waits for, here or in `callback_token_file`");
        }
        (_, DownlinkVia::Callback) if !listens => {
            table.warning("downlink", "waits for callbacks, but there is no [http] that listens for them");
        }
        _ => {}
    }
    Some(via)
}

fn check_url(table: &mut Table<'_, '_>, callback_token: Option<&SecretString>, listens: bool) {
    warn_of_exposure(table);
    let waits = table.text("downlink").as_deref() == Some("callback");
    if callback_token.is_some() && !listens && !waits {
        table.warning("callback_token", "is for callbacks, but there is no [http] that listens for them");
    }
}

/// Warns of credentials that others on the way may read.
pub(super) fn warn_of_exposure(table: &mut Table<'_, '_>) {
    let local = |url: &Url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if table.url("url").is_some_and(|url| url.scheme() == "http" && !local(&url)) {
        table.warning("url", "sends the password unencrypted, expected https");
    }
    if table.boolean("insecure") == Some(true) {
        table.warning("insecure", "lets anybody on the way read and change what the cloud says");
    }
}

fn filter(table: &mut Table<'_, '_>) -> Filter {
    Filter {
        device_types: table.texts("device_types").unwrap_or_default(),
        devices: table.device_patterns("devices").unwrap_or_default(),
        except_devices: table.device_patterns("except_devices").unwrap_or_default(),
    }
}

pub(super) fn without_slash(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

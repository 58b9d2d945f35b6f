//! Rules for `[mqtt]` and `[mqtt.discovery]`.

use super::super::path::KeyPath;
use super::super::reader::{Reader, Table};
use super::super::value::quote;
use super::super::{Discovery, DiscoveryMode, Mqtt, Protocol, keys};

/// The verbs of `bridge/request` (docs/mqtt.md, Requests).
pub const REQUEST_VERBS: [&str; 17] = [
    "health",
    "sync",
    "device/get",
    "device/list",
    "device/rename",
    "device/forget",
    "history",
    "replay",
    "downlink/list",
    "outbox/list",
    "outbox/retry",
    "outbox/drop",
    "decode",
    "discovery/publish",
    "discovery/clear",
    "log_level",
    "config/reload",
];

pub(super) fn mqtt(reader: &mut Reader<'_>) -> Option<Mqtt> {
    let discovery = discovery(reader);
    let mut table = reader.table(KeyPath::of("mqtt"));
    check_url(&mut table);
    check_verbs(&mut table);
    let username = table.text("username");
    let password = table.secret("password");
    if table.is_written("password") && !table.is_written("username") {
        table.problem("password", "is given without `username`, expected both or neither");
    }
    let ca_file = table.file("ca_file");
    let client_certificate = table.file_pair("cert_file", "key_file");
    Some(Mqtt {
        url: table.url("url")?,
        protocol: if table.integer::<u8>("protocol")? == 4 { Protocol::V4 } else { Protocol::V5 },
        username,
        password,
        ca_file,
        client_certificate,
        base: table.text("base")?,
        max_inflight: table.integer("max_inflight")?,
        attributes: table.boolean("attributes")?,
        requests: table.texts("requests"),
        discovery: discovery?,
    })
}

fn discovery(reader: &mut Reader<'_>) -> Option<Discovery> {
    let table = reader.table(KeyPath::of("mqtt.discovery"));
    let mode = match table.text("mode")?.as_str() {
        "component" => DiscoveryMode::Component,
        "off" => DiscoveryMode::Off,
        _ => DiscoveryMode::Device,
    };
    Some(Discovery { mode, prefix: table.text("prefix")? })
}

fn check_url(table: &mut Table<'_, '_>) {
    let Some(url) = table.url("url") else { return };
    let web = matches!(url.scheme(), "ws" | "wss");
    if !web && !matches!(url.path(), "" | "/") {
        table.problem(
            "url",
            format!("{} has a path, expected {}://HOST:PORT", quote(url.as_str()), url.scheme()),
        );
    }
    if url.scheme() != "embedded" {
        return;
    }
    if !cfg!(feature = "embedded-broker") {
        table.problem("url", "asks for the built-in broker, which this program was built without");
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    match host.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_loopback() => {}
        Ok(_) => table.warning("url", "lets anybody who can reach this host use the built-in broker"),
        Err(_name) if host == "localhost" => {}
        Err(_name) => {
            table.problem(
                "url",
                format!("{} is no address, expected embedded://127.0.0.1:1883", quote(&host)),
            );
        }
    }
}

fn check_verbs(table: &mut Table<'_, '_>) {
    let known: Vec<String> = REQUEST_VERBS.iter().map(|verb| (*verb).to_owned()).collect();
    for verb in table.texts("requests").unwrap_or_default() {
        if !known.contains(&verb) {
            let (near, _) = keys::nearest(&verb, &known).unwrap_or_default();
            let message = format!("{} is no request, the nearest one is `{near}`", quote(&verb));
            table.problem("requests", message);
        }
    }
}

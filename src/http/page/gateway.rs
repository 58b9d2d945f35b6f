//! The page of the gateway itself: how it does, what waits for the broker and what it refused, the settings in effect.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::frame::{Page, Tab};
use super::words;
use crate::model::Timestamp;
use crate::store::Parked;

/// How many events that the broker refused are shown.
const PARKED: usize = 20;

/// What is shown of `bridge/health`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    uptime_s: u64,
    memory_bytes: Option<u64>,
    store_bytes: Option<u64>,
    store_error: Option<String>,
    outbox: Option<Outbox>,
    devices: u64,
}

#[derive(Debug, Deserialize)]
struct Outbox {
    depth: u64,
    oldest: Option<Timestamp>,
}

/// What is shown of `bridge/info`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    version: String,
    contract: u64,
    gateway: String,
    features: Vec<String>,
    restart_required: bool,
    settings: Map<String, Value>,
}

/// What the page is made from.
pub(super) struct Told {
    pub(super) info: Option<Value>,
    /// The answer to a request for it, or why there is none.
    pub(super) health: Result<Value, String>,
    pub(super) parked: Vec<Parked>,
    pub(super) may_write: bool,
    /// Why a command was not done.
    pub(super) refusal: Option<String>,
}

/// The page.
pub(super) fn page(told: Told, now: Timestamp) -> Page {
    let Told { info, health, parked, may_write, refusal } = told;
    let info: Info = info.and_then(|info| serde_json::from_value(info).ok()).unwrap_or_default();
    let health =
        health.and_then(|health| serde_json::from_value::<Health>(health).map_err(|error| error.to_string()));
    let body = html! {
        div.heading { h1 { "Gateway " (info.gateway) } }
        @if let Some(why) = refusal { p.alert role="alert" { (why) } }
        @if info.restart_required {
            p.alert { "The configuration on the disk says something that only a restart brings into effect." }
        }
        @match health {
            Ok(health) => (tiles(&health, now)),
            Err(why) => p.alert { "How it does cannot be told: " (why) },
        }
        (refused(&parked, may_write, now))
        (about(&info))
    };
    Page::new("Gateway", Tab::Gateway, body)
}

/// The command that a form of this page stands for: its topic below the base, and its body.
pub(super) fn command(form: &[(String, String)]) -> Option<(&'static str, Value)> {
    let text = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let topic = match text("verb")? {
        "retry" => "bridge/request/outbox/retry",
        "drop" => "bridge/request/outbox/drop",
        _ => return None,
    };
    let number: u64 = text("number")?.parse().ok()?;
    Some((topic, json!({ "number": number })))
}

fn tiles(health: &Health, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="health" {
            h2 #health { "Health" }
            @if let Some(error) = &health.store_error { p.alert { "The store: " (error) } }
            dl.tiles {
                (tile("Running for", &words::span(health.uptime_s)))
                (tile("Devices", &health.devices.to_string()))
                @if let Some(bytes) = health.store_bytes { (tile("Store", &words::size(bytes))) }
                @if let Some(bytes) = health.memory_bytes { (tile("Memory", &words::size(bytes))) }
                @if let Some(outbox) = &health.outbox {
                    div {
                        dt { "Waiting for the broker" }
                        dd {
                            span.number data-value="outbox" { (outbox.depth) }
                            @if let Some(oldest) = outbox.oldest { small.about { "oldest " (words::when(oldest, now)) } }
                        }
                    }
                }
            }
        }
    }
}

fn tile(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { span.number { (value) } } } }
}

fn refused(parked: &[Parked], may_write: bool, now: Timestamp) -> Markup {
    html! {
        @if !parked.is_empty() {
            section aria-labelledby="parked" {
                h2 #parked { "Refused by the broker" }
                p.summary { strong.bad { (parked.len()) } " set aside, so that what comes after them is not held up." }
                table.cards {
                    thead { tr {
                        th scope="col" { "Topic" }
                        th scope="col" { "Why" }
                        th scope="col" { "Since" }
                        @if may_write { th scope="col" { span.unseen { "Action" } } }
                    } }
                    tbody { @for one in parked.iter().take(PARKED) {
                        tr id={ "p-" (one.number) } {
                            th scope="row" { code.data { (one.topic) } }
                            td data-label="Why" { (one.reason) }
                            td data-label="Since" { (words::when(one.since, now)) }
                            @if may_write { td.end { (button(one.number, "retry", "Send again")) (button(one.number, "drop", "Drop")) } }
                        }
                    } }
                }
                @if parked.len() > PARKED { p.summary { "And " (parked.len() - PARKED) " more." } }
            }
        }
    }
}

fn button(number: u64, verb: &str, words: &str) -> Markup {
    html! {
        form.inline method="post" action="gateway" data-send {
            input type="hidden" name="verb" value=(verb);
            input type="hidden" name="number" value=(number);
            button.small { (words) span.unseen { " number " (number) } }
        }
    }
}

fn about(info: &Info) -> Markup {
    html! {
        section aria-labelledby="settings" {
            h2 #settings { "Settings in effect" }
            dl.facts {
                dt { "Version" } dd { (info.version) ", contract " (info.contract) }
                dt { "Built with" }
                dd { @for feature in &info.features { span.tag { (feature) } } }
                @for (key, value) in flat("", &info.settings) { dt { code { (key) } } dd { (value) } }
            }
        }
    }
}

/// Settings by their whole key, as a line each.
fn flat(above: &str, settings: &Map<String, Value>) -> Vec<(String, String)> {
    let lines = settings.iter().flat_map(|(key, value)| {
        let key = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Object(inner) => flat(&key, inner),
            Value::String(text) => vec![(key, text.clone())],
            other => vec![(key, other.to_string())],
        }
    });
    lines.collect()
}

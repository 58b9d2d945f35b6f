//! The page of the gateway itself: how it does, what it warned of, what waits for the broker and what it refused, and the
//! settings in effect.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::{Page, Tab};
use super::{setting, words};
use crate::logging::Line;
use crate::model::Timestamp;
use crate::store::Parked;

/// How many events that the broker refused are shown.
const PARKED: usize = 20;

/// How many warnings are shown.
const WARNINGS: usize = 50;

/// What is shown of `bridge/health`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    status: String,
    reasons: Vec<Complaint>,
    uptime_s: u64,
    memory_bytes: Option<u64>,
    store_bytes: Option<u64>,
    outbox: Option<Outbox>,
    devices: u64,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    part: String,
    reason: String,
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
}

/// What the page is made from.
pub(super) struct Told {
    pub(super) info: Option<Value>,
    /// The answer to a request for it, or why there is none.
    pub(super) health: Result<Value, String>,
    /// Warnings and errors, the newest last.
    pub(super) log: Vec<Line>,
    pub(super) parked: Vec<Parked>,
    /// The configuration in effect, secrets hidden.
    pub(super) settings: Value,
    pub(super) may_write: bool,
    /// Why a command was not done.
    pub(super) refusal: Option<String>,
}

/// The page.
pub(super) fn page(told: Told, now: Timestamp) -> Page {
    let Told { info, health, log, parked, settings, may_write, refusal } = told;
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
        (warnings(&log, now))
        (refused(&parked, may_write, now))
        (about(&info))
        (setting::section(&settings))
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
            div.bar {
                h2 #health { "Health" }
                @match health.status.as_str() {
                    "ok" => (words::badge("good", "ok")),
                    "waiting" => (words::badge("warn", "waiting")),
                    _ => (words::badge("bad", "failing")),
                }
            }
            @for Complaint { part, reason } in &health.reasons { p.alert { strong { (part) } ": " (reason) } }
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

fn warnings(log: &[Line], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="log" {
            h2 #log { "Warnings" }
            @if log.is_empty() {
                p.empty { "None since the start." }
            } @else {
                ul.log { @for line in log.iter().rev().take(WARNINGS) { (warning(line, now)) } }
                @if log.len() > WARNINGS { p.hint { "The newest " (WARNINGS) "; all are in the log." } }
            }
        }
    }
}

fn warning(line: &Line, now: Timestamp) -> Markup {
    let is_error = line.level == "error";
    html! {
        li {
            (words::badge(if is_error { "bad" } else { "warn" }, if is_error { "error" } else { "warning" }))
            " " span.message { (line.message) }
            @for (key, value) in &line.fields {
                span.field { span.quiet { (key) } " " (words::written(value)) }
            }
            small.about { (words::when(line.time, now)) }
        }
    }
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
        section aria-labelledby="program" {
            h2 #program { "Program" }
            dl.facts {
                dt { "Version" } dd { (info.version) ", contract " (info.contract) }
                dt { "Built with" }
                dd { @for feature in &info.features { span.tag { (feature) } } }
            }
        }
    }
}

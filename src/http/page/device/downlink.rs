//! A device's downlink queue: what waits and what became of it, and the forms that push and cancel.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Viewing;
use crate::decode::grammar::Field;
use crate::http::page::words;
use crate::model::{Device, Downlink, DownlinkState, Evidence, Timestamp};
use crate::publish::{Name, Profile};
use crate::store::StoreError;

/// How many items that have ended are shown.
const ENDED: usize = 10;

/// What stands before a field's name in the form: whether its value is a number or a truth value, or text as it is.
const PLAIN: &str = "field.";
const TEXT: &str = "text.";

/// The command that a form stands for: its verb and its body, in the words of MQTT; or why it stands for none.
pub(in crate::http::page) fn command(form: &[(String, String)]) -> Result<(&'static str, Value), String> {
    let text = |name: &str| {
        let value = form.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    };
    if text("verb") == Some("cancel") {
        return match (text("item"), text("all")) {
            (Some(item), None) => Ok(("cancel", json!({ "id": item }))),
            (None, Some("yes")) => Ok(("cancel", json!({ "all": true }))),
            _ => Err("which downlink is to be cancelled was not said".to_owned()),
        };
    }
    let fields = fields(form)?;
    match (text("data"), fields.is_empty()) {
        (Some(_), false) => Err("give bytes or fields, not both".to_owned()),
        (Some(data), true) => {
            let digits: String = data.chars().filter(|digit| !digit.is_whitespace()).collect();
            Ok(("push", json!({ "data": digits })))
        }
        (None, false) => Ok(("push", json!({ "fields": fields }))),
        (None, true) => Err("there is nothing to send yet: give 16 hex digits, or the fields".to_owned()),
    }
}

/// The fields, from an input each or as one JSON object.
fn fields(form: &[(String, String)]) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    if let Some((_, text)) = form.iter().find(|(key, text)| key == "fields" && !text.trim().is_empty()) {
        fields = serde_json::from_str(text).map_err(|error| {
            format!("the fields are no JSON object (line {}, column {})", error.line(), error.column())
        })?;
    }
    for (key, text) in form.iter().map(|(key, text)| (key, text.trim())).filter(|(_, text)| !text.is_empty())
    {
        let (key, value) = match (key.strip_prefix(PLAIN), key.strip_prefix(TEXT)) {
            (Some(key), _) => (key, serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text))),
            (_, Some(key)) => (key, json!(text)),
            _ => continue,
        };
        if fields.insert(key.to_owned(), value).is_some() {
            return Err(format!("the field {key} is given twice"));
        }
    }
    Ok(fields)
}

/// The section.
pub(super) fn section(
    viewing: &Viewing<'_>,
    device: &Device,
    profile: &Profile,
    refusal: Option<&str>,
) -> Result<Markup, StoreError> {
    let now = viewing.now;
    let summary = viewing.roster.view.retained(&Name::Downlink(device.id), now)?;
    let items = viewing.roster.store.queue(device.id)?;
    let mode = summary.as_ref().and_then(|summary| summary.get("mode")?.as_str()).unwrap_or("none");
    let can_send = mode != "none";
    if !can_send && items.is_empty() {
        return Ok(html! {
            section aria-labelledby="downlinks" {
                h2 #downlinks { "Downlinks" }
                p.empty { "Its source sends no downlinks: " code { "sources." (device.source) ".downlink" } " is none." }
            }
        });
    }
    let (open, mut ended): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.is_open());
    ended.sort_by_key(|item| std::cmp::Reverse(item.updated));
    let waiting = open.iter().filter(|item| item.state == DownlinkState::Queued).count();
    Ok(html! {
        section aria-labelledby="downlinks" {
            h2 #downlinks { "Downlinks" }
            @if let Some(summary) = &summary { (facts(summary, now)) }
            @if let Some(why) = refusal { p.alert role="alert" { (why) } }
            @if items.is_empty() {
                p.empty { "Nothing waits, and nothing was sent lately." }
            } @else {
                table.cards {
                    thead { tr {
                        th scope="col" { "Item" }
                        th scope="col" { "Data" }
                        th scope="col" { "State" }
                        th scope="col" { "Changed" }
                        th scope="col" { "Expires" }
                        @if viewing.may_write { th scope="col" { span.unseen { "Action" } } }
                    } }
                    tbody { @for item in open.iter().chain(ended.iter().take(ENDED)) { (row(item, viewing)) } }
                }
            }
            @if viewing.may_write && waiting > 1 {
                form.after method="post" action=(device.id) data-send {
                    input type="hidden" name="verb" value="cancel";
                    input type="hidden" name="all" value="yes";
                    button.small { "Cancel all " (waiting) " that wait" }
                }
            }
            @if viewing.may_write && can_send { (push_form(device, profile)) }
        }
    })
}

fn facts(summary: &Value, now: Timestamp) -> Markup {
    let text = |pointer: &str| summary.pointer(pointer).and_then(Value::as_str);
    let number = |pointer: &str| summary.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let next = text("/next_opportunity").and_then(|time| time.parse::<Timestamp>().ok());
    let way = match text("/mode") {
        Some("callback") => "the Sigfox cloud asks for them when the device listens",
        Some("direct") => "written into the device type",
        Some("soracom") => "Soracom holds one for the device",
        _ => "no longer possible",
    };
    html! {
        p.summary {
            "Sent by " strong { (text("/mode").unwrap_or("none")) } ": " (way) ". "
            (number("/quota/used")) " of " (number("/quota/limit")) " used today (UTC)."
            @match next {
                Some(next) => { " Next opportunity " (words::when(next, now)) "." }
                None => " When the device will listen next is not known.",
            }
        }
    }
}

fn row(item: &Downlink, viewing: &Viewing<'_>) -> Markup {
    let now = viewing.now;
    html! {
        tr id={ "i-" (item.id) } {
            th scope="row" { code.item { (item.id) } }
            td data-label="Data" {
                @match item.data { Some(data) => code.data { (data) }, None => span.quiet { "–" } }
            }
            td data-label="State" {
                (state(item))
                @if let Some(reason) = &item.reason { span.why { " " (reason) } }
            }
            td data-label="Changed" { (words::when(item.updated, now)) }
            td data-label="Expires" {
                @if item.is_open() { (words::when(item.expires, now)) } @else { span.quiet { "–" } }
            }
            @if viewing.may_write {
                td.end {
                    @if item.state == DownlinkState::Queued {
                        form method="post" action=(item.device) data-send {
                            input type="hidden" name="verb" value="cancel";
                            input type="hidden" name="item" value=(item.id);
                            button.small { "Cancel" span.unseen { " " (item.id) } }
                        }
                    }
                }
            }
        }
    }
}

fn state(item: &Downlink) -> Markup {
    let tone = match item.state {
        DownlinkState::Acked | DownlinkState::Sent => "good",
        DownlinkState::Failed | DownlinkState::Rejected | DownlinkState::Expired => "bad",
        DownlinkState::Armed | DownlinkState::Submitted => "warn",
        DownlinkState::Queued | DownlinkState::Replaced | DownlinkState::Cancelled => "calm",
    };
    let evidence = item.evidence.map(|evidence| match evidence {
        Evidence::Inferred => "concluded from the next uplink",
        Evidence::Network => "said by the network",
        Evidence::Device => "shown by the device",
    });
    html! {
        span data-value="state" { (words::badge(tone, &item.state.to_string())) }
        @if let Some(evidence) = evidence { span.why { " " (evidence) } }
    }
}

fn push_form(device: &Device, profile: &Profile) -> Markup {
    let encoder = profile.resolved.decoder.as_ref().filter(|decoder| decoder.can_encode());
    html! {
        form.push method="post" action=(device.id) data-send aria-labelledby="push" {
            input type="hidden" name="verb" value="push";
            h3 #push { "Push a downlink" }
            label { span { "Bytes" }
                input.hex name="data" placeholder="16 hex digits" autocomplete="off" spellcheck="false"
                    maxlength="32" pattern="\\s*([0-9a-fA-F]\\s*){16}" title="16 hex digits, which are 8 bytes";
            }
            @if let Some(encoder) = encoder {
                fieldset {
                    legend { "or by its decoder" }
                    @match encoder.downlink_fields() {
                        Some(fields) => @for field in fields { (input(field)) },
                        None => label { span { "Fields as JSON" }
                            textarea name="fields" rows="3" spellcheck="false" placeholder="{\"interval\": 15}" {}
                        },
                    }
                }
            }
            button.main { "Push" }
        }
    }
}

fn input(field: &Field) -> Markup {
    let kind = field.type_name();
    let is_text = ["char", "hex", "bcd"].iter().any(|text| kind.starts_with(text));
    let name = format!("{}{}", if is_text { TEXT } else { PLAIN }, field.name());
    html! {
        label {
            span { (words::label(field.name(), None)) " " small { (kind) } }
            @if kind == "bool" {
                select name=(name) {
                    option value="" { "–" } option value="true" { "yes" } option value="false" { "no" }
                }
            } @else {
                input name=(name) autocomplete="off" spellcheck="false";
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_command_in_the_words_of_mqtt() {
        let told = |form: &[(&str, &str)]| {
            let form: Vec<_> =
                form.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            command(&form)
        };
        for (form, expected) in [
            (&[("data", " 0123 4567 89ab cdef ")][..], json!({ "data": "0123456789abcdef" })),
            (&[("data", ""), ("field.level", "1.5")], json!({ "fields": { "level": 1.5 } })),
            (
                &[("field.on", "true"), ("text.serial", "12"), ("field.empty", " ")],
                json!({ "fields": { "on": true, "serial": "12" } }),
            ),
            (&[("fields", r#"{"interval": 15}"#)], json!({ "fields": { "interval": 15 } })),
        ] {
            assert_eq!(told(form), Ok(("push", expected)), "{form:?}");
        }
        for form in [
            &[][..],
            &[("data", "00"), ("field.a", "1")],
            &[("field.a", "1"), ("field.a", "2")],
            &[("fields", "[1]")],
            &[("verb", "cancel")],
            &[("verb", "cancel"), ("item", "")],
        ] {
            assert!(told(form).is_err(), "{form:?}");
        }
        for (key, value, body) in
            [("item", "set-7", json!({ "id": "set-7" })), ("all", "yes", json!({ "all": true }))]
        {
            assert_eq!(told(&[("verb", "cancel"), (key, value)]), Ok(("cancel", body)));
        }
    }
}

//! A device's uplinks, newest first: what was sent, what was read of it, how it was heard.

use maud::{Markup, html};

use super::reception;
use crate::http::page::roster::{Roster, catalogue};
use crate::http::page::words;
use crate::model::{DeviceId, Timestamp, Uplink};
use crate::publish::{Profile, View};
use crate::store::{StoreError, UplinkQuery};

/// How many uplinks stand on one page.
const AT_ONCE: usize = 15;

/// The uplinks of a page, and one more where there is one.
pub(super) fn read(
    roster: &Roster,
    device: DeviceId,
    before: Option<Timestamp>,
) -> Result<Vec<Uplink>, StoreError> {
    let query = UplinkQuery {
        device: Some(device),
        to: before,
        limit: Some(AT_ONCE + 1),
        newest_first: true,
        ..UplinkQuery::default()
    };
    roster.store.uplinks(&query)
}

/// The section.
pub(super) fn section(
    device: DeviceId,
    profile: &Profile,
    uplinks: &[Uplink],
    before: Option<Timestamp>,
    now: Timestamp,
) -> Markup {
    let shown = uplinks.iter().take(AT_ONCE);
    let oldest = uplinks.get(AT_ONCE - 1).filter(|_| uplinks.len() > AT_ONCE);
    html! {
        section aria-labelledby="uplinks" {
            h2 #uplinks { "Uplinks" }
            @if uplinks.is_empty() {
                p.empty { @if before.is_some() { "None is older." } @else { "No uplink yet." } }
            } @else {
                table.cards {
                    thead { tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Decoded" }
                        th scope="col" { "Data" }
                        th scope="col" { "Reception" }
                        th.end scope="col" { "Seq" }
                    } }
                    tbody { @for uplink in shown { (row(uplink, profile, now)) } }
                }
            }
            nav.pager aria-label="Pages of uplinks" {
                @if before.is_some() { a href={ (device) "#uplinks" } { "← Newest" } }
                @if let Some(oldest) = oldest {
                    a rel="next" href={ "?before=" (oldest.time.as_millis()) "#uplinks" } { "Older →" }
                }
            }
        }
    }
}

fn row(uplink: &Uplink, profile: &Profile, now: Timestamp) -> Markup {
    let decoded = View::decode(profile, uplink);
    let shown = words::shown(&decoded.fields, catalogue(profile));
    html! {
        tr id={ "u-" (uplink.id()) } {
            td data-label="Time" {
                (words::at(uplink.time))
                small.about { (words::ago(uplink.time, now)) @if uplink.replay { " · history" } }
            }
            td data-label="Decoded" {
                @for value in &shown {
                    span.value {
                        span.label { (value.label) } " " span.number { (value.value) }
                        @if let Some(unit) = &value.unit { span.unit { "\u{202f}" (unit) } }
                    }
                }
                @if shown.is_empty() && decoded.errors.is_empty() { span.quiet { "–" } }
                @for error in &decoded.errors { span.fault { (error) } }
            }
            td data-label="Data" {
                @if uplink.payload.as_bytes().is_empty() { span.quiet { "empty" } } @else { code.data { (uplink.payload) } }
            }
            td data-label="Reception" { (reception(uplink)) }
            td.end data-label="Seq" {
                @match uplink.seq { Some(seq) => (seq), None => span.quiet { "–" } }
            }
        }
    }
}

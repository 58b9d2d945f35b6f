//! The page of one device: its values now, charts, uplinks, locations, downlinks, and what it is.

mod about;
mod chart;
mod downlink;
mod uplink;

use maud::{Markup, html};
use serde::Deserialize;

use self::chart::Span;
pub(super) use self::downlink::command;
use super::frame::{Page, Tab};
use super::roster::{Roster, catalogue};
use super::{icon, map, words};
use crate::model::{Device, DeviceId, Timestamp};
use crate::publish::{Availability, Profile};
use crate::store::{DeviceState, StoreError};

/// What of a device is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    /// `24h`, `7d`, `30d` or `1y`.
    range: String,
    /// Uplinks before this time only, in milliseconds.
    before: Option<i64>,
}

/// Who looks at which device.
#[derive(Debug)]
pub(super) struct Viewing<'a> {
    pub(super) roster: &'a Roster,
    pub(super) now: Timestamp,
    pub(super) may_write: bool,
    pub(super) tiles: Option<&'a str>,
}

/// The page; none where the device is not known. `refusal` says why the command that was sent is not done.
pub(super) fn page(
    viewing: &Viewing<'_>,
    id: DeviceId,
    look: &Look,
    refusal: Option<&str>,
) -> Result<Option<Page>, StoreError> {
    let Viewing { roster, now, .. } = *viewing;
    let profile = roster.view.profile(id)?;
    let Some(device) = &profile.device else { return Ok(None) };
    let state = roster.view.latest(&profile)?;
    let availability = roster.availability(device, now)?;
    let span = Span::of(&look.range);
    let before = look.before.and_then(Timestamp::from_millis);
    let uplinks = uplink::read(roster, device.id, before)?;
    let places = map::track(roster, &profile, device.id)?;
    let body = html! {
        (heading(device, &profile, availability.as_ref(), now))
        (contents(profile.resolved.decoder.is_some()))
        (values(state.as_ref(), &profile))
        (chart::section(device.id, &profile, span))
        (downlink::section(viewing, device, &profile, refusal)?)
        (uplink::section(device.id, &profile, &uplinks, before, now))
        (map::section(&places, viewing.tiles, now))
        (about::section(device, &profile))
    };
    let title = words::name(&profile.name);
    let has_charts = true;
    Ok(Some(Page { title, tab: Some(Tab::Devices), depth: 1, body, has_charts, is_live: true }))
}

/// The charts of the page, apart from it; none where the device is not known.
pub(super) fn charts(
    roster: &Roster,
    id: DeviceId,
    look: &Look,
    now: Timestamp,
) -> Result<Option<Markup>, StoreError> {
    let profile = roster.view.profile(id)?;
    let figures = || chart::figures(roster, &profile, id, Span::of(&look.range), now);
    profile.device.is_some().then(figures).transpose()
}

fn heading(
    device: &Device,
    profile: &Profile,
    availability: Option<&Availability>,
    now: Timestamp,
) -> Markup {
    html! {
        div.heading {
            h1 { (words::name_apart(&profile.name)) " " code.id { (device.id) } }
            p.summary {
                (words::availability(availability, now))
                @if device.gone { " " (words::badge("warn", "no longer listed by its cloud")) }
                @if let Some(seen) = device.last_seen { span.apart { "Last seen " (words::when(seen, now)) } }
            }
        }
    }
}

/// The way to what is far below on a phone.
fn contents(has_charts: bool) -> Markup {
    html! {
        nav.contents aria-label="On this page" {
            @if has_charts { a href="#charts" { "Charts" } }
            a href="#downlinks" { "Downlinks" }
            a href="#uplinks" { "Uplinks" }
            a href="#places" { "Locations" }
            a href="#about" { "About" }
        }
    }
}

fn values(state: Option<&DeviceState>, profile: &Profile) -> Markup {
    let shown = state.map(|state| words::shown(&state.fields, catalogue(profile))).unwrap_or_default();
    html! {
        section aria-labelledby="now" {
            h2 #now { "Now" }
            @if shown.is_empty() {
                p.empty {
                    @match (&profile.resolved.name, state) {
                        (_, None) => "Nothing was heard of it yet.",
                        (None, _) => "It has no decoder, so its messages are bytes; see below.",
                        (Some(_), _) => "Its decoder could read nothing yet; see below.",
                    }
                }
            } @else {
                dl.tiles {
                    @for value in &shown {
                        div {
                            dt { (value.label) }
                            dd {
                                span.number data-value=(value.key) { (value.value) }
                                @if let Some(unit) = &value.unit { span.unit { "\u{202f}" (unit) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How an uplink was heard, in a line.
fn reception(uplink: &crate::model::Uplink) -> Markup {
    html! {
        (icon::signal(Some(uplink)))
        @if let Some(snr) = uplink.snr.filter(|snr| snr.is_finite()) {
            " " span.figure { "· " (format!("{snr:.0}").replace('-', "−")) "\u{202f}dB" }
        }
        @if let Some(stations) = uplink.stations {
            " " span.figure { "· " (stations) @if stations == 1 { " station" } @else { " stations" } }
        }
    }
}

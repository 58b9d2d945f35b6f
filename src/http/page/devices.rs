//! The page of all devices: last values, availability, signal; searched, filtered, fifty at a time.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::frame::{Page, Tab};
use super::roster::{Roster, catalogue};
use super::{icon, words};
use crate::model::{Device, SourceName, Timestamp, Uplink};
use crate::publish::{Availability, Condition, Presence};
use crate::store::StoreError;

/// How many devices one page has: what a phone still shows at once, of a thousand.
const AT_ONCE: usize = 50;

/// How many values of a device its row has.
const VALUES: usize = 6;

/// How many parts that are not well are named.
const COMPLAINTS: usize = 4;

/// Which devices are asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// A part of the name, the id, the type or the source.
    q: String,
    /// `online` or `offline`; anything else: both.
    state: String,
    /// The page, from 1 on.
    page: usize,
}

/// A device by what it is found and sorted by.
struct Entry {
    device: Device,
    name: String,
    type_name: Option<String>,
    availability: Option<Availability>,
}

/// The page.
pub(super) fn page(
    roster: &Roster,
    filter: &Filter,
    condition: &Condition,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let devices: Vec<Device> = roster.store.devices()?.into_iter().filter(|device| !device.gone).collect();
    roster.keep_only(&devices);
    let all: Vec<Entry> =
        devices.into_iter().map(|device| entry(roster, device, now)).collect::<Result<_, _>>()?;
    let count = Count::of(&all);
    let mut found: Vec<Entry> = all.into_iter().filter(|entry| filter.takes(entry)).collect();
    found.sort_by_cached_key(|entry| (entry.name.to_lowercase(), entry.device.id));
    let pages = found.len().div_ceil(AT_ONCE).max(1);
    let number = filter.page.clamp(1, pages);
    let shown = found.iter().skip((number - 1).saturating_mul(AT_ONCE)).take(AT_ONCE);
    let rows = shown.map(|entry| row(roster, entry, now)).collect::<Result<Vec<_>, _>>()?;
    let body = html! {
        div.heading {
            h1 { "Devices" }
            p.summary { (count.markup()) }
        }
        (notice(condition))
        (form(filter))
        div {
            @if rows.is_empty() { (nothing(count.all)) } @else { (table(&rows)) }
            @if pages > 1 { (pager(filter, number, pages, found.len())) }
        }
    };
    Ok(Page::new("Devices", Tab::Devices, body))
}

fn entry(roster: &Roster, device: Device, now: Timestamp) -> Result<Entry, StoreError> {
    let profile = roster.view.profile(device.id)?;
    let type_name = profile.device_type.and_then(|kind| kind.name).or_else(|| device.device_type.clone());
    let availability = roster.availability(&device, now)?;
    Ok(Entry { device, name: profile.name, type_name, availability })
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let wanted = match self.state.as_str() {
            "online" => Some(Presence::Online),
            "offline" => Some(Presence::Offline),
            _ => None,
        };
        let state = entry.availability.map(|known| known.state);
        if wanted.is_some() && state != wanted {
            return false;
        }
        let (id, query) = (entry.device.id.to_string(), self.q.trim().to_lowercase());
        let texts = [Some(id.as_str()), Some(&entry.name), entry.type_name.as_deref()];
        let mut texts = texts.into_iter().flatten().chain([entry.device.source.as_str()]);
        query.is_empty() || texts.any(|text| text.to_lowercase().contains(&query))
    }

    /// The address of another page of the same devices.
    fn address(&self, page: usize) -> String {
        let q = utf8_percent_encode(self.q.trim(), NON_ALPHANUMERIC);
        let state = utf8_percent_encode(&self.state, NON_ALPHANUMERIC);
        format!("./?q={q}&state={state}&page={page}")
    }
}

/// How many there are.
struct Count {
    all: usize,
    online: usize,
    offline: usize,
}

impl Count {
    fn of(entries: &[Entry]) -> Self {
        let with = |state| {
            entries
                .iter()
                .filter(|entry| entry.availability.is_some_and(|known| known.state == state))
                .count()
        };
        Self { all: entries.len(), online: with(Presence::Online), offline: with(Presence::Offline) }
    }

    fn markup(&self) -> Markup {
        let unknown = self.all.saturating_sub(self.online).saturating_sub(self.offline);
        html! {
            strong { (self.all) } " in all, " strong { (self.online) } " online"
            @if self.offline > 0 { ", " strong.bad { (self.offline) } " offline" }
            @if unknown > 0 { ", " (unknown) " not known yet" }
        }
    }
}

/// That something is not well, for who looks at nothing else; one line, whatever it is.
fn notice(condition: &Condition) -> Markup {
    html! {
        @if !condition.reasons.is_empty() {
            p.notice {
                "Not all is well: "
                @for (number, complaint) in condition.reasons.iter().take(COMPLAINTS).enumerate() {
                    @if number > 0 { ", " }
                    strong { (complaint.part) }
                }
                @if condition.reasons.len() > COMPLAINTS { " and others" }
                ". " a href="gateway" { "See why" } "."
            }
        }
    }
}

fn form(filter: &Filter) -> Markup {
    let states = [("", "All"), ("online", "Online"), ("offline", "Offline")];
    html! {
        search {
            form.filter method="get" action="./" data-search {
                label { span { "Search" }
                    input type="search" name="q" value=(filter.q) placeholder="name, id, type or source"
                        autocomplete="off" spellcheck="false";
                }
                label { span { "Availability" }
                    select name="state" {
                        @for (value, name) in states {
                            option value=(value) selected[value == filter.state] { (name) }
                        }
                    }
                }
                button { "Show" }
            }
        }
    }
}

fn nothing(all: usize) -> Markup {
    html! {
        p.empty {
            @if all == 0 {
                "No device yet. The first one appears as soon as a source lists it or a message of it arrives; "
                a href="sources" { "how the sources do" } "."
            } @else {
                "No device fits. " a href="./" { "Show all" } "."
            }
        }
    }
}

fn table(rows: &[Markup]) -> Markup {
    html! {
        table.cards.devices {
            thead { tr {
                th scope="col" { "Device" }
                th scope="col" { "Last values" }
                th scope="col" { "Availability" }
                th scope="col" { "Signal" }
                th scope="col" { "Last seen" }
            } }
            tbody { @for row in rows { (row) } }
        }
    }
}

fn row(roster: &Roster, entry: &Entry, now: Timestamp) -> Result<Markup, StoreError> {
    let Entry { device, name, type_name, availability } = entry;
    let profile = roster.view.profile(device.id)?;
    let state = roster.view.latest(&profile)?;
    let uplink = match &state {
        Some(state) => roster.store.uplink(&state.newest)?,
        None => None,
    };
    let fields = state.map(|state| state.fields).unwrap_or_default();
    Ok(html! {
        tr id={ "d-" (device.id) } {
            th scope="row" {
                a.name href={ "device/" (device.id) } { (words::name_apart(name)) }
                (about(device.id, type_name.as_deref(), &device.source))
            }
            td data-label="Last values" { (values(&words::shown(&fields, catalogue(&profile)), uplink.as_ref())) }
            td data-label="Availability" { (words::availability(availability.as_ref(), now)) }
            td data-label="Signal" { (icon::signal(uplink.as_ref())) }
            td data-label="Last seen" {
                @match device.last_seen {
                    Some(seen) => (words::when(seen, now)),
                    None => span.quiet { "never" },
                }
            }
        }
    })
}

fn about(id: crate::model::DeviceId, type_name: Option<&str>, source: &SourceName) -> Markup {
    html! {
        small.about {
            code { (id) }
            @if let Some(type_name) = type_name { " · " (type_name) }
            " · " (source)
        }
    }
}

/// The first values; of a device without decoder the bytes.
fn values(shown: &[words::Shown], uplink: Option<&Uplink>) -> Markup {
    html! {
        @if shown.is_empty() {
            @match uplink {
                Some(uplink) => { span.value { span.label { "data" } code data-value { (uplink.payload) } } }
                None => span.quiet { "–" },
            }
        }
        @for value in shown.iter().take(VALUES) {
            span.value {
                span.label { (value.label) } " "
                span.number data-value=(value.key) { (value.value) }
                @if let Some(unit) = &value.unit { span.unit { "\u{202f}" (unit) } }
            }
        }
        @if shown.len() > VALUES { span.quiet { "+" (shown.len() - VALUES) } }
    }
}

fn pager(filter: &Filter, number: usize, pages: usize, found: usize) -> Markup {
    html! {
        nav.pager aria-label="Pages of devices" {
            @if number > 1 { a rel="prev" href=(filter.address(number - 1)) { "← Previous" } }
            span { "Page " (number) " of " (pages) ", " (found) " devices" }
            @if number < pages { a rel="next" href=(filter.address(number + 1)) { "Next →" } }
        }
    }
}

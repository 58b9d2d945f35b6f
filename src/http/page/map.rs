//! Where devices are: a table of places, which a script also draws on a map. The land is inside the program; a server's
//! tiles are shown only where the configuration names one.

use maud::{Markup, html};

use super::frame::{Page, Tab};
use super::roster::Roster;
use super::words;
use crate::model::{DeviceId, Location, LocationSource, Timestamp};
use crate::publish::{Profile, View, place_of};
use crate::store::{StoreError, UplinkQuery};

/// How many of a device's uplinks are looked at for places, and how many places without one.
const TRACK: usize = 100;

/// A place of a device; `device` on a map of several.
#[derive(Debug)]
pub(super) struct Place {
    location: Location,
    device: Option<(DeviceId, String)>,
}

/// The page of all devices that have a place.
pub(super) fn page(roster: &Roster, tiles: Option<&str>, now: Timestamp) -> Result<Page, StoreError> {
    let mut places = Vec::new();
    let mut all = 0_usize;
    for device in roster.store.devices()?.into_iter().filter(|device| !device.gone) {
        all += 1;
        let profile = roster.view.profile(device.id)?;
        let Some(location) = roster.view.latest(&profile)?.and_then(|state| state.location) else { continue };
        places.push(Place { location, device: Some((device.id, profile.name)) });
    }
    places.sort_by_cached_key(|place| place.device.as_ref().map(|(_, name)| name.to_lowercase()));
    let body = html! {
        div.heading {
            h1 { "Map" }
            p.summary { strong { (places.len()) } " of " (all) " devices have told where they are" }
        }
        @if places.is_empty() {
            p.empty { "No device has told where it is: neither a fix in a payload nor a place that its network computed." }
        } @else {
            (map(tiles, "Where the devices are", false))
            (table(&places, now))
        }
    };
    Ok(Page::new("Map", Tab::Map, body))
}

/// The last places of a device, newest first.
pub(super) fn track(roster: &Roster, profile: &Profile, device: DeviceId) -> Result<Vec<Place>, StoreError> {
    let query = UplinkQuery {
        device: Some(device),
        limit: Some(TRACK),
        newest_first: true,
        ..UplinkQuery::default()
    };
    let mut places = Vec::new();
    let uplinks = roster.store.uplinks(&query)?;
    // No further back, or a year of uplinks without a place would be read through for each look at the page.
    let from = uplinks.last().map(|oldest| oldest.time);
    for uplink in uplinks {
        let decoded = View::decode(profile, &uplink);
        places.extend(place_of(&uplink, &decoded).map(|location| Place { location, device: None }));
    }
    // Those of uplinks are there already.
    for located in roster.store.locations(&UplinkQuery { from, ..query }) {
        let located = located?;
        if located.uplink.is_none() {
            places.push(Place { location: located.location, device: None });
        }
    }
    places.sort_by_key(|place| std::cmp::Reverse(place.location.time));
    places.truncate(TRACK);
    Ok(places)
}

/// The section of a device's page.
pub(super) fn section(places: &[Place], tiles: Option<&str>, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="places" {
            h2 #places { "Locations" }
            @if places.is_empty() {
                p.empty { "It has not told where it is: neither a fix in its payload nor a place that its network computed." }
            } @else {
                (map(tiles, "Where the device was", true))
                details {
                    summary { "All " (places.len()) " as a table" }
                    (table(places, now))
                }
            }
        }
    }
}

/// The frame that a script draws the next table's places into; a track is one device's, joined by a line.
fn map(tiles: Option<&str>, label: &str, is_track: bool) -> Markup {
    html! {
        div.map role="group" aria-label=(label) data-map data-keep data-tiles=[tiles] data-track[is_track] {
            noscript { p.empty { "The map is drawn by a script, and scripts are off. The table below says the same." } }
        }
    }
}

fn table(places: &[Place], now: Timestamp) -> Markup {
    let has_devices = places.iter().any(|place| place.device.is_some());
    html! {
        table.cards.places data-places {
            thead { tr {
                @if has_devices { th scope="col" { "Device" } }
                th scope="col" { "Time" }
                th scope="col" { "Place" }
                th scope="col" { "Accuracy" }
                th scope="col" { "Found by" }
            } }
            tbody { @for place in places { (row(place, now)) } }
        }
    }
}

fn row(Place { location, device }: &Place, now: Timestamp) -> Markup {
    let accuracy = location.accuracy_m.filter(|metres| metres.is_finite() && *metres >= 0.0);
    html! {
        tr data-latitude=(location.latitude) data-longitude=(location.longitude) data-accuracy=[accuracy] {
            @if let Some((id, name)) = device {
                th scope="row" { a.name href={ "device/" (id) } { (words::name_apart(name)) } small.about { code { (id) } } }
            }
            td data-label="Time" { (words::when(location.time, now)) }
            td data-label="Place" { span.figure { (degrees(location.latitude, "N", "S")) " " (degrees(location.longitude, "E", "W")) } }
            td data-label="Accuracy" {
                @match accuracy { Some(metres) => span.figure { (distance(metres)) }, None => span.quiet { "not said" } }
            }
            td data-label="Found by" { (found_by(location.source)) }
        }
    }
}

fn degrees(value: f64, positive: &str, negative: &str) -> String {
    format!("{:.5}°\u{202f}{}", value.abs(), if value < 0.0 { negative } else { positive })
}

fn distance(metres: f64) -> String {
    if metres < 1_000.0 {
        format!("{metres:.0}\u{202f}m")
    } else {
        format!("{:.1}\u{202f}km", metres / 1_000.0)
    }
}

fn found_by(source: LocationSource) -> &'static str {
    match source {
        LocationSource::Gps => "GPS",
        LocationSource::Network => "the network",
        LocationSource::PointOfInterest => "a point of interest",
        LocationSource::Private => "a private database",
        LocationSource::Wifi => "Wi-Fi",
        LocationSource::Proximity => "a device nearby",
        LocationSource::Unknown => "not said",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_distances_are_written_as_on_a_map() {
        assert_eq!(degrees(-1.5, "E", "W"), "1.50000°\u{202f}W");
        for (metres, words) in [(0.0, "0\u{202f}m"), (999.0, "999\u{202f}m"), (12_345.0, "12.3\u{202f}km")] {
            assert_eq!(distance(metres), words);
        }
    }
}

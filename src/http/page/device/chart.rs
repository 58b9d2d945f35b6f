//! Charts of a device's numbers over a time. Their points come apart from the page, in one walk through the history,
//! and a script draws them.

use std::time::Duration;

use maud::{Markup, html};

use crate::decode::FieldInfo;
use crate::http::page::roster::{Roster, catalogue};
use crate::http::page::words;
use crate::http::series::{Point, Series};
use crate::model::{DeviceId, Timestamp};
use crate::publish::{Profile, View};
use crate::store::{StoreError, UplinkQuery};

/// How many points a chart has at most: about one each two pixels.
const POINTS: usize = 300;

/// How many fields have a chart; a decoder that makes up names must not fill the memory.
const FIELDS: usize = 32;

/// A time over which charts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Day,
    Week,
    Month,
    Year,
}

const SPANS: [(Span, &str, &str, u64); 4] = [
    (Span::Day, "24h", "24 hours", 86_400),
    (Span::Week, "7d", "7 days", 7 * 86_400),
    (Span::Month, "30d", "30 days", 30 * 86_400),
    (Span::Year, "1y", "1 year", 365 * 86_400),
];

impl Span {
    /// The span by its name in an address; without one the last day.
    pub(super) fn of(name: &str) -> Self {
        SPANS.iter().find(|(_, known, ..)| *known == name).map_or(Self::Day, |(span, ..)| *span)
    }

    fn name(self) -> &'static str {
        SPANS.iter().find(|(span, ..)| *span == self).map_or("24h", |(_, name, ..)| *name)
    }

    fn length(self) -> Duration {
        let seconds = SPANS.iter().find(|(span, ..)| *span == self).map_or(86_400, |(.., seconds)| *seconds);
        Duration::from_secs(seconds)
    }
}

/// The section without the charts; where they come from is written into it.
pub(super) fn section(device: DeviceId, profile: &Profile, span: Span) -> Markup {
    html! {
        @if profile.resolved.decoder.is_some() {
            section aria-labelledby="charts" {
                div.bar {
                    h2 #charts { "Charts" }
                    nav.spans aria-label="Time of the charts" {
                        @for (known, name, words, _) in SPANS {
                            a href={ "?range=" (name) "#charts" } aria-current=[(known == span).then_some("true")] { (words) }
                        }
                    }
                }
                noscript { p.empty { "Charts are drawn by a script, and scripts are off. The uplinks below have the numbers." } }
                div.charts data-keep data-charts={ (device) "/charts?range=" (span.name()) } {}
            }
        }
    }
}

/// The charts, each with its points as `seconds mean least greatest`, parted by commas.
pub(super) fn figures(
    roster: &Roster,
    profile: &Profile,
    device: DeviceId,
    span: Span,
    now: Timestamp,
) -> Result<Markup, StoreError> {
    let from = now.minus(span.length());
    let query = UplinkQuery { device: Some(device), from: Some(from), ..UplinkQuery::default() };
    let mut found: Vec<(String, Series)> = Vec::new();
    for uplink in roster.store.history(&query) {
        let uplink = uplink?;
        for (key, value) in View::decode(profile, &uplink).fields {
            let Some(number) = value.as_f64() else { continue };
            let place = match found.iter().position(|(known, _)| *known == key) {
                Some(place) => place,
                None if found.len() < FIELDS => {
                    found.push((key, Series::new(from, now, POINTS)));
                    found.len() - 1
                }
                None => continue,
            };
            if let Some((_, series)) = found.get_mut(place) {
                series.add(uplink.time, number);
            }
        }
    }
    let catalogue = catalogue(profile);
    let place = |key: &str| catalogue.iter().position(|field| field.key == key).unwrap_or(catalogue.len());
    found.sort_by_key(|(key, _)| place(key));
    let is_empty = found.is_empty();
    Ok(html! {
        @if is_empty { p.empty { "No number came in this time." } }
        @for (key, series) in &found {
            (figure(key, catalogue.iter().find(|field| field.key == *key), series, from, now))
        }
    })
}

fn figure(key: &str, field: Option<&FieldInfo>, series: &Series, from: Timestamp, to: Timestamp) -> Markup {
    let points: Vec<String> = series.points().map(|point| written(&point)).collect();
    let unit = field.and_then(|field| field.settings.unit.as_deref());
    let precision = field.and_then(|field| field.settings.precision);
    html! {
        figure.chart data-field=(key) data-unit=[unit] data-precision=[precision] data-from=(from.as_seconds())
            data-to=(to.as_seconds()) data-points=(points.join(",")) {
            figcaption { (words::label(key, field)) @if let Some(unit) = unit { span.unit { " in " (unit) } } }
            div.plot {}
            p.reading {}
        }
    }
}

fn written(Point { time, mean, least, greatest, .. }: &Point) -> String {
    // More digits than a screen has pixels are of no use.
    let short = |value: f64| format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned();
    format!("{} {} {} {}", time.as_seconds(), short(*mean), short(*least), short(*greatest))
}

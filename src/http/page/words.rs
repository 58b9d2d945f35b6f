//! How values, times and states are put for people. Pure: the time is passed in.

use maud::{Markup, html};
use serde_json::Value;

use crate::decode::FieldInfo;
use crate::model::{Fields, Timestamp};
use crate::publish::{Availability, Basis, Presence, Reason};

/// The longest text of a value that is shown.
const LONGEST: usize = 120;

/// A field's value with its label and unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) key: String,
    pub(super) label: String,
    pub(super) value: String,
    pub(super) unit: Option<String>,
}

/// A device's name; a cloud may have let somebody write a book.
pub(super) fn name(name: &str) -> String {
    cut(name)
}

/// A device's name beside other words, whose order it must not turn round by the direction that it is written in.
pub(super) fn name_apart(text: &str) -> Markup {
    html! { bdi { (name(text)) } }
}

/// All values, in the order of the decoder's catalogue, then what is not in it.
pub(super) fn shown(fields: &Fields, catalogue: &[FieldInfo]) -> Vec<Shown> {
    let place = |key: &str| catalogue.iter().position(|field| field.key == key).unwrap_or(catalogue.len());
    let mut rows: Vec<(usize, Shown)> =
        fields.iter().map(|(key, value)| (place(key), one(key, value, catalogue))).collect();
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn one(key: &str, value: &Value, catalogue: &[FieldInfo]) -> Shown {
    let field = catalogue.iter().find(|field| field.key == key);
    let precision = field.and_then(|field| field.settings.precision);
    let unit = field.and_then(|field| field.settings.unit.clone());
    Shown { key: key.to_owned(), label: label(key, field), value: plain(value, precision), unit }
}

/// What a field is called: by the configuration, else its key in words.
pub(super) fn label(key: &str, field: Option<&FieldInfo>) -> String {
    let named = field.and_then(|field| field.settings.name.clone());
    named.unwrap_or_else(|| key.replace('_', " "))
}

fn plain(value: &Value, precision: Option<u8>) -> String {
    match (value, value.as_f64().zip(precision)) {
        (_, Some((number, precision))) => format!("{number:.0$}", usize::from(precision)),
        (Value::Null, _) => "–".to_owned(),
        (Value::Bool(true), _) => "yes".to_owned(),
        (Value::Bool(false), _) => "no".to_owned(),
        (Value::String(text), _) => cut(text),
        (other, _) => cut(&other.to_string()),
    }
}

/// A value of the log or the configuration as a person writes it.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => cut(&values.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Bool(is_so) => is_so.to_string(),
        other => plain(other, None),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// How long ago, or in how long, in the words that a script in the browser keeps up to date.
pub(super) fn ago(time: Timestamp, now: Timestamp) -> String {
    let (ahead, behind) = (time.since(now).as_secs(), now.since(time).as_secs());
    match (ahead, behind) {
        (0, 0..5) => "just now".to_owned(),
        (1..5, _) => "in a moment".to_owned(),
        (0, behind) => format!("{} ago", span(behind)),
        (ahead, _) => format!("in {}", span(ahead)),
    }
}

/// A length of time by its largest unit, as one says it; 47 hours rather than one day.
pub(super) fn span(seconds: u64) -> String {
    let units = [(2, 86_400, "day"), (2, 3_600, "hour"), (1, 60, "minute"), (1, 1, "second")];
    let fits = |(least, size, _): &(u64, u64, &str)| seconds >= least * size;
    let (_, size, unit) = units.into_iter().find(fits).unwrap_or((1, 1, "second"));
    let count = seconds / size;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// An interval as one says it after "every": by the largest unit that it is a multiple of, else about.
fn interval(seconds: u64) -> String {
    let exact = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(size, _)| seconds >= *size && seconds % size == 0);
    match exact {
        Some((size, unit)) if seconds == size => unit.to_owned(),
        Some((size, unit)) => format!("{} {unit}s", seconds / size),
        None => span(seconds),
    }
}

/// A time as how long ago it was; the title has the time itself.
pub(super) fn when(time: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(time) title=(utc(time)) data-ago { (ago(time, now)) } }
}

/// A time as such.
pub(super) fn at(time: Timestamp) -> Markup {
    html! { time datetime=(time) data-at { (utc(time)) } }
}

fn utc(time: Timestamp) -> String {
    let text = time.to_string();
    let seconds = text.split_once('.').map_or(text.as_str(), |(seconds, _)| seconds);
    format!("{} UTC", seconds.replace('T', " "))
}

/// Bytes in the unit that one says them in.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// A word on a coloured ground; the tone is `good`, `bad`, `warn` or `calm`.
pub(super) fn badge(tone: &str, word: &str) -> Markup {
    html! { span class={ "badge " (tone) } { (word) } }
}

/// Whether a device is there, and why that is believed.
pub(super) fn availability(known: Option<&Availability>, now: Timestamp) -> Markup {
    let Some(known) = known else {
        return html! { (badge("calm", "not known yet")) };
    };
    let tone = if known.state == Presence::Online { "good" } else { "bad" };
    let word = if known.state == Presence::Online { "online" } else { "offline" };
    html! { (badge(tone, word)) " " span.why { (why(known, now)) } }
}

fn why(known: &Availability, now: Timestamp) -> String {
    let basis = match known.basis {
        Basis::Configured => "configured",
        Basis::Keepalive => "keep-alive of its type",
        Basis::Learned => "learned",
        Basis::Default => "assumed",
    };
    match known.reason {
        Reason::OnSchedule => format!("expected every {} ({basis})", interval(known.expected_interval_s)),
        Reason::Missed => {
            let since = known.deadline.map(|deadline| format!(", due {}", ago(deadline, now)));
            format!("silent for too long{}", since.unwrap_or_default())
        }
        Reason::NeverSeen => "never heard".to_owned(),
        Reason::OffContract => "its contract has ended".to_owned(),
        Reason::Disabled => "switched off in its cloud".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::config::FieldSettings;
    use crate::decode::FieldKind;

    #[test]
    fn a_time_is_told_as_one_says_it() {
        let now = Timestamp::from_cloud(1_789_000_000).unwrap();
        for (seconds, words) in [
            (0, "just now"),
            (4, "just now"),
            (59, "59 seconds ago"),
            (60, "1 minute ago"),
            (7_199, "119 minutes ago"),
            (7_200, "2 hours ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(now.minus(Duration::from_secs(seconds)), now), words);
        }
        assert_eq!(ago(now.plus(Duration::from_secs(90)), now), "in 1 minute");
        assert_eq!(ago(now.plus(Duration::from_secs(3)), now), "in a moment");
    }

    #[test]
    fn values_stand_in_the_order_of_the_catalogue_with_their_units() {
        let field = |key: &str, unit: Option<&str>, precision| FieldInfo {
            key: key.to_owned(),
            kind: FieldKind::Number,
            settings: FieldSettings { unit: unit.map(str::to_owned), precision, ..FieldSettings::default() },
        };
        let catalogue = [field("temperature", Some("°C"), Some(1)), field("battery_voltage", None, None)];
        let fields = json!({ "extra": null, "battery_voltage": 3.3, "temperature": 21.26, "on": true });
        let rows = shown(fields.as_object().unwrap(), &catalogue);
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.label.as_str(), row.value.as_str(), row.unit.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(
            rows,
            [
                ("temperature", "21.3", "°C"),
                ("battery voltage", "3.3", ""),
                ("extra", "–", ""),
                ("on", "yes", "")
            ]
        );
    }

    #[test]
    fn an_interval_is_told_as_one_says_it() {
        for (seconds, words) in [
            (3_600, "hour"),
            (90_000, "25 hours"),
            (172_800, "2 days"),
            (613, "10 minutes"),
            (45, "45 seconds"),
        ] {
            assert_eq!(interval(seconds), words);
        }
    }

    #[test]
    fn a_text_that_never_ends_is_cut() {
        assert_eq!(plain(&json!("é".repeat(5_000)), None).chars().count(), LONGEST + 1);
    }

    #[test]
    fn bytes_are_told_in_their_unit() {
        for (bytes, words) in [(12, "12 bytes"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB")] {
            assert_eq!(size(bytes), words);
        }
    }
}

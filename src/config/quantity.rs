//! Durations, sizes, rates and schedules as people write them, each parser with its printer.

use std::fmt;
use std::time::Duration;

use croner::parser::{CronParser, Seconds};

use super::Schedule;

/// Longest duration that makes sense here, in milliseconds: a hundred years.
const LONGEST_MS: u64 = 36_500 * 24 * 3_600_000;

/// Units of time in milliseconds; the first that divides a duration prints it.
const TIME_UNITS: [(&str, u64); 6] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1), ("w", 604_800_000)];

/// Units of size in bytes; the first that divides a size prints it.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `30s`, `15m`, `1h30m`; units are ms, s, m, h, d and w. None for anything else, or over a hundred years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    loop {
        let (number, after) = leading_number(rest)?;
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_end)?;
        let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = number.checked_mul(*factor)?.checked_add(total)?;
        if next.is_empty() {
            return (total <= LONGEST_MS).then(|| Duration::from_millis(total));
        }
        rest = next;
    }
}

/// Prints a duration so that `parse_duration` reads the same, to the millisecond.
#[must_use]
pub fn print_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    print_in(&TIME_UNITS, milliseconds)
}

/// Reads `64MiB`; units are B, KiB, MiB, GiB, TiB, kB, MB and GB.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let unit = unit.trim_start_matches(' ');
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// Prints a size so that `parse_size` reads the same.
pub(super) fn print_size(bytes: u64) -> String {
    print_in(&SIZE_UNITS, bytes)
}

/// Reads `50/10s` (so many in so long), or `5/s`.
pub(super) fn parse_rate(text: &str) -> Option<(u32, Duration)> {
    let (count, period) = text.split_once('/')?;
    let (count, rest) = leading_number(count)?;
    let count = u32::try_from(count).ok().filter(|count| *count > 0 && rest.is_empty())?;
    let period = parse_duration(period).or_else(|| parse_duration(&format!("1{period}")))?;
    (!period.is_zero()).then_some((count, period))
}

/// Reads a duration, or a cron expression of six fields; says what is wrong with either.
pub(super) fn parse_schedule(text: &str) -> Result<Schedule, String> {
    if !text.trim().contains(' ') {
        return parse_duration(text)
            .filter(|every| *every >= Duration::from_millis(100))
            .map(Schedule::Every)
            .ok_or_else(|| "is neither a duration of at least 100ms nor a cron expression".to_owned());
    }
    CronParser::builder()
        .seconds(Seconds::Required)
        .build()
        .parse(text)
        .map(|_cron| Schedule::Cron(text.to_owned()))
        .map_err(|error| format!("is not a cron expression ({})", error.to_string().trim_end_matches('.')))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => f.write_str(&print_duration(*every)),
            Self::Cron(expression) => f.write_str(expression),
        }
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

fn print_in(units: &[(&str, u64)], amount: u64) -> String {
    let whole = units.iter().find(|(_, factor)| amount >= *factor && amount % factor == 0);
    let (unit, factor) = whole.copied().unwrap_or(("B", 1));
    format!("{}{unit}", amount / factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for (text, seconds, printed) in [
            ("30s", 30.0, "30s"),
            ("15m", 900.0, "15m"),
            ("1h30m", 5_400.0, "90m"),
            ("24h", 86_400.0, "1d"),
            ("2w", 1_209_600.0, "14d"),
            ("500ms", 0.5, "500ms"),
            ("0s", 0.0, "0s"),
        ] {
            let duration = parse_duration(text);
            assert_eq!(duration.map(|duration| duration.as_secs_f64()), Some(seconds), "{text}");
            assert_eq!(duration.map(print_duration).as_deref(), Some(printed), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "30 s",
            "-1s",
            "1.5h",
            "30S",
            "1y",
            "30s ",
            "1h30",
            "99999999999999999999s",
            "36501d",
        ] {
            assert_eq!(parse_duration(text), None, "`{text}`");
        }
    }

    #[test]
    fn sizes_are_read_and_printed() {
        for (text, bytes, printed) in [
            ("64MiB", 67_108_864, "64MiB"),
            ("1gib", 1_073_741_824, "1GiB"),
            ("1500B", 1_500, "1500B"),
            ("2 MB", 2_000_000, "2000000B"),
            ("0B", 0, "0B"),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(print_size(bytes), printed);
        }
        for text in ["", "64", "MiB", "-1MiB", "64Mi", "99999999TiB"] {
            assert_eq!(parse_size(text), None, "`{text}`");
        }
    }

    #[test]
    fn rates_are_read() {
        for (text, rate) in [
            ("50/10s", Some((50, 10))),
            ("1/s", Some((1, 1))),
            ("5/1m", Some((5, 60))),
            ("0/s", None),
            ("5", None),
            ("5/", None),
            ("5/0s", None),
            ("x/s", None),
            ("5 /s", None),
        ] {
            assert_eq!(parse_rate(text).map(|(count, period)| (count, period.as_secs())), rate, "`{text}`");
        }
    }

    #[test]
    fn a_schedule_is_a_duration_or_a_cron_expression_with_seconds() {
        assert_eq!(parse_schedule("30s"), Ok(Schedule::Every(Duration::from_secs(30))));
        assert_eq!(parse_schedule("*/30 * * * * *"), Ok(Schedule::Cron("*/30 * * * * *".to_owned())));
        for text in ["", "0s", "soon", "* * * * *", "61 * * * * *", "a b c d e f"] {
            assert!(parse_schedule(text).is_err(), "`{text}`");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(milliseconds in 0..=LONGEST_MS, bytes in any::<u64>()) {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&print_duration(duration)), Some(duration));
            assert_eq!(parse_size(&print_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,40}") {
            let duration = parse_duration(&text);
            assert!(duration.is_none_or(|duration| duration.as_millis() <= u128::from(LONGEST_MS)));
            assert!(parse_size(&text).is_none() || text.starts_with(|c: char| c.is_ascii_digit()));
            assert!(parse_rate(&text).is_none_or(|(count, period)| count > 0 && !period.is_zero()));
            assert!(parse_schedule(&text).is_ok() || !text.is_empty() || duration.is_none());
        }
    }
}

//! When each source could not tell: its devices' deadlines stand still for so long. Pure but for its note.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock;
use crate::ingest::{SourceState, SourceStatus};
use crate::model::{SourceName, Timestamp};
use crate::store::{Store, StoreError};

/// Older outages are forgotten: no device's patience reaches that far.
const MOST: usize = 64;

/// The outages of all sources.
#[derive(Debug, Default)]
pub(super) struct Outages {
    sources: BTreeMap<SourceName, Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// From when to when, oldest first.
    past: VecDeque<(Timestamp, Timestamp)>,
    /// Since when it cannot tell now.
    since: Option<Timestamp>,
    /// Whether it has answered since this process began.
    synced: bool,
}

impl Outages {
    /// The outages that an earlier run noted. Until a source has answered it counts as away.
    pub(super) fn load(
        store: &Store,
        sources: impl Iterator<Item = SourceName>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut outages = Self::default();
        for source in sources {
            let note = store.note(&key(&source))?.unwrap_or_default();
            let past = parse(&String::from_utf8_lossy(&note));
            outages.sources.insert(source, Record { past, since: Some(now), synced: false });
        }
        Ok(outages)
    }

    /// Takes over how a source does, and says whether its devices are to be judged anew.
    pub(super) fn update(&mut self, source: &SourceName, status: &SourceStatus, now: Timestamp) -> bool {
        let record = self.sources.entry(source.clone()).or_default();
        let is_ok = status.state == SourceState::Ok;
        let was_synced = record.synced;
        record.synced |= status.last_success.is_some();
        match (record.since, is_ok) {
            (Some(since), true) => {
                record.since = None;
                // An outage that began before the clock was set would excuse every silence there ever was.
                if clock::is_set(since) {
                    record.past.push_back((since, now));
                }
                while record.past.len() > MOST {
                    record.past.pop_front();
                }
                true
            }
            (None, false) => {
                record.since = Some(now);
                true
            }
            _ => was_synced != record.synced,
        }
    }

    /// Whether the source has answered since this process began.
    pub(super) fn synced(&self, source: &SourceName) -> bool {
        self.sources.get(source).is_none_or(|record| record.synced)
    }

    /// For how long, from a time until now, the source could not tell.
    pub(super) fn blind(&self, source: &SourceName, from: Timestamp, now: Timestamp) -> Duration {
        let Some(record) = self.sources.get(source) else { return Duration::ZERO };
        let open = record.since.map(|since| (since, now));
        let within = |(begin, end): (Timestamp, Timestamp)| end.min(now).since(begin.max(from));
        record.past.iter().copied().chain(open).map(within).sum()
    }

    /// Keeps a source's outages over a restart.
    pub(super) fn save(&self, store: &Store, source: &SourceName) -> Result<(), StoreError> {
        let Some(record) = self.sources.get(source) else { return Ok(()) };
        store.set_note(&key(source), print(&record.past).as_bytes())
    }
}

fn key(source: &SourceName) -> String {
    format!("publish/outages/{source}")
}

fn print(past: &VecDeque<(Timestamp, Timestamp)>) -> String {
    let rows: Vec<String> =
        past.iter().map(|(from, to)| format!("{} {}", from.as_millis(), to.as_millis())).collect();
    rows.join("\n")
}

/// Rows that cannot be read are left out: at worst a device is called missing too early.
fn parse(text: &str) -> VecDeque<(Timestamp, Timestamp)> {
    let time = |text: &str| text.parse().ok().and_then(Timestamp::from_millis);
    text.lines()
        .filter_map(|row| row.split_once(' '))
        .filter_map(|(from, to)| time(from).zip(time(to)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_cloud(1_789_000_000 + minutes * 60).unwrap()
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }

    #[test]
    fn only_the_outages_since_a_time_count() {
        let source: SourceName = "s".parse().unwrap();
        let mut outages = Outages::default();
        let mut hear = |state, minute: i64| {
            let status = SourceStatus { state, last_success: Some(at(0)), ..SourceStatus::default() };
            outages.update(&source, &status, at(minute))
        };
        assert!(hear(SourceState::Ok, 0), "the first answer");
        assert!(!hear(SourceState::Ok, 5));
        assert!(hear(SourceState::Down, 10));
        assert!(!hear(SourceState::RateLimited, 15));
        assert!(hear(SourceState::Ok, 20));
        assert!(hear(SourceState::AuthFailed, 40));
        for (from, now, blind) in [(0, 20, 10), (0, 45, 15), (15, 45, 10), (42, 45, 3), (30, 35, 0)] {
            assert_eq!(outages.blind(&source, at(from), at(now)), minutes(blind), "{from} to {now}");
        }
        let past = &outages.sources.get(&source).unwrap().past;
        assert_eq!(&parse(&print(past)), past);
        assert!(parse("1 2\nnonsense\n3 x").len() == 1);
    }

    #[test]
    fn an_outage_that_began_before_the_clock_was_set_excuses_nothing() {
        let source: SourceName = "s".parse().unwrap();
        let mut outages = Outages::default();
        let down = SourceStatus { state: SourceState::Down, ..SourceStatus::default() };
        assert!(outages.update(&source, &down, Timestamp::default()));
        let ok = SourceStatus { state: SourceState::Ok, last_success: Some(at(0)), ..down };
        assert!(outages.update(&source, &ok, at(0)));
        assert_eq!(outages.blind(&source, at(-1000), at(10)), Duration::ZERO);
    }
}

//! When each source could not tell: its devices' deadlines stand still for so long. Pure but for its note.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::clock;
use crate::ingest::{SourceState, SourceStatus};
use crate::model::{SourceName, Timestamp};
use crate::store::{Store, StoreError};

/// Older outages are forgotten: no device's patience reaches that far.
const MOST: usize = 64;

/// A moment by the wall clock, which may be set meanwhile, and by the clock that only runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    wall: Timestamp,
    steady: Instant,
}

impl Moment {
    /// This moment, of which the wall clock says `wall`.
    pub(super) fn now(wall: Timestamp) -> Self {
        Self { wall, steady: Instant::now() }
    }

    /// When an earlier moment was, by what the wall clock says now.
    fn when(self, earlier: Instant) -> Timestamp {
        self.wall.minus(self.steady.saturating_duration_since(earlier))
    }
}

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
    since: Option<Instant>,
    /// Whether it has answered since this process began.
    synced: bool,
}

impl Outages {
    /// The outages that an earlier run noted. Until a source has answered it counts as away.
    pub(super) fn load(
        store: &Store,
        sources: impl Iterator<Item = SourceName>,
        now: Moment,
    ) -> Result<Self, StoreError> {
        let mut outages = Self::default();
        for source in sources {
            let note = store.note(&key(&source))?.unwrap_or_default();
            let past = parse(&String::from_utf8_lossy(&note));
            outages.sources.insert(source, Record { past, since: Some(now.steady), synced: false });
        }
        Ok(outages)
    }

    /// Takes over how a source does, and says whether its devices are to be judged anew.
    pub(super) fn update(&mut self, source: &SourceName, status: &SourceStatus, now: Moment) -> bool {
        let record = self.sources.entry(source.clone()).or_default();
        let is_ok = status.state == SourceState::Ok;
        let was_synced = record.synced;
        record.synced |= status.last_success.is_some();
        match (record.since, is_ok) {
            (Some(since), true) => {
                record.since = None;
                // It is as long as it lasted: by the wall clock, one that began before that was set would excuse every
                // silence there ever was.
                if clock::is_set(now.wall) {
                    record.past.push_back((now.when(since), now.wall));
                }
                while record.past.len() > MOST {
                    record.past.pop_front();
                }
                true
            }
            (None, false) => {
                record.since = Some(now.steady);
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
    pub(super) fn blind(&self, source: &SourceName, from: Timestamp, now: Moment) -> Duration {
        let Some(record) = self.sources.get(source) else { return Duration::ZERO };
        let open = record.since.map(|since| (now.when(since), now.wall));
        let within = |(begin, end): (Timestamp, Timestamp)| end.min(now.wall).since(begin.max(from));
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

    fn at(minute: i64) -> Timestamp {
        let (origin, distance) =
            (Timestamp::from_cloud(1_789_000_000).unwrap(), minutes(minute.unsigned_abs()));
        if minute < 0 { origin.minus(distance) } else { origin.plus(distance) }
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }

    /// A moment by both clocks, so many minutes after the beginning by each.
    fn moment(start: Instant, steady: u64, wall: i64) -> Moment {
        Moment { wall: at(wall), steady: start + minutes(steady) }
    }

    #[test]
    fn only_the_outages_since_a_time_count() {
        let (source, start): (SourceName, _) = ("s".parse().unwrap(), Instant::now());
        let now = |minute: u64| moment(start, minute, i64::try_from(minute).unwrap());
        let mut outages = Outages::default();
        let mut hear = |state, minute| {
            let status = SourceStatus { state, last_success: Some(at(0)), ..SourceStatus::default() };
            outages.update(&source, &status, now(minute))
        };
        assert!(hear(SourceState::Ok, 0), "the first answer");
        assert!(!hear(SourceState::Ok, 5));
        assert!(hear(SourceState::Down, 10));
        assert!(!hear(SourceState::RateLimited, 15));
        assert!(hear(SourceState::Ok, 20));
        assert!(hear(SourceState::AuthFailed, 40));
        for (from, minute, blind) in [(0, 45, 15), (15, 45, 10), (42, 45, 3), (30, 40, 0)] {
            assert_eq!(outages.blind(&source, at(from), now(minute)), minutes(blind), "{from} to {minute}");
        }
        let past = &outages.sources.get(&source).unwrap().past;
        assert_eq!(&parse(&print(past)), past);
        assert!(parse("1 2\nnonsense\n3 x").len() == 1);
    }

    #[test]
    fn an_outage_is_as_long_as_it_lasted_whatever_the_clock_said() {
        let (source, start): (SourceName, _) = ("s".parse().unwrap(), Instant::now());
        let down = SourceStatus { state: SourceState::Down, ..SourceStatus::default() };
        let ok =
            SourceStatus { state: SourceState::Ok, last_success: Some(at(0)), ..SourceStatus::default() };
        // Right; as it was when the gateway was switched off, three days ago; never set; a day ahead.
        for before in [0, -4320, -29_800_000, 1440] {
            let mut outages = Outages::default();
            assert!(outages.update(&source, &down, moment(start, 0, before)));
            let open = outages.blind(&source, at(-100_000_000), moment(start, 3, before + 3));
            assert_eq!(open, minutes(3), "{before}: while it lasts");
            assert!(outages.update(&source, &ok, moment(start, 5, 5)));
            let over = outages.blind(&source, at(-10_000), moment(start, 20, 20));
            assert_eq!(over, minutes(5), "{before}");
        }
    }
}

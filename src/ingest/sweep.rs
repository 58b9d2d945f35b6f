//! What to ask for, and what of the answer counts: windows of time, and the messages of one window, bounded in
//! memory. Plain values; nothing here asks.

use std::time::Duration;

use crate::cloud::sigfox::Message;
use crate::model::{DownlinkPayload, SourceName, Timestamp, Uplink};

/// A sweep that finds more than this is cut into smaller ones, oldest first: a year of backfill needs no more
/// memory than a day.
pub(super) const MOST_UPLINKS: usize = 10_000;

/// Two windows share this much, because no document says whether their borders belong to them.
const SHARED: Duration = Duration::from_secs(2);

/// A stretch of time to ask for; open at its end if that is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Option<Timestamp>,
}

impl Span {
    /// What is to be asked now: from the last sweep's end, a little earlier for messages that come late, or the
    /// whole backfill at first. A cursor in the future means that the clock was wrong when it was set.
    pub(super) fn since(
        cursor: Option<Timestamp>,
        now: Timestamp,
        overlap: Duration,
        backfill: Duration,
    ) -> Self {
        let from = cursor.map_or(now.minus(backfill), |cursor| cursor.min(now).minus(overlap));
        Self { from, to: None }
    }

    /// Whether a message of this time was asked for.
    pub(super) fn holds(self, time: Timestamp) -> bool {
        time >= self.from && self.to.is_none_or(|to| time < to)
    }

    /// The span in pieces, the last first, as many as it seems to take if [`MOST_UPLINKS`] reached back to
    /// `reached`; none if it is too short to be cut.
    pub(super) fn pieces(self, reached: Timestamp, now: Timestamp) -> Option<Vec<Self>> {
        let end = self.to.unwrap_or(now).max(reached);
        let whole = end.since(self.from);
        if whole < 4 * SHARED {
            return None;
        }
        let covered = end.since(reached).max(SHARED);
        // Some more pieces than the density says: a piece that overflows costs a hundred requests.
        let most = (whole.as_millis() / (2 * SHARED).as_millis()).clamp(2, 1000);
        let count = (whole.as_millis() * 5 / 4 / covered.as_millis()).clamp(2, most);
        let count = u32::try_from(count).unwrap_or(2);
        let piece = whole / count;
        let pieces = (0..count).rev().map(|n| {
            let last = n + 1 == count;
            let from =
                if n == 0 { self.from } else { self.from.plus(piece * n).minus(SHARED).max(self.from) };
            Self { from, to: if last { self.to } else { Some(self.from.plus(piece * (n + 1))) } }
        });
        Some(pieces.collect())
    }
}

/// What one sweep of a span found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Messages of the span, in any order.
    pub(super) uplinks: Vec<Uplink>,
    /// What the cloud says that some of them were answered with.
    pub(super) answers: Vec<(Uplink, DownlinkPayload)>,
    /// Rows that could not be read and pages that could not be followed, in words.
    pub(super) odd: Vec<String>,
    /// Whether the cloud gave all of it.
    pub(super) whole: bool,
    /// What the cloud's clock said at the beginning.
    pub(super) date: Option<Timestamp>,
}

/// A message as the house keeps it; `replay` if it was history already when it was first seen.
pub(super) fn uplink(message: &Message, source: &SourceName, received: Timestamp, replay: bool) -> Uplink {
    let by_strength = |a: &f64, b: &f64| a.total_cmp(b);
    let rssi = message.receptions.iter().filter_map(|reception| reception.rssi).max_by(by_strength);
    let best = message.receptions.iter().find(|reception| rssi.is_some() && reception.rssi == rssi);
    let snr = match best {
        Some(best) => best.snr,
        None => message.receptions.iter().filter_map(|reception| reception.snr).max_by(by_strength),
    };
    let stations = u16::try_from(message.receptions.len()).ok().filter(|count| *count > 0);
    Uplink {
        device: message.device,
        time: message.time,
        seq: message.seq,
        payload: message.payload.clone(),
        source: source.clone(),
        received,
        replay,
        link_quality: message.link_quality,
        rssi: rssi.map(single),
        snr: snr.map(single),
        stations,
        ack: message.ack_required,
        location: message.location,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "decibels with two digits fit single precision")]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000).unwrap()
    }

    const OVERLAP: Duration = Duration::from_secs(900);
    const BACKFILL: Duration = Duration::from_secs(3 * 86_400);

    #[test]
    fn a_sweep_begins_at_the_cursor_less_the_overlap_and_at_first_at_the_backfill() {
        let now = at(1_789_000_000);
        for (cursor, from) in [
            (None, now.minus(BACKFILL)),
            (Some(at(1_788_999_000)), at(1_788_998_100)),
            (Some(at(1_799_000_000)), at(1_788_999_100)),
        ] {
            assert_eq!(Span::since(cursor, now, OVERLAP, BACKFILL), Span { from, to: None });
        }
    }

    proptest! {
        #[test]
        fn pieces_leave_no_gap_and_get_shorter(
            from in 0_i64..1_000_000, length in 8_i64..10_000_000, reach in 0_i64..10_000_000, open: bool
        ) {
            let end = at(from + length);
            let span = Span { from: at(from), to: (!open).then_some(end) };
            let reached = at(from + reach.min(length));
            let pieces = span.pieces(reached, end).unwrap();
            prop_assert!(pieces.len() >= 2);
            prop_assert_eq!(pieces.last().unwrap().from, span.from);
            prop_assert_eq!(pieces[0].to, span.to);
            for pair in pieces.windows(2) {
                prop_assert!(pair[1].to.unwrap() > pair[0].from, "a gap in {pieces:?}");
                prop_assert!(pair[1].to.unwrap() < end);
            }
        }
    }

    #[test]
    fn a_span_of_an_instant_is_not_cut() {
        let span = Span { from: at(100), to: Some(at(103)) };
        assert_eq!(span.pieces(at(100), at(200)), None);
    }
}

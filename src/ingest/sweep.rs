//! What to ask for, and what of the answer counts: windows of time, and the messages of one window, bounded in
//! memory. Plain values; nothing here asks.

use std::time::Duration;

use crate::cloud::sigfox::Message;
use crate::model::{DownlinkPayload, SourceName, Timestamp, Uplink};

/// A sweep that finds more than this is cut into smaller ones, oldest first: a year of backfill needs no more
/// memory than a day, and its first messages are published while the next are asked for.
pub(super) const MOST_UPLINKS: usize = 2_500;

/// So many looks of a sweep that were cut short wait in memory for what is older; others are asked for again.
const MOST_AT_HAND: usize = 2;

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

    /// Pieces, the last first, at least so many, of which each holds less than [`MOST_UPLINKS`] if those `covered` so
    /// long a time.
    fn cut(self, end: Timestamp, covered: Duration, least: u128) -> impl Iterator<Item = Self> {
        let whole = end.since(self.from);
        let most = (whole.as_millis() / (2 * SHARED).as_millis()).clamp(least, 1000);
        // Some more pieces than the density says: a piece that overflows costs many requests.
        let count = (whole.as_millis() * 5 / 4).div_ceil(covered.as_millis()).clamp(least, most);
        let count = u32::try_from(count).unwrap_or(2);
        let piece = whole / count;
        (0..count).rev().map(move |n| {
            let last = n + 1 == count;
            let from =
                if n == 0 { self.from } else { self.from.plus(piece * n).minus(SHARED).max(self.from) };
            Self { from, to: if last { self.to } else { Some(self.from.plus(piece * (n + 1))) } }
        })
    }
}

/// What a sweep has still to look at, the oldest first.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The next is the last.
    left: Vec<Piece>,
    at_hand: usize,
}

/// A piece of a sweep.
#[derive(Debug)]
pub(super) enum Piece {
    /// Still to be asked for.
    Ask(Span),
    /// Asked for already, up to this time; its turn comes when what is older is kept.
    Have(Found, Timestamp),
}

impl Pieces {
    pub(super) fn of(span: Span) -> Self {
        Self { left: vec![Piece::Ask(span)], at_hand: 0 }
    }

    pub(super) fn next(&mut self) -> Option<Piece> {
        let next = self.left.pop();
        self.at_hand -= usize::from(matches!(next, Some(Piece::Have(..))));
        next
    }

    /// A span up to `end` holds more than is kept in memory: what was `found` reaches back to `left_at`. Looks at the
    /// span in pieces instead; says no if it is too short to be cut.
    pub(super) fn cut(&mut self, span: Span, found: Found, left_at: Timestamp, end: Timestamp) -> bool {
        let border = left_at.plus(SHARED);
        if found.is_in_order && self.at_hand < MOST_AT_HAND && border < end {
            self.at_hand += 1;
            self.left.push(Piece::Have(found, end));
            let older = Span { from: span.from, to: Some(border) };
            self.ask(older.cut(border, end.since(left_at), 1));
            return true;
        }
        let end = end.max(left_at);
        if end.since(span.from) < 4 * SHARED {
            return false;
        }
        self.ask(span.cut(end, end.since(left_at).max(SHARED), 2));
        true
    }

    fn ask(&mut self, spans: impl Iterator<Item = Span>) {
        self.left.extend(spans.map(Piece::Ask));
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
    /// Where it was left because it holds enough.
    pub(super) left_at: Option<Timestamp>,
    /// Whether no page held newer messages than those before it: then all that is newer than `left_at` is here.
    pub(super) is_in_order: bool,
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
    use std::collections::BTreeSet;

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

    /// What a cloud with messages at these seconds answers to a look that has enough with so many, in pages of ten.
    fn look(times: &[i64], span: Span, enough: usize, is_in_order: bool) -> Found {
        let mut found = Found { whole: true, is_in_order, ..Found::default() };
        let of_span: Vec<Timestamp> =
            times.iter().rev().map(|time| at(*time)).filter(|time| span.holds(*time)).collect();
        for page in of_span.chunks(10) {
            found.uplinks.extend(page.iter().map(|time| uplink_at(*time)));
            if found.uplinks.len() > enough {
                found.left_at = page.last().copied();
                break;
            }
        }
        found
    }

    fn uplink_at(time: Timestamp) -> Uplink {
        let device = "1A2B3C".parse().unwrap();
        Uplink::new(device, time, "00".parse().unwrap(), "cloud".parse().unwrap())
    }

    proptest! {
        #[test]
        fn a_sweep_in_pieces_finds_every_message_the_oldest_first(
            mut times in proptest::collection::vec((0_i64..100_000).prop_map(|time| time * time / 100_000), 1..600),
            enough in 30_usize..100, open: bool, is_in_order: bool,
        ) {
            times.sort_unstable();
            // So many within seconds cannot be cut.
            prop_assume!(times.windows(enough / 2).all(|some| some[some.len() - 1] - some[0] > 8));
            let span = Span { from: at(0), to: (!open).then_some(at(100_000)) };
            let mut pieces = Pieces::of(span);
            let (mut kept, mut reached, mut looks) = (BTreeSet::new(), at(0), 0);
            while let Some(piece) = pieces.next() {
                prop_assert!(pieces.left.iter().filter(|piece| matches!(piece, Piece::Have(..))).count() <= MOST_AT_HAND);
                let (found, end) = match piece {
                    Piece::Have(found, end) => (found, end),
                    Piece::Ask(span) => {
                        looks += 1;
                        let (found, end) = (look(&times, span, enough, is_in_order), span.to.unwrap_or(at(100_000)));
                        if let Some(left_at) = found.left_at {
                            prop_assert!(pieces.cut(span, found, left_at, end), "{span:?} cannot be cut");
                            continue;
                        }
                        (found, end)
                    }
                };
                prop_assert!(end >= reached, "the cursor would go back");
                reached = end;
                kept.extend(found.uplinks.iter().map(|uplink| uplink.time));
                prop_assert_eq!(
                    kept.len(), times.iter().filter(|time| at(**time) < end).collect::<BTreeSet<_>>().len(),
                    "the cursor went past what is not kept"
                );
            }
            prop_assert_eq!(reached, at(100_000));
            prop_assert!(looks < 400, "{looks} looks");
        }
    }

    #[test]
    fn what_a_look_found_before_it_was_cut_short_is_not_asked_for_again() {
        let times: Vec<i64> = (0..100_000).step_by(100).collect();
        let span = Span { from: at(0), to: None };
        let mut pieces = Pieces::of(span);
        let found = look(&times, span, 199, true);
        let left_at = found.left_at.unwrap();
        assert_eq!(left_at, at(80_000));
        assert!(matches!(pieces.next(), Some(Piece::Ask(_))));
        assert!(pieces.cut(span, found, left_at, at(100_000)));
        let Some(Piece::Have(found, end)) = pieces.left.first() else { panic!("{pieces:?}") };
        assert_eq!((found.uplinks.len(), *end), (200, at(100_000)));
        let asks: Vec<_> = pieces.left[1..]
            .iter()
            .map(|piece| match piece {
                Piece::Ask(span) => *span,
                Piece::Have(..) => panic!("two at hand"),
            })
            .collect();
        assert_eq!((asks[0].to, asks.last().unwrap().from, asks.len()), (Some(at(80_002)), at(0), 6));
    }

    #[test]
    fn a_span_of_an_instant_is_not_cut() {
        let span = Span { from: at(100), to: Some(at(103)) };
        let mut pieces = Pieces::of(span);
        assert!(!pieces.cut(span, look(&[100, 101, 102], span, 2, false), at(100), at(103)));
        assert!(!pieces.cut(span, look(&[102; 300], span, 99, true), at(102), at(103)));
    }
}

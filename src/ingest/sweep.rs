//! What to ask for, and what of the answer counts: windows of time, and the messages of one window, bounded in
//! memory. Plain values; nothing here asks.

use std::time::Duration;

use crate::cloud::sigfox::Message;
use crate::model::{DownlinkPayload, SourceName, Timestamp, Uplink};

/// A sweep that finds more than this is cut into smaller ones, oldest first: a year of backfill needs no more
/// memory than a day, and its first messages are published while the next are asked for.
pub(super) const MOST_UPLINKS: usize = 5_000;

/// So many looks of a sweep that were cut short wait in memory for what is older; others are asked for again.
const MOST_AT_HAND: usize = 4;

/// Pieces are no shorter than this, which is much to what they share,
const SHORTEST_STEP: Duration = Duration::from_secs(8);
/// and a span of this length is not cut.
const SHORTEST: Duration = Duration::from_secs(10);

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

    fn length(self) -> Option<Duration> {
        self.to.map(|to| to.since(self.from))
    }
}

/// What a sweep has still to look at, the oldest first.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The next is the last.
    left: Vec<Waiting>,
    at_hand: usize,
    /// How many messages a look may find; pieces are to hold two fifths of it.
    most: usize,
    /// Whether what is next is the rest of what was given out last.
    is_rest: bool,
}

/// A piece of a sweep.
#[derive(Debug)]
pub(super) enum Piece {
    /// Still to be asked for.
    Ask(Span),
    /// Asked for already, up to this time; its turn comes when what is older is kept.
    Have(Found, Timestamp),
}

/// What waits for its turn.
#[derive(Debug)]
enum Waiting {
    /// To be asked for in pieces of this length, which changes with what is found.
    Ask(Span, Duration),
    Have(Found, Timestamp),
}

impl Pieces {
    pub(super) fn of(span: Span, most: usize) -> Self {
        Self { left: vec![Waiting::Ask(span, Duration::ZERO)], at_hand: 0, most, is_rest: false }
    }

    pub(super) fn next(&mut self) -> Option<Piece> {
        self.is_rest = false;
        match self.left.pop()? {
            Waiting::Ask(span, step) => {
                let end = span.from.plus(SHARED).plus(step);
                if span.to.is_none_or(|to| to <= end) {
                    return Some(Piece::Ask(span));
                }
                self.is_rest = true;
                self.left.push(Waiting::Ask(Span { from: end.minus(SHARED), to: span.to }, step));
                Some(Piece::Ask(Span { from: span.from, to: Some(end) }))
            }
            Waiting::Have(found, end) => {
                self.at_hand -= 1;
                Some(Piece::Have(found, end))
            }
        }
    }

    /// How many messages a look into a span may find before it is cut short; more where it is too short for pieces.
    pub(super) fn enough(&self, span: Span) -> usize {
        if span.length().is_some_and(|length| length <= SHORTEST) { 4 * self.most } else { self.most }
    }

    /// Whether a look into a span is to be left, having found so much back to `oldest`: because that is enough, or, so
    /// that the oldest messages need not wait, because the rest will be too much if it is as dense.
    pub(super) fn is_enough(&self, span: Span, found: &Found, oldest: Timestamp) -> bool {
        let many = found.uplinks.len();
        let covered = || {
            let newest = found.uplinks.iter().map(|uplink| uplink.time).max();
            newest.map_or(Duration::ZERO, |newest| newest.since(oldest))
        };
        let is_telling = many > self.most / 10 && covered() > SHORTEST;
        many > self.enough(span)
            || (is_telling && oldest.since(span.from) > as_dense(covered(), many, self.most))
    }

    /// So many messages lay in a span: what follows it is looked at in pieces that hold enough.
    pub(super) fn whole(&mut self, span: Span, many: usize) {
        if let (true, Some(length), Some(Waiting::Ask(_, step))) =
            (self.is_rest, span.length(), self.left.last_mut())
        {
            let usual = self.most * 2 / 5;
            // That it holds next to nothing does not say that what follows does: half as long again is enough.
            *step = as_dense(length, many.max(usual * 2 / 3), usual).max(SHORTEST_STEP);
        }
    }

    /// A span up to `end` holds more than a look may find: what was `found` reaches back to `left_at`. Looks at the span
    /// in pieces instead; says no if it is too short to be cut.
    pub(super) fn cut(&mut self, span: Span, found: Found, left_at: Timestamp, end: Timestamp) -> bool {
        let step = as_dense(end.since(left_at), found.uplinks.len(), self.most * 2 / 5).max(SHORTEST_STEP);
        let border = left_at.plus(SHARED);
        let length = end.since(span.from);
        if length <= SHORTEST {
            return false;
        }
        if found.is_in_order && border < end {
            if self.at_hand < MOST_AT_HAND {
                self.at_hand += 1;
                self.left.push(Waiting::Have(found, end));
            } else {
                self.left.push(Waiting::Ask(Span { from: left_at, to: span.to }, step));
            }
            self.left.push(Waiting::Ask(Span { from: span.from, to: Some(border) }, step));
            return true;
        }
        if span.to.is_none() {
            self.left.push(Waiting::Ask(Span { from: end.minus(SHARED), to: None }, step));
        }
        let step = step.min(length / 2).max(SHORTEST_STEP);
        self.left.push(Waiting::Ask(Span { from: span.from, to: Some(end) }, step));
        true
    }
}

/// The length of a span that holds `wanted` messages if `many` lie in one of `length`.
fn as_dense(length: Duration, many: usize, wanted: usize) -> Duration {
    let part = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    length.saturating_mul(part(wanted)) / part(many).max(1)
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

    /// What a cloud with messages at these seconds answers to a look, in pages of ten.
    fn look(times: &[i64], span: Span, pieces: &Pieces, is_in_order: bool) -> Found {
        let mut found = Found { whole: true, is_in_order, ..Found::default() };
        let of_span: Vec<Timestamp> =
            times.iter().rev().map(|time| at(*time)).filter(|time| span.holds(*time)).collect();
        let mut pages = of_span.chunks(10).peekable();
        while let Some(page) = pages.next() {
            found.uplinks.extend(page.iter().map(|time| uplink_at(*time)));
            let oldest = page.last().copied().filter(|_| pages.peek().is_some());
            if oldest.is_some_and(|oldest| pieces.is_enough(span, &found, oldest)) {
                found.left_at = oldest;
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
            prop_assume!(times.windows(enough * 2).all(|some| some[some.len() - 1] - some[0] > 10));
            let span = Span { from: at(0), to: (!open).then_some(at(100_000)) };
            let mut pieces = Pieces::of(span, enough);
            let (mut kept, mut reached, mut looks) = (BTreeSet::new(), at(0), 0);
            while let Some(piece) = pieces.next() {
                prop_assert!(pieces.at_hand <= MOST_AT_HAND);
                let (found, end) = match piece {
                    Piece::Have(found, end) => (found, end),
                    Piece::Ask(span) => {
                        looks += 1;
                        let found = look(&times, span, &pieces, is_in_order);
                        let end = span.to.unwrap_or(at(100_000));
                        if let Some(left_at) = found.left_at {
                            prop_assert!(pieces.cut(span, found, left_at, end), "{span:?} cannot be cut");
                            continue;
                        }
                        pieces.whole(span, found.uplinks.len());
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
        let mut pieces = Pieces::of(span, 199);
        let found = look(&times, span, &pieces, true);
        let left_at = found.left_at.unwrap();
        assert_eq!(left_at, at(98_000), "a tenth of a look tells");
        assert!(matches!(pieces.next(), Some(Piece::Ask(_))));
        assert!(pieces.cut(span, found, left_at, at(100_000)));
        let mut asked = Vec::new();
        while let Some(Piece::Ask(span)) = pieces.next() {
            pieces.whole(span, look(&times, span, &pieces, true).uplinks.len());
            asked.push((span.from.since(at(0)).as_secs(), span.to.unwrap().since(at(0)).as_secs()));
        }
        assert_eq!((asked[0], asked.len(), asked[12].1), ((0, 7_902), 13, 98_002), "{asked:?}");
        assert!(asked.windows(2).all(|pair| pair[1].0 + 2 == pair[0].1), "{asked:?}");
        assert!(pieces.left.is_empty(), "what was found came last");
    }

    #[test]
    fn silence_is_crossed_in_ever_longer_pieces() {
        let times: Vec<i64> = (99_000..100_000).collect();
        let span = Span { from: at(0), to: None };
        let mut pieces = Pieces::of(span, 199);
        let (mut looks, mut kept) = (0, BTreeSet::new());
        while let Some(piece) = pieces.next() {
            let found = match piece {
                Piece::Have(found, _) => found,
                Piece::Ask(span) => {
                    looks += 1;
                    let found = look(&times, span, &pieces, true);
                    if let Some(left_at) = found.left_at {
                        assert!(pieces.cut(span, found, left_at, span.to.unwrap_or(at(100_000))));
                        continue;
                    }
                    pieces.whole(span, found.uplinks.len());
                    found
                }
            };
            kept.extend(found.uplinks.iter().map(|uplink| uplink.time));
        }
        assert_eq!(kept.len(), times.len());
        assert!(looks < 70, "{looks} looks");
    }

    #[test]
    fn a_span_of_an_instant_is_not_cut() {
        let span = Span { from: at(100), to: Some(at(103)) };
        let mut pieces = Pieces::of(span, 99);
        for (times, left_at, is_in_order) in [([100; 401], at(100), false), ([102; 401], at(102), true)] {
            let found = look(&times, span, &pieces, is_in_order);
            assert_eq!((found.uplinks.len(), found.left_at), (400, Some(left_at)));
            assert!(!pieces.cut(span, found, left_at, at(103)));
        }
    }
}

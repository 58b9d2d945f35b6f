//! The largest packet that a broker takes which does not say so: learned from the connections that it closed. Pure.
//!
//! A 3.1.1 broker that gets a packet above its limit closes the connection, and closes it again when the packet comes
//! again. So after such an end whatever is larger than anything acknowledged goes alone, and what is alone each time
//! that the connection ends is what the broker does not take.

use std::time::{Duration, Instant};

/// No broker in use takes less; smaller packets are never suspected.
const LEAST: usize = 1024;

/// So often in a row must the connection end under a packet that is alone.
const STRIKES: u8 = 3;

/// After so long what was learned is doubted: the broker may have a new configuration.
const BELIEF: Duration = Duration::from_secs(24 * 3600);

/// What is known of the packets that the broker takes.
#[derive(Debug, Default)]
pub(crate) struct Ceiling {
    /// The largest packet that was acknowledged.
    proven: usize,
    /// Whether a connection has ended under a packet larger than that.
    wary: bool,
    /// The packet that was alone when connections ended, and how many did.
    suspect: Option<(usize, u8)>,
    /// The smallest packet that is known to be too large, and since when.
    too_large: Option<(usize, Instant)>,
}

/// What the end of a connection says about sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing.
    Nothing,
    /// A packet may have been too large; the next connection will tell.
    Suspicion,
    /// A packet of this size was too large, and so is what is larger.
    TooLarge(usize),
}

/// Whether a packet may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// With others.
    Freely,
    /// Only while nothing else waits for its acknowledgement.
    Alone,
    /// Not at all: the broker takes at most so many bytes.
    Never(usize),
}

impl Ceiling {
    /// Whether a packet of this size may be sent.
    pub(crate) fn permit(&self, size: usize, now: Instant) -> Permit {
        match self.too_large {
            Some((too_large, since)) if size >= too_large && now < since + BELIEF => {
                Permit::Never(too_large.saturating_sub(1))
            }
            _ if self.wary && size > self.proven.max(LEAST) => Permit::Alone,
            _ => Permit::Freely,
        }
    }

    /// The broker has acknowledged a packet.
    pub(crate) fn acknowledged(&mut self, size: usize) {
        self.proven = self.proven.max(size);
        if self.suspect.is_some_and(|(suspect, _)| suspect <= size) {
            self.suspect = None;
        }
    }

    /// The connection has ended while packets of these sizes were unanswered, after it had acknowledged others or not.
    pub(crate) fn ended(&mut self, unanswered: &[usize], others_arrived: bool, now: Instant) -> Finding {
        let largest = unanswered.iter().copied().max().unwrap_or_default();
        if largest <= self.proven.max(LEAST) {
            return Finding::Nothing;
        }
        if !self.wary {
            self.wary = true;
            return Finding::Suspicion;
        }
        // A connection that answers nothing says nothing about sizes.
        if unanswered.len() > 1 || !others_arrived {
            return Finding::Nothing;
        }
        let strikes = match self.suspect {
            Some((suspect, strikes)) if suspect == largest => strikes + 1,
            _ => 1,
        };
        if strikes < STRIKES {
            self.suspect = Some((largest, strikes));
            return Finding::Suspicion;
        }
        self.suspect = None;
        self.too_large = Some((largest, now));
        Finding::TooLarge(largest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_alone_each_time_the_connection_ends_is_too_large() {
        let now = Instant::now();
        let mut ceiling = Ceiling::default();
        ceiling.acknowledged(700);
        assert_eq!(ceiling.permit(5_000, now), Permit::Freely);
        assert_eq!(ceiling.ended(&[700, 5_000, 3_000], true, now), Finding::Suspicion);
        assert_eq!(ceiling.permit(700, now), Permit::Freely);
        assert_eq!(ceiling.permit(3_000, now), Permit::Alone);
        for _ in 1..STRIKES {
            assert_eq!(ceiling.ended(&[3_000], true, now), Finding::Suspicion);
        }
        assert_eq!(ceiling.ended(&[3_000], true, now), Finding::TooLarge(3_000));
        for (size, permit) in [
            (900, Permit::Freely),
            (2_999, Permit::Alone),
            (3_000, Permit::Never(2_999)),
            (5_000, Permit::Never(2_999)),
        ] {
            assert_eq!(ceiling.permit(size, now), permit, "{size}");
        }
        assert_eq!(ceiling.permit(3_000, now + BELIEF), Permit::Alone, "a day later it is tried again");
    }

    #[test]
    fn a_link_that_breaks_is_not_a_broker_that_refuses() {
        let now = Instant::now();
        let mut ceiling = Ceiling { wary: true, ..Ceiling::default() };
        for _ in 0..20 {
            for (unanswered, others_arrived, what) in [
                (&[][..], true, "nothing under way"),
                (&[400], true, "nothing large"),
                (&[5_000], false, "nothing answered at all"),
                (&[5_000, 5_000], true, "not alone"),
            ] {
                assert_eq!(ceiling.ended(unanswered, others_arrived, now), Finding::Nothing, "{what}");
            }
        }
        for _ in 0..20 {
            ceiling.ended(&[5_000], true, now);
            ceiling.acknowledged(5_000);
            assert_eq!(ceiling.permit(5_000, now), Permit::Freely, "it was taken once");
        }
    }

    proptest! {
        #[test]
        fn what_was_acknowledged_is_never_refused(
            plays in proptest::collection::vec((any::<bool>(), 0..6_000_usize, any::<bool>()), 0..60),
        ) {
            let now = Instant::now();
            let mut ceiling = Ceiling::default();
            for (is_taken, size, others_arrived) in plays {
                if is_taken && !matches!(ceiling.permit(size, now), Permit::Never(_)) {
                    ceiling.acknowledged(size);
                } else {
                    ceiling.ended(&[size], others_arrived, now);
                }
                prop_assert!(!matches!(ceiling.permit(ceiling.proven, now), Permit::Never(_)));
            }
        }
    }
}

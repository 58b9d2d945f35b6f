//! What becomes of items that are taken out of a device type's fixed answer.

use super::{Queue, at, data, device, order, rules, uplink};
use crate::downlink::machine::{
    Cause, Knowledge, Rules, Seen, Settled, cancel, hand, is_out, judge_withdrawn, observe, push, settle,
    sweep, transmitted, withdrawal,
};
use crate::downlink::order::{Cancelled, Target};
use crate::model::DownlinkState::{Armed, Cancelled as Gone, Expired, Queued, Sent};
use crate::model::{DownlinkState, Evidence};

/// A queue of two equal items, of which the first stands in the fixed answer since second 10.
fn standing() -> Queue {
    let direct = Rules { via: Some("direct".to_owned()), ..rules() };
    let mut queue = Queue::default();
    queue.apply(push(&queue.items, device(), &[Ok(order("a", 1)), Ok(order("b", 1))], &direct, at(0)).0);
    queue.apply(hand(&queue.items, Cause::Answered, &direct, at(10)).0);
    queue.settle(&Settled::Accepted, 11);
    queue
}

fn seen(seq: u16, seconds: u64) -> Seen {
    Seen { uplink: uplink(seq, at(seconds)), received: at(seconds), asked: Some(true), acknowledges: false }
}

impl Queue {
    fn settle(&mut self, settled: &Settled, seconds: u64) {
        self.apply(settle(&self.items, &"a".parse().unwrap(), settled, at(seconds)));
    }

    fn cancel(&mut self, seconds: u64) -> Cancelled {
        let (change, outcome) = cancel(&self.items, &Target::One("a".parse().unwrap()), at(seconds));
        self.apply(change);
        outcome
    }

    /// The cloud's messages were read up to a second; the device asked in those.
    fn judge(&mut self, read: Option<u64>, asks: &[u64], tells: bool, seconds: u64) -> DownlinkState {
        let asks = asks.iter().map(|second| at(*second)).collect();
        let known = Knowledge { read_until: read.map(at), asks, tells_answers: tells };
        self.apply(judge_withdrawn(&self.items, &known, at(seconds)));
        self.item("a").state
    }
}

#[test]
fn each_way_out_of_a_fixed_answer_ends_when_the_cloud_has_told_enough() {
    let begun = Cancelled::Done { ended: Vec::new(), begun: vec!["a".parse().unwrap()] };
    let two_days = 2 * 86_400;
    for (from, why, end) in
        [(100, "cancelling", Gone), (two_days, "expiring", Expired), (100, "stopping", Queued)]
    {
        let mut queue = standing();
        match why {
            "cancelling" => assert_eq!(queue.cancel(from), begun),
            "expiring" => queue.apply(sweep(&queue.items, at(from))),
            _ => queue.settle(&Settled::Stopping, from),
        }
        assert!(queue.item("a").reason.as_ref().is_some_and(|reason| reason.starts_with(why)));
        assert_eq!(
            queue.judge(Some(from + 500), &[], true, from + 500),
            Armed,
            "{why}: it stands there still"
        );
        queue.settle(&Settled::TakenOut, from + 2);
        assert!(is_out(queue.item("a")));
        for (read, asks, state) in [
            (None, &[][..], Armed),
            (Some(from + 11), &[], Armed),
            // Who asked shortly before that is answered within a minute.
            (Some(from + 12), &[from - 30], Armed),
            (Some(from + 29), &[from - 30], Armed),
            // Before it stood there, and after it was out.
            (Some(from + 12), &[5, from + 3], end),
        ] {
            assert_eq!(
                queue.judge(read, asks, true, from + 40),
                state,
                "{why}: read {read:?}, asked {asks:?}"
            );
        }
    }
}

#[test]
fn who_was_faster_than_its_cancellation_has_it() {
    for (tells, evidence) in [(true, Evidence::Network), (false, Evidence::Inferred)] {
        let mut queue = standing();
        queue.cancel(100);
        queue.settle(&Settled::TakenOut, 102);
        if tells {
            queue.apply(transmitted(&queue.items, &seen(1, 99), data(1), at(130)));
        } else {
            // What it did after that shows nothing.
            queue.apply(observe(&queue.items, &seen(2, 400), at(400)));
            assert_eq!(queue.item("a").state, Armed);
            queue.judge(Some(410), &[99, 400], false, 410);
        }
        assert_eq!((queue.item("a").state, queue.item("a").evidence), (Sent, Some(evidence)));
        assert_eq!(queue.item("b").state, Queued);
    }
}

#[test]
fn what_is_taken_out_is_taken_out_for_one_reason() {
    let mut queue = standing();
    queue.settle(&Settled::Stopping, 50);
    queue.settle(&Settled::TakenOut, 51);
    queue.cancel(60);
    queue.settle(&Settled::Stopping, 70);
    queue.apply(sweep(&queue.items, at(2 * 86_400)));
    let reason = queue.item("a").reason.clone().unwrap();
    assert!(reason.starts_with("cancelling") && is_out(queue.item("a")), "{reason}");
    assert_eq!(queue.judge(Some(2 * 86_400), &[], true, 2 * 86_400), Gone);
}

#[test]
fn what_never_stood_there_ends_at_once() {
    let mut queue = standing();
    queue.cancel(60);
    queue.settle(&Settled::Returned("waits".to_owned()), 61);
    assert_eq!(queue.item("a").state, Gone);
    assert_eq!(withdrawal(queue.item("a")), None);
}

#[test]
fn the_cloud_is_not_waited_for_for_ever() {
    let mut queue = standing();
    queue.cancel(60);
    queue.settle(&Settled::TakenOut, 61);
    assert_eq!(queue.judge(None, &[], true, 180), Armed);
    assert_eq!(queue.judge(None, &[], true, 181), Gone);
    queue.apply(transmitted(&queue.items, &seen(1, 5), data(1), at(4000)));
    assert_eq!(queue.item("a").reason, None, "it did not stand there yet");
    for _ in 0..2 {
        queue.apply(transmitted(&queue.items, &seen(2, 20), data(1), at(4000)));
    }
    assert!(queue.item("a").reason.as_ref().is_some_and(|reason| reason.starts_with("too_late")));
    // The same bytes once more, of the next item.
    let direct = Rules { via: Some("direct".to_owned()), ..rules() };
    queue.apply(hand(&queue.items, Cause::Answered, &direct, at(5000)).0);
    for _ in 0..2 {
        queue.apply(transmitted(&queue.items, &seen(3, 5010), data(1), at(5020)));
    }
    assert_eq!(queue.states(), "a cancelled, b sent");
    assert_eq!(queue.item("a").uplink, Some(uplink(2, at(20))));
    assert_eq!(queue.item("b").uplink, Some(uplink(3, at(5010))));
}

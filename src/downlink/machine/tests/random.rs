//! Whatever happens in whatever order, the promises of `docs/downlinks.md` hold.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Queue, at, device, order, reported, rules};
use crate::downlink::machine::answer::answered_before;
use crate::downlink::machine::table;
use crate::downlink::machine::{
    Cause, Entry, Knowledge, QUEUE_BOUND, Seen, Settled, ask, asked_again, cancel, hand, in_fixed_answer,
    is_unconfirmed, judge_withdrawn, observe, push, replace, report, settle, sweep, used_today,
};
use crate::downlink::order::{Expiry, Order, Target};
use crate::model::{Downlink, DownlinkPayload, DownlinkState, Timestamp, UplinkId, UplinkTail};

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<Order>),
    Replace(Vec<Order>),
    Cancel(Option<u8>),
    /// A new uplink asks.
    Ask,
    /// The ask so many asks ago comes again.
    Retry(usize),
    Report(usize, i64),
    Observe(usize, bool),
    /// We bring the head to a cloud: into a slot, or into a fixed answer.
    Hand(bool),
    /// What comes of it: the cloud has it, has it not, will not have it; or nobody ever says.
    Settle(u8),
    /// We stop, or have taken what is to be taken out of the fixed answer.
    TakeOut(bool),
    /// The cloud's messages were read up to so many seconds before now.
    Judge(u64, bool),
    Sweep,
    /// Seconds; the clock may be set back.
    Pass(i64),
}

fn orders() -> impl Strategy<Value = Vec<Order>> {
    let one =
        (0..12_u8, 0..2_u8, proptest::option::of(0..3_u8), 0..4_u8).prop_map(|(id, byte, key, variant)| {
            let expiry = match variant {
                0 => Expiry::After(std::time::Duration::from_secs(30)),
                1 => Expiry::At(at(40_000)),
                _ => Expiry::Default,
            };
            let not_before = (variant == 3).then(|| at(20_000));
            Order {
                expiry,
                not_before,
                coalesce: key.map(|key| key.to_string()),
                ..order(&format!("i{id}"), byte)
            }
        });
    vec(one, 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => orders().prop_map(Step::Push),
        1 => orders().prop_map(Step::Replace),
        1 => proptest::option::of(0..12_u8).prop_map(Step::Cancel),
        6 => Just(Step::Ask),
        2 => (0..6_usize).prop_map(Step::Retry),
        4 => (0..6_usize, 0..10_i64).prop_map(|(ago, code)| Step::Report(ago, code)),
        2 => (0..6_usize, any::<bool>()).prop_map(|(ago, shows)| Step::Observe(ago, shows)),
        2 => any::<bool>().prop_map(Step::Hand),
        2 => (0..3_u8).prop_map(Step::Settle),
        2 => any::<bool>().prop_map(Step::TakeOut),
        2 => (0..100_u64, any::<bool>()).prop_map(|(ago, tells)| Step::Judge(ago, tells)),
        1 => Just(Step::Sweep),
        4 => (-100..4000_i64).prop_map(Step::Pass),
        1 => (20_000..100_000_i64).prop_map(Step::Pass),
    ]
}

/// The world around a queue, and what it has seen of it.
struct World {
    queue: Queue,
    now: Timestamp,
    seq: u16,
    asks: Vec<(UplinkId, Timestamp, Option<DownlinkPayload>)>,
    last: BTreeMap<String, DownlinkState>,
}

impl World {
    fn ago(&self, ago: usize) -> Option<(UplinkId, Timestamp, Option<DownlinkPayload>)> {
        self.asks.iter().rev().nth(ago).copied()
    }

    fn happen(&mut self, step: Step) -> Result<(), TestCaseError> {
        let entries = |orders: Vec<Order>| orders.into_iter().map(Ok).collect::<Vec<Entry>>();
        match step {
            Step::Push(orders) => {
                let (change, outcomes) =
                    push(&self.queue.items, device(), &entries(orders), &rules(), self.now);
                self.queue.apply(change);
                for outcome in outcomes.iter().filter(|outcome| outcome.accepted) {
                    prop_assert!(self.queue.items.iter().any(|item| item.id == outcome.item.id), "forgotten");
                }
            }
            Step::Replace(orders) => {
                let (change, _) = replace(&self.queue.items, device(), &entries(orders), &rules(), self.now);
                self.queue.apply(change);
            }
            Step::Cancel(id) => {
                let target = id.map_or(Target::All, |id| Target::One(format!("i{id}").parse().unwrap()));
                let (change, _) = cancel(&self.queue.items, &target, self.now);
                self.queue.apply(change);
            }
            Step::Ask => self.ask_anew()?,
            Step::Retry(ago) => self.retry(ago)?,
            Step::Report(ago, code) => {
                if let Some((_, time, _)) = self.ago(ago) {
                    let (change, _) = report(&self.queue.items, &reported(time, code), self.now);
                    self.queue.apply(change);
                }
            }
            Step::Observe(ago, acknowledges) => {
                if let Some((uplink, ..)) = self.ago(ago) {
                    let seen = Seen { uplink, received: self.now, asked: None, acknowledges };
                    self.queue.apply(observe(&self.queue.items, &seen, self.now));
                }
            }
            Step::Hand(into_slot) => {
                let cause = if into_slot { Cause::Handed } else { Cause::Answered };
                let (change, _) = hand(&self.queue.items, cause, &rules(), self.now);
                self.queue.apply(change);
            }
            Step::Settle(outcome) => {
                let settled = match outcome {
                    0 => Settled::Accepted,
                    1 => Settled::Returned("waits".to_owned()),
                    _ => Settled::Refused("refused".to_owned()),
                };
                let handed = self.queue.items.iter().find(|item| is_unconfirmed(item));
                if let Some(id) = handed.map(|item| item.id.clone()) {
                    self.queue.apply(settle(&self.queue.items, &id, &settled, self.now));
                }
            }
            Step::TakeOut(stopping) => {
                let settled = if stopping { Settled::Stopping } else { Settled::TakenOut };
                if let Some(id) =
                    self.queue.items.iter().find(|item| in_fixed_answer(item)).map(|item| &item.id)
                {
                    self.queue.apply(settle(&self.queue.items, &id.clone(), &settled, self.now));
                }
            }
            Step::Judge(ago, tells_answers) => {
                let read_until = Some(self.now.minus(Duration::from_secs(ago)));
                let asks = self.asks.iter().map(|(_, time, _)| *time).collect();
                let known = Knowledge { read_until, asks, tells_answers };
                self.queue.apply(judge_withdrawn(&self.queue.items, &known, self.now));
            }
            Step::Sweep => self.queue.apply(sweep(&self.queue.items, self.now)),
            Step::Pass(seconds) => {
                let millis = self.now.as_millis().saturating_add(seconds.saturating_mul(1000));
                self.now = Timestamp::from_millis(millis).unwrap();
            }
        }
        self.judge()
    }

    fn ask_anew(&mut self) -> Result<(), TestCaseError> {
        self.seq += 1;
        let uplink =
            UplinkId { device: device(), seconds: self.now.as_seconds(), tail: UplinkTail::Seq(self.seq) };
        let newest = self.queue.items.iter().filter_map(|item| item.uplink).map(|known| known.seconds).max();
        let in_order = newest.is_none_or(|newest| newest <= uplink.seconds);
        let (now, items) = (self.now, &self.queue.items);
        // The cloud asked again for what it was answered with: it waits again.
        let is_unheard = |item: &Downlink| {
            let reason = item.reason.as_deref().unwrap_or_default();
            item.state == DownlinkState::Armed && reason.starts_with("unheard")
        };
        let could = items.iter().any(|item| {
            (item.state == DownlinkState::Queued || is_unheard(item))
                && item.expires > now
                && item.not_before.is_none_or(|start| start <= now)
        });
        // What we brought to a cloud by ourselves is not concluded by an ask of a callback; in its time it ends.
        let is_brought = |item: &&Downlink| item.state == DownlinkState::Submitted || in_fixed_answer(item);
        let is_over =
            |item: &Downlink| sweep(std::slice::from_ref(item), now).put.iter().any(Downlink::is_final);
        let blocked = items.iter().filter(is_brought).any(|item| !is_over(item));
        let used: Vec<Downlink> = items.iter().filter(|item| !is_unheard(item)).cloned().collect();
        let quota_left = used_today(&used, now) < 4;
        let (change, data) = ask(items, uplink, false, rules().daily_limit, now);
        prop_assert_eq!(
            data.is_some(),
            could && quota_left && in_order && !blocked,
            "a head blocks, or nothing was due"
        );
        self.queue.apply(change);
        self.asks.push((uplink, now, data));
        Ok(())
    }

    /// The store answers a retry by itself while it knows; here the queue alone must not give other bytes.
    fn retry(&mut self, ago: usize) -> Result<(), TestCaseError> {
        let Some((uplink, _, data)) = self.ago(ago) else { return Ok(()) };
        if let Some(again) = answered_before(&self.queue.items, &uplink) {
            prop_assert_eq!(Some(again), data);
            let (change, _) = ask(&self.queue.items, uplink, false, rules().daily_limit, self.now);
            prop_assert!(change.put.is_empty() && change.events.is_empty(), "a retry consumed something");
            self.queue.apply(asked_again(&self.queue.items, &uplink, self.now));
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<(), TestCaseError> {
        let items = &self.queue.items;
        let in_flight = items.iter().filter(|item| item.state.is_in_flight()).count();
        prop_assert!(in_flight <= 1, "{} in flight", in_flight);
        prop_assert!(items.iter().filter(|item| item.is_open()).count() <= QUEUE_BOUND);
        for item in items {
            let mut steps = item.history.windows(2);
            let allowed = |from, to| table::TRANSITIONS.iter().any(|row| row.0 == from && row.2 == to);
            prop_assert!(steps.all(|pair| allowed(pair[0].0, pair[1].0)), "{:?}", item.history);
            prop_assert!(item.history.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", item.history);
            prop_assert_eq!(item.history.last().map(|(state, _)| *state), Some(item.state));
            let sends = item.history.iter().filter(|(state, _)| state.is_in_flight()).count();
            let returns =
                item.history.iter().skip(1).filter(|(state, _)| *state == DownlinkState::Queued).count();
            prop_assert!(sends <= returns + 1, "sent twice: {:?}", item.history);
        }
        for (id, state) in &self.last {
            match items.iter().find(|item| item.id.as_str() == id) {
                Some(item) if state.is_final() => prop_assert_eq!(item.state, *state, "{} left its end", id),
                Some(_) => {}
                None => {
                    prop_assert!(state.is_final() || *state == DownlinkState::Sent, "{} was forgotten", id);
                }
            }
        }
        self.last = items.iter().map(|item| (item.id.to_string(), item.state)).collect();
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_a_promise(steps in vec(step(), 1..120)) {
        let mut world = World {
            queue: Queue::default(),
            now: at(100),
            seq: 0,
            asks: Vec::new(),
            last: BTreeMap::new(),
        };
        for step in steps {
            world.happen(step)?;
        }
    }
}

//! The queue by examples and by random sequences of everything that can happen.

mod random;

use std::time::Duration;

use super::{
    Entry, QUEUE_BOUND, Rules, Seen, ask, cancel, observe, push, replace, report, sweep, used_today,
};
use crate::downlink::order::{Cancelled, Expiry, Order, Report, Target};
use crate::model::DownlinkState::{
    Acked, Armed, Cancelled as CancelledState, Expired, Failed, Queued, Rejected, Replaced, Sent, Submitted,
};
use crate::model::{
    DeviceId, Downlink, DownlinkPayload, DownlinkState, Event, Evidence, Timestamp, UplinkId, UplinkTail,
};
use crate::store::QueueChange;

/// A queue as the store keeps it.
#[derive(Default)]
struct Queue {
    items: Vec<Downlink>,
    told: Vec<(String, DownlinkState)>,
}

impl Queue {
    fn apply(&mut self, change: QueueChange) {
        for item in change.put {
            match self.items.iter_mut().find(|known| known.id == item.id) {
                Some(known) => *known = item,
                None => self.items.push(item),
            }
        }
        self.items.retain(|item| !change.forget.contains(&item.id));
        for event in change.events {
            let Event::Downlink(item) = event else { panic!("{event:?}") };
            self.told.push((item.id.to_string(), item.state));
        }
    }

    fn push(&mut self, entries: &[Entry], now: Timestamp) -> Vec<DownlinkState> {
        let (change, outcomes) = push(&self.items, device(), entries, &rules(), now);
        self.apply(change);
        outcomes.into_iter().map(|outcome| outcome.item.state).collect()
    }

    fn ask(&mut self, seq: u16, now: Timestamp) -> Option<DownlinkPayload> {
        let (change, data) = ask(&self.items, uplink(seq, now), false, &rules(), now);
        self.apply(change);
        data
    }

    fn report(&mut self, asked: Timestamp, code: i64, now: Timestamp) {
        let (change, _) = report(&self.items, &reported(asked, code), now);
        self.apply(change);
    }

    fn states(&self) -> String {
        let states: Vec<_> = self.items.iter().map(|item| format!("{} {}", item.id, item.state)).collect();
        states.join(", ")
    }

    fn item(&self, id: &str) -> &Downlink {
        self.items.iter().find(|item| item.id.as_str() == id).unwrap()
    }
}

fn device() -> DeviceId {
    DeviceId::new(0x1A_2B3C, 6)
}

fn rules() -> Rules {
    Rules {
        expires_after: Duration::from_secs(2 * 86_400),
        daily_limit: 4,
        awaits_device_ack: false,
        via: Some("callback".to_owned()),
        obstacle: None,
    }
}

/// So many seconds after a midnight.
fn at(seconds: u64) -> Timestamp {
    "2026-09-09T00:00:00Z".parse::<Timestamp>().unwrap().plus(Duration::from_secs(seconds))
}

fn data(byte: u8) -> DownlinkPayload {
    DownlinkPayload::new([byte; 8])
}

fn order(id: &str, byte: u8) -> Order {
    Order {
        id: Some(id.parse().unwrap()),
        made_id: "auto-0".parse().unwrap(),
        data: data(byte),
        expiry: Expiry::Default,
        not_before: None,
        coalesce: None,
        transaction: None,
        repeat: false,
    }
}

fn uplink(seq: u16, time: Timestamp) -> UplinkId {
    UplinkId { device: device(), seconds: time.as_seconds(), tail: UplinkTail::Seq(seq) }
}

fn reported(asked: Timestamp, code: i64) -> Report {
    Report { time: asked, info_code: Some(code), emitted: None, overusage: false }
}

#[test]
fn asks_are_answered_in_the_order_of_the_queue_and_a_report_ends_each() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    assert_eq!(queue.ask(1, at(10)), Some(data(1)));
    assert_eq!(queue.states(), "a armed, b queued");
    queue.report(at(10), 0, at(60));
    assert_eq!(queue.item("a").evidence, Some(Evidence::Network));
    assert_eq!(queue.ask(2, at(600)), Some(data(2)));
    assert_eq!(queue.states(), "a sent, b armed");
    assert_eq!(queue.ask(3, at(1200)), None);
}

#[test]
fn a_retry_of_the_same_ask_gets_the_same_bytes_and_consumes_nothing() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    for _ in 0..4 {
        let (change, answer) = ask(&queue.items, uplink(1, at(10)), false, &rules(), at(10));
        queue.apply(change);
        assert_eq!(answer, Some(data(1)));
    }
    assert_eq!(queue.states(), "a armed, b queued");
}

#[test]
fn each_info_code_does_what_the_contract_says() {
    for (code, state) in [
        (0, Sent),
        (1, Failed),
        (2, Failed),
        (3, Queued),
        (4, Queued),
        (5, Armed),
        (6, Failed),
        (7, Queued),
        (8, Failed),
        (9, Armed),
    ] {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1))], at(0));
        queue.ask(1, at(10));
        queue.report(at(10), code, at(60));
        assert_eq!(queue.item("a").state, state, "infoCode {code}");
        queue.report(at(10), code, at(120));
        assert_eq!(queue.item("a").state, state, "infoCode {code} again");
    }
}

#[test]
fn a_report_belongs_to_the_ask_of_its_time_or_to_the_one_shortly_before() {
    for (time, code, state) in
        [(10, 0, Sent), (30, 0, Sent), (9, 0, Armed), (900, 0, Armed), (30, 1, Armed), (30, 4, Queued)]
    {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1))], at(0));
        queue.ask(1, at(10));
        queue.report(at(time), code, at(1000));
        assert_eq!(queue.item("a").state, state, "infoCode {code} of second {time}");
    }
}

#[test]
fn a_new_ask_concludes_the_open_one_and_a_late_report_makes_it_certain() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    queue.ask(1, at(10));
    assert_eq!(queue.ask(2, at(700)), Some(data(2)));
    assert_eq!((queue.item("a").state, queue.item("a").evidence), (Sent, Some(Evidence::Inferred)));
    queue.report(at(10), 0, at(710));
    assert_eq!(queue.item("a").evidence, Some(Evidence::Network));
    queue.report(at(10), 4, at(720));
    assert_eq!(queue.states(), "a sent, b armed");
}

#[test]
fn an_ask_of_the_past_gets_nothing() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    queue.ask(5, at(1000));
    assert_eq!(ask(&queue.items, uplink(4, at(500)), false, &rules(), at(1001)).1, None);
    assert_eq!(ask(&queue.items, uplink(6, at(2000)), true, &rules(), at(2000)).1, None);
    assert_eq!(queue.states(), "a armed, b queued");
}

#[test]
fn what_came_back_goes_out_again_first_and_expires_in_its_time() {
    let mut queue = Queue::default();
    queue.push(
        &[Ok(Order { expiry: Expiry::After(Duration::from_secs(900)), ..order("a", 1) }), Ok(order("b", 2))],
        at(0),
    );
    queue.ask(1, at(10));
    queue.report(at(10), 4, at(60));
    assert_eq!(queue.ask(2, at(600)), Some(data(1)));
    queue.report(at(600), 4, at(1000));
    assert_eq!(queue.states(), "a expired, b queued");
    assert_eq!(queue.ask(3, at(1200)), Some(data(2)));
}

#[test]
fn a_head_that_is_over_or_early_holds_up_nobody() {
    let mut queue = Queue::default();
    let over = Order { expiry: Expiry::At(at(5)), ..order("over", 1) };
    let early = Order { not_before: Some(at(5000)), ..order("early", 2) };
    queue.push(&[Ok(over), Ok(early), Ok(order("now", 3))], at(0));
    assert_eq!(queue.ask(1, at(10)), Some(data(3)));
    assert_eq!(queue.states(), "over expired, early queued, now armed");
    assert_eq!(queue.ask(2, at(6000)), Some(data(2)));
}

#[test]
fn the_daily_limit_makes_the_rest_wait_for_the_next_utc_day() {
    let mut queue = Queue::default();
    let entries: Vec<Entry> = (0..6).map(|n| Ok(order(&format!("i{n}"), n))).collect();
    queue.push(&entries, at(0));
    let answered = (0..6).filter(|n| queue.ask(*n, at(3600 * u64::from(*n + 1))).is_some()).count();
    assert_eq!((answered, used_today(&queue.items, at(86_399))), (4, 4));
    assert_eq!(used_today(&queue.items, at(86_400)), 0);
    assert_eq!(queue.ask(9, at(86_400)), Some(data(4)));
}

#[test]
fn what_came_back_does_not_count_in_the_quota() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1))], at(0));
    queue.ask(1, at(10));
    assert_eq!(used_today(&queue.items, at(11)), 1);
    queue.report(at(10), 7, at(60));
    assert_eq!(used_today(&queue.items, at(61)), 0);
}

#[test]
fn a_name_is_used_once() {
    let mut queue = Queue::default();
    assert_eq!(queue.push(&[Ok(order("a", 1))], at(0)), [Queued]);
    assert_eq!(queue.push(&[Ok(order("a", 1)), Ok(order("a", 2))], at(1)), [Queued, Rejected]);
    let later = Order { not_before: Some(at(50)), ..order("a", 1) };
    assert_eq!(queue.push(&[Ok(later)], at(2)), [Rejected]);
    queue.ask(1, at(10));
    assert_eq!(queue.push(&[Ok(order("a", 1))], at(11)), [Armed]);
    assert_eq!(queue.states(), "a armed");
    let told: Vec<_> = queue.told.iter().map(|(_, state)| *state).collect();
    assert_eq!(told, [Queued, Rejected, Rejected, Armed]);
}

#[test]
fn a_repeat_of_an_unnamed_command_finds_what_its_first_delivery_made() {
    let mut queue = Queue::default();
    let unnamed =
        |made: &str, repeat| Order { id: None, made_id: made.parse().unwrap(), repeat, ..order("x", 1) };
    queue.push(&[Ok(unnamed("auto-1", false))], at(0));
    queue.push(&[Ok(unnamed("auto-2", true))], at(1));
    assert_eq!(queue.states(), "auto-1 queued");
    queue.push(&[Ok(unnamed("auto-3", false))], at(2));
    assert_eq!(queue.states(), "auto-1 queued, auto-3 queued");
}

#[test]
fn the_seventeenth_open_item_is_rejected() {
    let mut queue = Queue::default();
    let entries: Vec<Entry> = (0..20).map(|n| Ok(order(&format!("i{n}"), n))).collect();
    let states = queue.push(&entries, at(0));
    assert_eq!(states.iter().filter(|state| **state == Queued).count(), QUEUE_BOUND);
    assert_eq!(states.iter().filter(|state| **state == Rejected).count(), 4);
    queue.ask(1, at(10));
    assert_eq!(queue.push(&[Ok(order("more", 1))], at(11)), [Rejected]);
    queue.report(at(10), 0, at(60));
    assert_eq!(queue.push(&[Ok(order("more", 1))], at(61)), [Queued]);
}

#[test]
fn a_newer_item_of_the_same_key_takes_the_place_of_what_waits() {
    let mut queue = Queue::default();
    let keyed = |id, byte| Ok(Order { coalesce: Some("mode".to_owned()), ..order(id, byte) });
    queue.push(&[keyed("a", 1), Ok(order("b", 2))], at(0));
    queue.ask(1, at(5));
    queue.push(&[keyed("c", 3)], at(10));
    queue.push(&[keyed("d", 4)], at(20));
    assert_eq!(queue.states(), "a armed, b queued, c replaced, d queued");
}

#[test]
fn replace_drops_what_waits_but_not_what_is_in_flight() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2)), Ok(order("c", 3))], at(0));
    queue.ask(1, at(10));
    let (change, _) =
        replace(&queue.items, device(), &[Ok(order("c", 3)), Ok(order("d", 4))], &rules(), at(20));
    queue.apply(change);
    assert_eq!(queue.states(), "a armed, b replaced, c queued, d queued");
    let (change, outcomes) = replace(&queue.items, device(), &[Ok(order("c", 9))], &rules(), at(30));
    queue.apply(change);
    assert_eq!(outcomes[0].item.reason.as_deref(), Some("id_conflict"));
    assert_eq!(queue.states(), "a armed, b replaced, c queued, d queued");
}

#[test]
fn cancel_takes_back_what_waits() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2)), Ok(order("c", 3))], at(0));
    queue.ask(1, at(10));
    let one = |id: &str| Target::One(id.parse().unwrap());
    for (target, expected) in [
        (one("nobody"), Cancelled::Unknown),
        (one("a"), Cancelled::InFlight),
        (one("b"), Cancelled::Done(vec!["b".parse().unwrap()])),
        (one("b"), Cancelled::Done(vec!["b".parse().unwrap()])),
        (Target::All, Cancelled::Done(vec!["c".parse().unwrap()])),
        (Target::All, Cancelled::Done(vec![])),
    ] {
        let (change, outcome) = cancel(&queue.items, &target, at(20));
        queue.apply(change);
        assert_eq!(outcome, expected, "{target:?}");
    }
    assert_eq!(queue.item("b").state, CancelledState);
    queue.report(at(10), 0, at(60));
    assert_eq!(cancel(&queue.items, &one("a"), at(61)).1, Cancelled::Ended);
}

#[test]
fn the_device_s_own_acknowledgement_ends_a_sent_item() {
    let mut queue = Queue::default();
    let rules = Rules { awaits_device_ack: true, ..rules() };
    queue.apply(push(&queue.items, device(), &[Ok(order("a", 1))], &rules, at(0)).0);
    queue.ask(1, at(10));
    queue.report(at(10), 0, at(60));
    assert!(!queue.item("a").is_final());
    let seen = |seq, seconds| Seen { uplink: uplink(seq, at(seconds)), asked: None, acknowledges: true };
    queue.apply(observe(&queue.items, &seen(1, 10), at(70)));
    assert_eq!(queue.item("a").state, Sent);
    queue.apply(observe(&queue.items, &seen(2, 100), at(101)));
    assert_eq!((queue.item("a").state, queue.item("a").evidence), (Acked, Some(Evidence::Device)));
}

#[test]
fn nothing_waits_for_ever() {
    let mut queue = Queue::default();
    let rules = Rules { awaits_device_ack: true, ..rules() };
    queue.apply(push(&queue.items, device(), &[Ok(order("a", 1)), Ok(order("b", 2))], &rules, at(0)).0);
    queue.ask(1, at(10));
    queue.ask(2, at(20));
    queue.apply(sweep(&queue.items, at(2 * 86_400 + 3700)));
    assert_eq!(queue.states(), "a sent, b expired");
    assert!(queue.items.iter().all(Downlink::is_final));
    queue.apply(sweep(&queue.items, at(4 * 86_400)));
    assert_eq!(queue.states(), "");
}

#[test]
fn a_flood_of_finished_items_is_bounded() {
    let mut queue = Queue::default();
    for n in 0..200 {
        queue.push(&[Ok(order(&format!("i{n}"), 1))], at(n));
        queue.apply(cancel(&queue.items, &Target::All, at(n)).0);
        queue.apply(sweep(&queue.items, at(n)));
    }
    assert_eq!(queue.items.len(), 64);
    assert_eq!(queue.items[0].id.as_str(), "i136");
}

#[test]
fn an_uplink_long_after_the_answer_concludes_what_no_report_does() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1))], at(0));
    queue.ask(1, at(10));
    let seen = |seconds| Seen { uplink: uplink(2, at(seconds)), asked: Some(false), acknowledges: false };
    queue.apply(observe(&queue.items, &seen(300), at(300)));
    assert_eq!(queue.item("a").state, Armed);
    queue.apply(observe(&queue.items, &seen(1000), at(1000)));
    assert_eq!((queue.item("a").state, queue.item("a").evidence), (Sent, Some(Evidence::Inferred)));
}

#[test]
fn an_item_handed_to_a_cloud_is_resolved_by_what_the_cloud_says() {
    let back = Settled::Returned("waits".to_owned());
    for (settled, state) in [
        (None, Submitted),
        (Some(Settled::Accepted), Submitted),
        (Some(back), Queued),
        (Some(Settled::Refused("gone".to_owned())), Failed),
    ] {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
        let (change, item) = hand(&queue.items, Cause::Handed, &rules(), at(10));
        queue.apply(change);
        let item = item.unwrap();
        assert!(
            is_unconfirmed(queue.item("a"))
                && hand(&queue.items, Cause::Handed, &rules(), at(11)).1.is_none()
        );
        if let Some(settled) = &settled {
            queue.apply(settle(&queue.items, &item.id, settled, at(12)));
        }
        assert_eq!(queue.item("a").state, state, "{settled:?}");
        assert_eq!(is_unconfirmed(queue.item("a")), settled.is_none());
    }
}

#[test]
fn the_next_uplink_shows_that_a_slot_was_served_unless_it_did_not_ask() {
    for (seconds, asked, state) in
        [(5, None, Submitted), (20, Some(false), Submitted), (20, None, Sent), (20, Some(true), Sent)]
    {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1))], at(0));
        queue.apply(hand(&queue.items, Cause::Handed, &rules(), at(10)).0);
        let seen = Seen { uplink: uplink(1, at(seconds)), asked, acknowledges: false };
        queue.apply(observe(&queue.items, &seen, at(30)));
        assert_eq!(queue.item("a").state, state, "uplink of second {seconds}, asked {asked:?}");
    }
}

#[test]
fn what_stands_in_a_fixed_answer_can_be_taken_back_and_ends_in_its_time() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    queue.apply(hand(&queue.items, Cause::Answered, &rules(), at(10)).0);
    assert!(in_fixed_answer(queue.item("a")));
    queue.apply(cancel(&queue.items, &Target::One("a".parse().unwrap()), at(20)).0);
    queue.apply(hand(&queue.items, Cause::Answered, &rules(), at(30)).0);
    queue.apply(sweep(&queue.items, at(2 * 86_400)));
    assert_eq!(queue.states(), "b expired");
}

#[test]
fn expiry_and_replacement_are_told() {
    let mut queue = Queue::default();
    let short = Order { expiry: Expiry::After(Duration::from_secs(60)), ..order("a", 1) };
    queue.push(&[Ok(short)], at(0));
    queue.apply(sweep(&queue.items, at(60)));
    assert_eq!(queue.told, [("a".to_owned(), Queued), ("a".to_owned(), Expired)]);
    let (change, _) = replace(&queue.items, device(), &[], &rules(), at(61));
    assert!(change.put.iter().all(|item| item.state != Replaced));
}

//! What asks, reports and uplinks do to a queue.

use std::time::Duration;

use super::{Queue, at, data, device, order, reported, rules, uplink};
use crate::downlink::machine::{
    Cause, Entry, Rules, Seen, Settled, ask, asked_again, hand, observe, push, report, settle, transmitted,
    used_today,
};
use crate::downlink::order::{Expiry, Order, Report};
use crate::model::DownlinkState::{Acked, Armed, Failed, Queued, Sent};
use crate::model::Evidence;

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
        let (change, answer) = ask(&queue.items, uplink(1, at(10)), false, rules().daily_limit, at(10));
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
fn what_the_cloud_did_not_get_while_the_device_listened_waits_again_unless_it_is_reported() {
    // The cloud asks again after a minute; a proxy that repeats a request does so at once.
    for (again, reported, end) in [
        (Some(60), None, "a armed, b queued"),
        (Some(60), Some(0), "a sent, b armed"),
        (Some(60), Some(4), "a armed, b queued"),
        (Some(12), None, "a sent, b armed"),
        (None, None, "a sent, b armed"),
    ] {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
        queue.ask(1, at(10));
        for _ in 0..2 {
            if let Some(again) = again {
                queue.apply(asked_again(&queue.items, &uplink(1, at(10)), at(again)));
            }
        }
        if let Some(code) = reported {
            queue.report(at(10), code, at(90));
        }
        queue.ask(2, at(600));
        assert_eq!(queue.states(), end, "asked again in second {again:?}, infoCode {reported:?}");
    }
}

#[test]
fn a_downlink_beyond_the_contract_is_sent_and_said_to_be_so() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1))], at(0));
    queue.ask(1, at(10));
    let (change, item) = report(&queue.items, &Report { overusage: true, ..reported(at(10), 0) }, at(60));
    queue.apply(change);
    assert_eq!(item.map(|item| item.id.to_string()), Some("a".to_owned()));
    assert_eq!(queue.states(), "a sent");
    assert!(queue.item("a").reason.as_ref().is_some_and(|reason| reason.starts_with("overusage")));
}

#[test]
fn an_ask_of_the_past_gets_nothing() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    queue.ask(5, at(1000));
    assert_eq!(ask(&queue.items, uplink(4, at(500)), false, rules().daily_limit, at(1001)).1, None);
    assert_eq!(ask(&queue.items, uplink(6, at(2000)), true, rules().daily_limit, at(2000)).1, None);
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
fn the_device_s_own_acknowledgement_ends_a_sent_item() {
    let mut queue = Queue::default();
    let rules = Rules { awaits_device_ack: true, ..rules() };
    queue.apply(push(&queue.items, device(), &[Ok(order("a", 1))], &rules, at(0)).0);
    queue.ask(1, at(10));
    queue.report(at(10), 0, at(60));
    assert!(!queue.item("a").is_final());
    let seen = |seq, seconds| Seen {
        uplink: uplink(seq, at(seconds)),
        received: at(seconds),
        asked: None,
        acknowledges: true,
    };
    queue.apply(observe(&queue.items, &seen(1, 10), at(70)));
    assert_eq!(queue.item("a").state, Sent);
    queue.apply(observe(&queue.items, &seen(2, 100), at(101)));
    assert_eq!((queue.item("a").state, queue.item("a").evidence), (Acked, Some(Evidence::Device)));
}

#[test]
fn an_uplink_long_after_the_answer_concludes_what_no_report_does() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1))], at(0));
    queue.ask(1, at(10));
    let seen = |seconds| Seen {
        uplink: uplink(2, at(seconds)),
        received: at(seconds),
        asked: Some(false),
        acknowledges: false,
    };
    queue.apply(observe(&queue.items, &seen(300), at(300)));
    assert_eq!(queue.item("a").state, Armed);
    queue.apply(observe(&queue.items, &seen(1000), at(1000)));
    assert_eq!((queue.item("a").state, queue.item("a").evidence), (Sent, Some(Evidence::Inferred)));
}

#[test]
fn what_the_network_says_an_uplink_was_answered_with_is_evidence() {
    let seen = |seq, seconds| Seen {
        uplink: uplink(seq, at(seconds)),
        received: at(seconds + 5),
        asked: Some(true),
        acknowledges: false,
    };
    // Asked in second 10 with number 1; what the network says of an uplink, and what it makes of the item.
    for (seq, seconds, said, evidence) in
        [(1, 10, 1, Some(Evidence::Network)), (1, 10, 2, None), (2, 10, 1, None), (2, 40, 1, None)]
    {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1))], at(0));
        queue.ask(1, at(10));
        let data = order("b", said).data;
        queue.apply(transmitted(&queue.items, &seen(seq, seconds), data, at(60)));
        let state = if evidence.is_some() { Sent } else { Armed };
        assert_eq!(
            (queue.item("a").state, queue.item("a").evidence),
            (state, evidence),
            "{seq} {seconds} {said}"
        );
    }
    // In the type's fixed answer, and after it was only concluded.
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1)), Ok(order("b", 2))], at(0));
    queue.apply(hand(&queue.items, Cause::Answered, &rules(), at(10)).0);
    queue.apply(transmitted(&queue.items, &seen(3, 9), order("a", 1).data, at(60)));
    assert_eq!(queue.item("a").state, Armed);
    // Fetched in the second in which it was written, and before the cloud had confirmed it.
    queue.apply(settle(&queue.items, &"a".parse().unwrap(), &Settled::Accepted, at(12)));
    queue.apply(transmitted(&queue.items, &seen(4, 10), order("a", 1).data, at(60)));
    assert_eq!((queue.item("a").state, queue.item("a").evidence), (Sent, Some(Evidence::Network)));
    queue.ask(5, at(70));
    queue.ask(6, at(700));
    assert_eq!((queue.item("b").state, queue.item("b").evidence), (Sent, Some(Evidence::Inferred)));
    queue.apply(transmitted(&queue.items, &seen(5, 70), order("b", 2).data, at(800)));
    assert_eq!((queue.item("b").evidence, &queue.item("b").reason), (Some(Evidence::Network), &None));
}

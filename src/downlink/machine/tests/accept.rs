//! What commands do to a queue.

use super::{Queue, at, device, order, rules};
use crate::downlink::machine::{Entry, QUEUE_BOUND, cancel, replace};
use crate::downlink::order::{Cancelled, Order, Target};
use crate::model::DownlinkState::{Armed, Cancelled as CancelledState, Queued, Rejected};

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

fn ended(ids: &[&str]) -> Cancelled {
    Cancelled::Done { ended: ids.iter().map(|id| id.parse().unwrap()).collect(), begun: Vec::new() }
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
        (one("b"), ended(&["b"])),
        (one("b"), ended(&["b"])),
        (Target::All, ended(&["c"])),
        (Target::All, ended(&[])),
    ] {
        let (change, outcome) = cancel(&queue.items, &target, at(20));
        queue.apply(change);
        assert_eq!(outcome, expected, "{target:?}");
    }
    assert_eq!(queue.item("b").state, CancelledState);
    queue.report(at(10), 0, at(60));
    assert_eq!(cancel(&queue.items, &one("a"), at(61)).1, Cancelled::Ended);
}

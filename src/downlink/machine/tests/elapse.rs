//! What time does to a queue.

use std::time::Duration;

use super::{Queue, at, device, order, rules};
use crate::downlink::machine::{Rules, cancel, push, replace, sweep};
use crate::downlink::order::{Expiry, Order, Target};
use crate::model::Downlink;
use crate::model::DownlinkState::{Expired, Queued, Replaced};

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
fn expiry_and_replacement_are_told() {
    let mut queue = Queue::default();
    let short = Order { expiry: Expiry::After(Duration::from_secs(60)), ..order("a", 1) };
    queue.push(&[Ok(short)], at(0));
    queue.apply(sweep(&queue.items, at(60)));
    assert_eq!(queue.told, [("a".to_owned(), Queued), ("a".to_owned(), Expired)]);
    let (change, _) = replace(&queue.items, device(), &[], &rules(), at(61));
    assert!(change.put.iter().all(|item| item.state != Replaced));
}

//! What becomes of items that we bring to a cloud.

use super::{Queue, at, order, rules, uplink};
use crate::downlink::machine::{Cause, Seen, Settled, hand, is_unconfirmed, observe, settle};
use crate::model::DownlinkState::{Failed, Queued, Sent, Submitted};

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
        let seen = Seen { uplink: uplink(1, at(seconds)), received: at(seconds), asked, acknowledges: false };
        queue.apply(observe(&queue.items, &seen, at(30)));
        assert_eq!(queue.item("a").state, state, "uplink of second {seconds}, asked {asked:?}");
    }
}

#[test]
fn what_no_cloud_confirmed_stays_in_doubt_after_the_next_uplink() {
    for confirmed in [false, true] {
        let mut queue = Queue::default();
        queue.push(&[Ok(order("a", 1))], at(0));
        queue.apply(hand(&queue.items, Cause::Handed, &rules(), at(10)).0);
        if confirmed {
            let id = "a".parse().unwrap();
            queue.apply(settle(&queue.items, &id, &Settled::Accepted, at(11)));
        }
        let seen = Seen { uplink: uplink(1, at(20)), received: at(20), asked: None, acknowledges: false };
        queue.apply(observe(&queue.items, &seen, at(30)));
        let doubt = queue.item("a").reason.as_deref().is_some_and(|reason| reason.starts_with("unconfirmed"));
        assert_eq!((queue.item("a").state, doubt), (Sent, !confirmed));
    }
}

#[test]
fn an_uplink_that_came_before_shows_nothing_however_its_time_is() {
    let mut queue = Queue::default();
    queue.push(&[Ok(order("a", 1))], at(0));
    queue.apply(hand(&queue.items, Cause::Handed, &rules(), at(10)).0);
    // The cloud's clock is an hour ahead of ours.
    let seen = |received| Seen {
        uplink: uplink(1, at(3600)),
        received: at(received),
        asked: None,
        acknowledges: false,
    };
    for (received, state) in [(9, Submitted), (10, Submitted), (11, Sent)] {
        queue.apply(observe(&queue.items, &seen(received), at(30)));
        assert_eq!(queue.item("a").state, state, "received in second {received}");
    }
}

//! Sessions, testaments and what is retained, as the clients see it, with a clock of the tests' own.

use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::time::Instant;

use super::connect::{Connect, FOR_EVER, Goodbye, Subscription, Wanted, Will, subscribe, unsubscribe};
use super::filter::Filter;
use super::hub::{Hub, Seat};
use super::message::{Message, Publish, acknowledged};
use super::packet::{self, Packet, Refusal};

const GOODBYE: Goodbye = Goodbye { with_will: false, remembered_s: None };

fn after(seconds: u64, begin: Instant) -> Instant {
    begin + Duration::from_secs(seconds)
}

fn client(remembered_s: u32) -> Connect {
    Connect {
        is_v5: false,
        is_clean: false,
        keep_alive: 0,
        client: String::new(),
        user: None,
        password: None,
        will: None,
        remembered_s,
        window: 2,
        largest: 1_000,
    }
}

fn message(topic: &str, payload: &str, qos: u8, retain: bool) -> Message {
    Message::new(topic.to_owned(), payload.as_bytes(), (qos, retain), &[], Instant::now()).unwrap()
}

fn wanted(filter: &str, qos: u8) -> Vec<Wanted> {
    let options = Subscription { qos, no_local: false, retain_as_published: false, id: None };
    vec![Wanted { filter: Filter::new(filter.to_owned()), options, retain_handling: 0 }]
}

/// What a client is told: the first byte, the packet id where there is one, and the payload.
fn told(hub: &mut Hub, seat: &Seat) -> Vec<(u8, u16, String)> {
    let mut out = BytesMut::new();
    while hub.take(seat, &mut out, Instant::now()) {}
    let mut told = Vec::new();
    while let Some(packet) = Packet::take(&mut out, 1 << 20).unwrap() {
        let first = packet.kind() << 4 | packet.flags();
        let publish = Publish::read(&packet, false, Instant::now()).unwrap();
        let payload = String::from_utf8(publish.message.payload.to_vec()).unwrap();
        told.push((first, publish.id, payload));
    }
    told
}

fn texts(told: &[(u8, u16, String)]) -> Vec<&str> {
    told.iter().map(|(_, _, text)| text.as_str()).collect()
}

#[test]
fn what_was_on_its_way_and_what_came_meanwhile_is_told_to_a_client_that_comes_back() {
    let (mut hub, now) = (Hub::default(), Instant::now());
    let (seat, present) = hub.seat("c".to_owned(), client(60), now);
    assert!(!present);
    assert_eq!(hub.subscribe(&seat, wanted("t/#", 1)), [1]);
    for text in ["one", "two", "three"] {
        hub.publish("", message("t/a", text, 1, false)).unwrap();
    }
    let first = told(&mut hub, &seat);
    assert_eq!(first, [(0x32, 1, "one".to_owned()), (0x32, 2, "two".to_owned())], "its window is 2");
    hub.acked(&seat, 2);
    hub.leave(&seat, None, now);
    hub.publish("", message("t/b", "four", 1, false)).unwrap();
    hub.publish("", message("t/b", "not kept", 0, false)).unwrap();

    let (seat, present) = hub.seat("c".to_owned(), client(60), after(59, now));
    assert!(present);
    let again = told(&mut hub, &seat);
    assert_eq!(again[0], (0x3a, 1, "one".to_owned()), "the same packet, marked as a repeat");
    hub.acked(&seat, again[0].1);
    hub.acked(&seat, again[1].1);
    assert_eq!((texts(&again), texts(&told(&mut hub, &seat))), (vec!["one", "three"], vec!["four"]));

    hub.leave(&seat, Some(GOODBYE), now);
    hub.tick(after(61, now));
    let (_seat, present) = hub.seat("c".to_owned(), client(60), after(62, now));
    assert!(!present, "forgotten after a minute");
}

#[test]
fn a_session_is_one_clients_and_the_last_one_has_it() {
    let (mut hub, now) = (Hub::default(), Instant::now());
    let (first, _) = hub.seat("c".to_owned(), client(FOR_EVER), now);
    hub.subscribe(&first, wanted("t", 1));
    let (second, present) = hub.seat("c".to_owned(), client(FOR_EVER), now);
    assert!(present && first.line.taken_over.is_cancelled());
    hub.publish("", message("t", "x", 1, false)).unwrap();
    // What the first one does has no effect any more.
    hub.leave(&first, None, now);
    assert_eq!(told(&mut hub, &first), []);
    assert_eq!(texts(&told(&mut hub, &second)), ["x"]);
    let (clean, present) = hub.seat("c".to_owned(), Connect { is_clean: true, ..client(0) }, now);
    assert!(!present);
    hub.publish("", message("t", "y", 1, false)).unwrap();
    assert_eq!(told(&mut hub, &clean), [], "it starts without subscriptions");
}

#[test]
fn a_testament_is_told_when_it_is_due_and_not_after_a_goodbye() {
    let come_back = |hub: &mut Hub, at| drop(hub.seat("c".to_owned(), client(60), at));
    for (delay_s, remembered_s, goodbye, back_at, seen_at) in [
        (0, 60, None, None, Some(0)),
        (0, 60, Some(GOODBYE), None, None),
        (0, 60, Some(Goodbye { with_will: true, remembered_s: None }), None, Some(0)),
        (10, 60, None, None, Some(10)),
        (10, 60, None, Some(5), None),
        // The session ends first.
        (100, 5, None, None, Some(5)),
        (100, 0, None, None, Some(0)),
        (100, 60, Some(Goodbye { with_will: true, remembered_s: Some(0) }), None, Some(0)),
    ] {
        let (mut hub, now) = (Hub::default(), Instant::now());
        let (watcher, _) = hub.seat("w".to_owned(), client(0), now);
        hub.subscribe(&watcher, wanted("will", 1));
        let will = Will { message: message("will", "gone", 1, false), delay_s };
        let connect = Connect { will: Some(will), ..client(remembered_s) };
        let (seat, _) = hub.seat("c".to_owned(), connect, now);
        hub.leave(&seat, goodbye, now);
        let mut seen = None;
        for second in 0..200 {
            if back_at == Some(second) {
                come_back(&mut hub, after(second, now));
            }
            hub.tick(after(second, now));
            if !told(&mut hub, &watcher).is_empty() {
                assert_eq!(seen.replace(second), None, "once");
            }
        }
        assert_eq!(seen, seen_at, "delay {delay_s}, remembered {remembered_s}, {goodbye:?}, {back_at:?}");
    }
}

#[test]
fn retained_messages_are_told_to_new_subscriptions_until_they_are_cleared() {
    let (mut hub, now) = (Hub::default(), Instant::now());
    for (topic, text) in [("t/a", "a"), ("t/b", "b"), ("u", "u"), ("t", "t")] {
        hub.publish("", message(topic, text, 1, true)).unwrap();
    }
    let (seat, _) = hub.seat("c".to_owned(), client(0), now);
    assert_eq!(hub.subscribe(&seat, wanted("t/#", 0)), [0]);
    let first = told(&mut hub, &seat);
    assert_eq!((first[0].0, texts(&first)), (0x31, vec!["t", "a", "b"]));
    hub.publish("", message("t/a", "", 1, true)).unwrap();
    assert_eq!(told(&mut hub, &seat), [(0x30, 0, String::new())], "who is there is told, as of any message");
    hub.subscribe(&seat, wanted("t/+", 0));
    assert_eq!(texts(&told(&mut hub, &seat)), ["b"]);
    for (retain_handling, expected) in [(0, vec!["b"]), (1, vec![]), (2, vec![])] {
        let [mut again] = <[Wanted; 1]>::try_from(wanted("t/+", 0)).unwrap();
        again.retain_handling = retain_handling;
        hub.subscribe(&seat, vec![again]);
        assert_eq!(texts(&told(&mut hub, &seat)), expected, "{retain_handling}");
    }
}

#[test]
fn a_client_that_takes_nothing_is_told_the_first_ten_thousand() {
    let (mut hub, now) = (Hub::default(), Instant::now());
    let (seat, _) = hub.seat("slow".to_owned(), client(60), now);
    hub.subscribe(&seat, wanted("#", 1));
    for number in 0..10_050 {
        hub.publish("", message("t", &number.to_string(), 1, false)).unwrap();
    }
    let mut seen = 0;
    loop {
        let batch = told(&mut hub, &seat);
        if batch.is_empty() {
            break;
        }
        for (_, id, text) in batch {
            assert_eq!(text, seen.to_string());
            seen += 1;
            hub.acked(&seat, id);
        }
    }
    assert_eq!(seen, 10_000);
}

#[test]
fn filters_that_are_none_and_shared_ones_are_refused_by_themselves() {
    let mut hub = Hub::default();
    let (seat, _) = hub.seat("c".to_owned(), client(0), Instant::now());
    for (filter, code) in [("a/#/b", 0x8f), ("", 0x8f), ("$share/g/t", 0x9e), ("t", 1)] {
        assert_eq!(hub.subscribe(&seat, wanted(filter, 1)), [code], "{filter}");
    }
    assert!(hub.unsubscribe(&seat, &Filter::new("t".to_owned()).unwrap()));
    assert!(!hub.unsubscribe(&seat, &Filter::new("t".to_owned()).unwrap()));
}

#[test]
fn who_cannot_be_let_in_is_told_why_in_the_words_of_its_version() {
    for (hex, expected) in [
        ("10 0d 0004 4d515454 04 02 003c 0001 61", None),
        ("10 0e 0004 4d515454 05 02 003c 00 0001 61", None),
        ("10 0e 0006 4d5149736470 03 02 003c 0000", Some((Refusal::Version, false))),
        ("10 0d 0004 4d515454 06 02 003c 00 0000", Some((Refusal::Version, true))),
        ("10 0c 0004 4d515454 04 00 003c 0000", Some((Refusal::ClientId, false))),
        ("10 0c 0004 4d515454 04 03 003c 0000", Some((Refusal::Malformed, false))),
        ("10 0c 0004 4d515454 04 0a 003c 0000", Some((Refusal::Malformed, false))),
        ("10 0c 0004 4d515454 04 1e 003c 0000", Some((Refusal::Malformed, false))),
        ("10 0c 0004 4d515454 04 82 003c 0000", Some((Refusal::Malformed, false))),
        ("10 13 0004 4d515454 05 02 003c 06 15 0003 6d6d6d 0000", Some((Refusal::Method, true))),
        ("20 02 0000", Some((Refusal::Malformed, false))),
    ] {
        let mut read = BytesMut::from(&hex::decode(hex.replace(' ', "")).unwrap()[..]);
        let packet = Packet::take(&mut read, 1 << 20).unwrap().unwrap();
        assert_eq!(Connect::read(&packet, Instant::now()).err(), expected, "{hex}");
    }
}

proptest! {
    /// Beginnings of real packets, so that more than the first byte is looked at, with anything behind.
    #[test]
    fn whatever_comes_is_read_or_refused(
        begin in prop_oneof![
            Just(&b"\x10"[..]),
            Just(&b"\x00\x04MQTT\x04"[..]),
            Just(&b"\x00\x04MQTT\x05\xf6\x00\x3c"[..]),
            Just(&b"\x00\x01t\x00\x01"[..]),
            Just(&b"\x00\x01\x00"[..]),
        ],
        first in any::<u8>(),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        is_v5 in any::<bool>(),
    ) {
        let now = Instant::now();
        let mut out = BytesMut::new();
        packet::put_packet(&mut out, first >> 4, first & 0x0f, &[begin, &rest].concat());
        while let Ok(Some(packet)) = Packet::take(&mut out, 1_000) {
            drop(Connect::read(&packet, now));
            drop(subscribe(&packet, is_v5));
            drop(unsubscribe(&packet, is_v5));
            acknowledged(&packet, is_v5).ok();
            Goodbye::read(&packet, is_v5).ok();
            if let Ok(publish) = Publish::read(&packet, is_v5, now) {
                let mut hub = Hub::default();
                let (seat, _) = hub.seat("c".to_owned(), Connect { is_v5, ..client(0) }, now);
                hub.subscribe(&seat, wanted("#", 1));
                prop_assert!(hub.publish("", publish.message).is_ok());
                hub.take(&seat, &mut BytesMut::new(), now);
            }
        }
    }
}

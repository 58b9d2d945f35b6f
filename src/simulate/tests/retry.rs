//! When a callback comes again, by the world's own clock.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::simulate::world::Outcome;

const DEVICE: &str = "1A2B3C";
const START: i64 = 1_789_000_000;

fn world() -> World {
    let address = |kind: CallbackKind| format!("http://127.0.0.1:9/{}", kind.path());
    let callback = |kind| Callback::post(format!("{kind:?}"), kind, address(kind), None);
    let kind = DeviceType::new(TYPE, "valve")
        .callback(callback(CallbackKind::Bidir))
        .callback(callback(CallbackKind::Acknowledge));
    World::new(1).with_type(kind).with_device(Device::new(id(DEVICE), TYPE))
}

/// Lets the world go on until nothing is due; each BIDIR callback ends so, after so many seconds. Gives the seconds at which
/// they were called and their bodies, and the reports.
fn go_on(world: &mut World, outcome: &Outcome, after_s: u64) -> (Vec<i64>, Vec<String>, Vec<Value>) {
    let (mut called, mut bodies, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(now) = world.next_due() {
        for delivery in world.advance(now) {
            let body = delivery.body().unwrap();
            if delivery.callback.kind == CallbackKind::Bidir {
                called.push(now.as_seconds() - START);
                bodies.push(body);
                world.settle(delivery, outcome, now.plus(Duration::from_secs(after_s)));
            } else {
                reports.push(serde_json::from_str(&body).unwrap());
            }
        }
    }
    (called, bodies, reports)
}

#[test]
fn what_is_not_answered_in_time_comes_again_after_one_two_and_four_minutes() {
    // The cloud waits for ten seconds; an error is there at once.
    for (outcome, after_s, expected) in [
        (Outcome::Failed("timeout".to_owned()), 10, [0, 70, 200, 450]),
        (Outcome::Answered { status: 500, body: Vec::new() }, 0, [0, 60, 180, 420]),
        (Outcome::Answered { status: 429, body: Vec::new() }, 0, [0, 60, 180, 420]),
    ] {
        let mut world = world();
        world.send(id(DEVICE), Telegram { payload: None, ack: true }, at(START)).unwrap();
        let (called, bodies, reports) = go_on(&mut world, &outcome, after_s);
        assert_eq!(called, expected, "{outcome:?}");
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
        assert_eq!(reports.len(), 1);
        assert_eq!((&reports[0]["infoCode"], &reports[0]["time"]), (&json!("1"), &json!(START.to_string())));
        assert_eq!(world.received(id(DEVICE)), []);
    }
}

#[test]
fn an_answer_within_ten_seconds_is_called_for_once_and_received() {
    let mut world = world();
    world.send(id(DEVICE), Telegram { payload: None, ack: true }, at(START)).unwrap();
    let body = json!({ DEVICE: { "downlinkData": "0123456789abcdef" } }).to_string().into_bytes();
    let (called, _, reports) = go_on(&mut world, &Outcome::Answered { status: 200, body }, 9);
    assert_eq!((called, &reports[0]["infoCode"]), (vec![0], &json!("0")));
    assert_eq!(world.received(id(DEVICE)).len(), 1);
}

#[test]
fn a_device_listens_for_45_seconds_after_it_asked() {
    for (again, code) in [(1, "7"), (44, "7"), (45, "1"), (600, "1")] {
        let mut world = world();
        let nothing = Outcome::Answered { status: 204, body: Vec::new() };
        world.send(id(DEVICE), Telegram { payload: None, ack: true }, at(START)).unwrap();
        let asking = Telegram { payload: None, ack: true };
        world.send(id(DEVICE), asking, at(START + again)).unwrap();
        let (_, _, reports) = go_on(&mut world, &nothing, 0);
        let second = reports.iter().find(|report| report["time"] == json!((START + again).to_string()));
        assert_eq!(second.unwrap()["infoCode"], json!(code), "asked again after {again} s");
    }
}

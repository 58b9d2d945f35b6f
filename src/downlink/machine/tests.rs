//! The queue by examples and by random sequences of everything that can happen.

mod accept;
mod answer;
mod elapse;
mod hand;
mod random;
mod withdraw;

use std::time::Duration;

use super::{Entry, Rules, ask, push, report};
use crate::downlink::order::{Expiry, Order, Report};
use crate::model::{
    DeviceId, Downlink, DownlinkPayload, DownlinkState, Event, Timestamp, UplinkId, UplinkTail,
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
        let (change, data) = ask(&self.items, uplink(seq, now), false, rules().daily_limit, now);
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

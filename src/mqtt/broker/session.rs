//! What the broker remembers of one client: subscriptions, what waits for it, what is on its way. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::{Subscription, Will};
use super::filter::Filter;
use super::message::Telling;
use super::retained::Held;

/// Messages that a slow or absent client may be behind; what comes then is dropped for it.
const MOST_WAITING: usize = 10_000;

/// With retained messages, of which a subscription may match as many as there are.
pub(super) const MOST_QUEUED: usize = 400_000;

pub(super) const MOST_SUBSCRIPTIONS: usize = 1_000;

/// How much is written at once, about.
const BATCH_BYTES: usize = 64 * 1024;

/// The connection of a session.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Which of the connections of all sessions it is.
    pub(super) number: u64,
    pub(super) is_v5: bool,
    pub(super) window: usize,
    pub(super) largest: usize,
    /// Rung when there may be something to tell.
    pub(super) bell: Arc<Notify>,
    /// Cancelled when another client takes the session over.
    pub(super) taken_over: CancellationToken,
}

/// A message for a client.
#[derive(Debug)]
struct Due {
    message: Arc<Held>,
    qos: u8,
    retain: bool,
    /// Whether it came after the subscription.
    is_new: bool,
    subscriptions: Vec<u32>,
}

/// One client, connected or remembered.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) subscriptions: BTreeMap<Filter, Subscription>,
    pub(super) line: Option<Line>,
    pub(super) will: Option<Will>,
    pub(super) will_due: Option<Instant>,
    pub(super) remembered_s: u32,
    /// When it is forgotten; none while it is connected, or for ever.
    pub(super) ends: Option<Instant>,
    /// Packets of QoS 2 from the client that it has not released.
    pub(super) unreleased: BTreeSet<u16>,
    waiting: VecDeque<Due>,
    /// How many of those that wait are new.
    new: usize,
    on_the_way: VecDeque<(u16, Due)>,
    /// How many of those on their way were told over this connection.
    told: usize,
    last_id: u16,
    is_behind: bool,
}

impl Session {
    /// Begins a connection; what was on its way is told again, first.
    pub(super) fn begin(&mut self, line: Line, remembered_s: u32, will: Option<Will>) {
        self.told = 0;
        self.line = Some(line);
        (self.will, self.will_due) = (will, None);
        (self.remembered_s, self.ends) = (remembered_s, None);
    }

    /// Takes in a message that it has subscribed to; whether there was room.
    pub(super) fn tell(&mut self, message: &Arc<Held>, from_itself: bool) -> bool {
        let mut qos = None;
        let (mut retain, mut subscriptions) = (false, Vec::new());
        for (filter, options) in &self.subscriptions {
            if filter.matches(&message.topic) && !(from_itself && options.no_local) {
                qos = Some(options.qos.max(qos.unwrap_or(0)));
                retain |= options.retain_as_published && message.retain;
                subscriptions.extend(options.id);
            }
        }
        let Some(qos) = qos.map(|qos| qos.min(message.qos)) else { return true };
        if qos == 0 && self.line.is_none() {
            return true;
        }
        if self.new >= MOST_WAITING {
            // Said once until it has caught up.
            return std::mem::replace(&mut self.is_behind, true);
        }
        self.new += 1;
        self.waiting.push_back(Due {
            message: Arc::clone(message),
            qos,
            retain,
            is_new: true,
            subscriptions,
        });
        if let Some(line) = &self.line {
            line.bell.notify_one();
        }
        true
    }

    /// Takes in a retained message of a subscription; false: too many wait.
    pub(super) fn tell_retained(&mut self, message: &Arc<Held>, options: Subscription) -> bool {
        let has_room = self.waiting.len() < MOST_QUEUED;
        if has_room {
            let (qos, subscriptions) = (options.qos.min(message.qos), options.id.into_iter().collect());
            let message = Arc::clone(message);
            self.waiting.push_back(Due { message, qos, retain: true, is_new: false, subscriptions });
        }
        has_room
    }

    /// Appends packets of what is due, as much as goes at once; whether there is more.
    pub(super) fn take(&mut self, line: &Line, out: &mut BytesMut, now: Instant) -> bool {
        while let Some((id, due)) = self.on_the_way.get(self.told) {
            due.put(line, *id, true, out, now);
            self.told += 1;
            if out.len() >= BATCH_BYTES {
                return true;
            }
        }
        while let Some(due) = self.waiting.front() {
            if due.qos > 0 && self.on_the_way.len() >= line.window {
                return false;
            }
            let id = if due.qos > 0 { self.free_id() } else { 0 };
            let Some(due) = self.waiting.pop_front() else { return false };
            self.new -= usize::from(due.is_new);
            if due.message.is_expired(now) || !due.put(line, id, false, out, now) {
                continue;
            }
            if due.qos > 0 {
                self.last_id = id;
                self.on_the_way.push_back((id, due));
                self.told += 1;
            }
            if out.len() >= BATCH_BYTES {
                return true;
            }
        }
        self.is_behind = false;
        false
    }

    /// The client has a message.
    pub(super) fn acked(&mut self, id: u16) {
        if let Some(place) = self.on_the_way.iter().position(|(sent, _)| *sent == id) {
            self.on_the_way.remove(place);
            // One that was not told over this connection yet may be acknowledged from the last.
            if place < self.told {
                self.told -= 1;
            }
        }
    }

    fn free_id(&self) -> u16 {
        let mut id = self.last_id;
        loop {
            id = id.checked_add(1).unwrap_or(1);
            // The window is far smaller than the ids are many.
            if !self.on_the_way.iter().any(|(taken, _)| *taken == id) {
                return id;
            }
        }
    }
}

impl Due {
    /// Appends its packet; not one that the client does not take.
    fn put(&self, line: &Line, id: u16, again: bool, out: &mut BytesMut, now: Instant) -> bool {
        let before = out.len();
        let telling = Telling {
            is_v5: line.is_v5,
            qos: self.qos,
            retain: self.retain,
            again: again && self.qos > 0,
            id,
            subscriptions: &self.subscriptions,
        };
        self.message.put(out, telling, now);
        let fits = out.len() - before <= line.largest;
        if !fits {
            out.truncate(before);
        }
        fits
    }
}

//! All sessions and what is retained: who is told what, and what becomes of it when a client comes and goes.
//!
//! Plain values, the time passed in; connections hold it under a lock that nobody keeps over an await.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::{Connect, FOR_EVER, Goodbye, Wanted};
use super::filter::Filter;
use super::message::Message;
use super::packet::Refusal;
use super::retained::{Budget, Retained};
use super::session::{Line, MOST_SUBSCRIPTIONS, Session};

/// Clients that are connected or remembered; beyond it the one that is forgotten first goes now.
const MOST_SESSIONS: usize = 2_000;

/// What the broker knows.
#[derive(Debug, Default)]
pub(super) struct Hub {
    sessions: HashMap<String, Session>,
    retained: Retained,
    budget: Budget,
    /// How many connections there have been.
    lines: u64,
}

/// A client's place at the broker, as long as its connection lasts.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) client: String,
    pub(super) line: Line,
}

impl Hub {
    /// Lets a client in: its place, and whether it was remembered.
    pub(super) fn seat(&mut self, client: String, connect: Connect, now: Instant) -> (Seat, bool) {
        self.lines += 1;
        let line = Line {
            number: self.lines,
            is_v5: connect.is_v5,
            window: usize::from(connect.window),
            largest: connect.largest,
            bell: Arc::new(Notify::new()),
            taken_over: CancellationToken::new(),
        };
        if let Some(earlier) = self.sessions.get(&client).and_then(|session| session.line.clone()) {
            earlier.taken_over.cancel();
            self.leave(&Seat { client: client.clone(), line: earlier }, None, now);
        }
        if connect.is_clean {
            self.forget(&client);
        }
        self.make_room(now);
        let present = self.sessions.contains_key(&client);
        let session = self.sessions.entry(client.clone()).or_default();
        session.begin(line.clone(), connect.remembered_s, connect.will);
        line.bell.notify_one();
        (Seat { client, line }, present)
    }

    /// A client is gone, with a goodbye or without.
    pub(super) fn leave(&mut self, seat: &Seat, goodbye: Option<Goodbye>, now: Instant) {
        let Some(session) = self.seated(seat) else { return };
        session.line = None;
        if session.remembered_s > 0 {
            let asked = goodbye.and_then(|goodbye| goodbye.remembered_s);
            session.remembered_s = asked.unwrap_or(session.remembered_s);
        }
        let lasts = (session.remembered_s != FOR_EVER)
            .then(|| now.checked_add(Duration::from_secs(session.remembered_s.into())));
        session.ends = lasts.flatten();
        if goodbye.is_some_and(|goodbye| !goodbye.with_will) {
            session.will = None;
        }
        let delay_s = session.will.as_ref().map(|will| will.delay_s.min(session.remembered_s));
        session.will_due = delay_s.and_then(|delay_s| now.checked_add(Duration::from_secs(delay_s.into())));
        self.tick(now);
    }

    /// Does what is due: testaments, sessions that end, messages that expire.
    pub(super) fn tick(&mut self, now: Instant) {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        let ended = self.sessions.iter().filter(|(_, session)| is_due(session.ends));
        for client in ended.map(|(client, _)| client.clone()).collect::<Vec<_>>() {
            self.forget(&client);
        }
        let wills: Vec<_> = self
            .sessions
            .values_mut()
            .filter(|session| is_due(session.will_due))
            .filter_map(|session| {
                session.will_due = None;
                session.will.take()
            })
            .collect();
        for will in wills {
            self.testament(will.message);
        }
    }

    /// Forgets retained messages that nobody is to have any more.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        self.retained.drop_expired(now);
    }

    /// Takes a message to everybody who has subscribed to it, and keeps it if it is to be retained.
    ///
    /// # Errors
    /// No room: nobody gets it.
    pub(super) fn publish(&mut self, from: &str, message: Message) -> Result<(), Refusal> {
        let message = self.budget.hold(message)?;
        if message.retain {
            self.retained.keep(&message)?;
        }
        for (client, session) in &mut self.sessions {
            if !session.tell(&message, client == from) {
                tracing::warn!(
                    client,
                    "client of the built-in broker is too far behind; messages are dropped"
                );
            }
        }
        Ok(())
    }

    /// Subscribes: a reason for each filter.
    pub(super) fn subscribe(&mut self, seat: &Seat, wanted: Vec<Wanted>) -> Vec<u8> {
        let Self { sessions, retained, .. } = self;
        let Some(session) = sessions.get_mut(&seat.client) else { return Vec::new() };
        wanted.into_iter().map(|wanted| subscribe(session, retained, wanted)).collect()
    }

    /// Whether the client had subscribed to it.
    pub(super) fn unsubscribe(&mut self, seat: &Seat, filter: &Filter) -> bool {
        self.seated(seat).is_some_and(|session| session.subscriptions.remove(filter).is_some())
    }

    /// A packet of QoS 2 came: whether for the first time.
    pub(super) fn received(&mut self, seat: &Seat, id: u16) -> bool {
        self.seated(seat).is_some_and(|session| session.unreleased.insert(id))
    }

    /// The client will not send it again: whether it was known.
    pub(super) fn released(&mut self, seat: &Seat, id: u16) -> bool {
        self.seated(seat).is_some_and(|session| session.unreleased.remove(&id))
    }

    /// The client has a message.
    pub(super) fn acked(&mut self, seat: &Seat, id: u16) {
        if let Some(session) = self.seated(seat) {
            session.acked(id);
            seat.line.bell.notify_one();
        }
    }

    /// Appends packets for a client; whether there is more.
    pub(super) fn take(&mut self, seat: &Seat, out: &mut BytesMut, now: Instant) -> bool {
        self.seated(seat).is_some_and(|session| session.take(&seat.line, out, now))
    }

    /// The session, as long as nobody else has taken it over.
    fn seated(&mut self, seat: &Seat) -> Option<&mut Session> {
        let session = self.sessions.get_mut(&seat.client)?;
        let number = session.line.as_ref().map(|line| line.number);
        (number == Some(seat.line.number)).then_some(session)
    }

    /// Forgets a client; its testament does not wait longer than its session.
    fn forget(&mut self, client: &str) {
        let will = self.sessions.remove(client).and_then(|session| session.will_due.and(session.will));
        if let Some(will) = will {
            self.testament(will.message);
        }
    }

    fn testament(&mut self, message: Message) {
        if let Err(error) = self.publish("", message) {
            tracing::warn!(%error, "testament of a client of the built-in broker is lost");
        }
    }

    fn make_room(&mut self, now: Instant) {
        while self.sessions.len() >= MOST_SESSIONS {
            let remembered = self.sessions.iter().filter(|(_, session)| session.line.is_none());
            let last = |session: &Session| session.ends.map_or((1, now), |ends| (0, ends));
            let first = remembered.min_by_key(|(_, session)| last(session)).map(|(client, _)| client.clone());
            let Some(first) = first else { return };
            self.forget(&first);
        }
    }
}

fn subscribe(session: &mut Session, retained: &Retained, wanted: Wanted) -> u8 {
    let Some(filter) = wanted.filter else { return 0x8f };
    if filter.is_shared() {
        return 0x9e;
    }
    let is_new = !session.subscriptions.contains_key(&filter);
    if is_new && session.subscriptions.len() >= MOST_SUBSCRIPTIONS {
        return Refusal::NoRoom.reason();
    }
    let told = wanted.retain_handling == 0 || wanted.retain_handling == 1 && is_new;
    let matching = told.then(|| retained.matching(&filter)).into_iter().flatten();
    for message in matching {
        if !session.tell_retained(message, wanted.options) {
            return Refusal::NoRoom.reason();
        }
    }
    session.subscriptions.insert(filter, wanted.options);
    wanted.options.qos
}

//! The connection of a Sparkplug edge node: MQTT 3.1.1, a clean session, a testament of its own each time, QoS 0.
//!
//! Nobody acknowledges what is published with QoS 0. What passed is known by a barrier: a request behind it on the
//! same connection, whose answer means that the broker has read everything before. It is the first subscription once
//! more, which changes nothing and which every broker answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::INBOX;
use super::fault::Fault;
use super::message::{Message, Properties, Publish};
use super::options::{Options, Will};
use super::outgoing::Outgoing;
use super::session::{Incoming, Session, Step};
use crate::config::{self, Protocol};

/// So many publishes may be handed over and not yet written.
const WINDOW: u64 = 64;

/// A barrier that was not answered after so long never will be.
pub const BARRIER_TIMEOUT: Duration = Duration::from_secs(20);

/// How the connections of an edge node are opened.
#[derive(Clone)]
pub struct Edge {
    options: Options,
    filters: Vec<String>,
}

/// One connection as its user sees it.
pub struct Line {
    outgoing: Arc<Outgoing>,
    shared: Arc<Shared>,
    handed_over: u64,
    barriers: VecDeque<(u64, Instant)>,
    last_barrier: u64,
    filters: Vec<String>,
}

/// The same connection as whoever polls it sees it.
pub struct Wire {
    session: Session,
    outgoing: Arc<Outgoing>,
    filters: Vec<String>,
    shared: Arc<Shared>,
}

/// Where a connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the broker has let us in.
    pub connected: bool,
    /// How many subscriptions the broker has refused; none until it answered.
    pub refused: Option<usize>,
    /// How many barriers were answered.
    pub passed: u64,
    /// How many messages were dropped, because too many came.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    standing: Standing,
    written: u64,
    messages: VecDeque<Message>,
}

impl Edge {
    /// Connections of an edge node to the broker of the configuration, with these subscriptions.
    ///
    /// # Errors
    /// Certificate and key files that cannot be read or do not fit each other.
    pub fn new(mqtt: &config::Mqtt, gateway: &str, filters: Vec<String>) -> anyhow::Result<Self> {
        let client_id = format!("sigfox2mqtt-{gateway}-sparkplug");
        let mut options = Options::new(mqtt, &client_id)?;
        options.protocol = Protocol::V4;
        options.clean = true;
        Ok(Self { options, filters })
    }

    /// A connection that is made by the first poll of its wire.
    #[must_use]
    pub fn open(&self, will: Will) -> (Line, Wire) {
        let options = Options { will: Some(will), ..self.options.clone() };
        let (outgoing, session) = Session::new(&options);
        let shared = Arc::new(Shared::default());
        let line = Line {
            outgoing: Arc::clone(&outgoing),
            shared: Arc::clone(&shared),
            handed_over: 0,
            barriers: VecDeque::new(),
            last_barrier: 0,
            filters: self.filters.clone(),
        };
        (line, Wire { session, outgoing, filters: self.filters.clone(), shared })
    }

    /// Where it goes, without credentials.
    #[must_use]
    pub fn place(&self) -> String {
        self.options.place()
    }
}

impl Line {
    /// Where the connection is now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.shared.lock().standing
    }

    /// The next message that came in.
    #[must_use]
    pub fn take_message(&self) -> Option<Message> {
        self.shared.lock().messages.pop_front()
    }

    /// Waits until the connection has something new. May be dropped and called again.
    pub async fn changed(&self) {
        // Only one task waits, so a permit that is stored between its look and this line is not missed.
        self.shared.changed.notified().await;
    }

    /// Whether one more publish would be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = self.shared.lock();
        state.standing.connected && self.handed_over.saturating_sub(state.written) < WINDOW
    }

    /// Hands over a publish with QoS 0; whether it was taken.
    pub fn publish(&mut self, topic: &str, payload: Bytes) -> bool {
        let is_taken = self.has_room() && self.outgoing.publish_at_most_once(topic, payload);
        self.handed_over += u64::from(is_taken);
        is_taken
    }

    /// Puts a barrier behind everything that was handed over, and gives its number.
    pub fn put_barrier(&mut self) -> Option<u64> {
        if !self.outgoing.subscribe(self.filters.get(..1)?) {
            return None;
        }
        self.last_barrier += 1;
        self.barriers.push_back((self.last_barrier, Instant::now()));
        Some(self.last_barrier)
    }

    /// When the oldest barrier that was not answered ends the connection.
    pub fn deadline(&mut self) -> Option<Instant> {
        let passed = self.standing().passed;
        while self.barriers.front().is_some_and(|(number, _)| *number <= passed) {
            self.barriers.pop_front();
        }
        self.barriers.front().map(|(_, since)| *since + BARRIER_TIMEOUT)
    }

    /// The last word, with QoS 1, and the goodbye right behind it.
    pub fn leave(&self, topic: String, payload: Bytes) {
        let last_word = Publish { topic, payload, retain: false, properties: Properties::default() };
        let is_taken = self.outgoing.publish(&last_word, 1) && self.outgoing.disconnect();
        if !is_taken {
            tracing::debug!("the connection broke before the last word; its testament says the same");
        }
    }
}

impl Wire {
    /// Polls the connection to its end; it never publishes. Nothing is said to a line after this.
    ///
    /// # Errors
    /// Why it ended, unless by our own goodbye.
    pub async fn run(mut self) -> Result<(), Fault> {
        loop {
            match self.session.next().await? {
                Step::Disconnected => return Ok(()),
                Step::Connected(_) => {
                    if !self.outgoing.subscribe(&self.filters) {
                        return Err(Fault::Lost("subscriptions could not be sent".to_owned()));
                    }
                    self.shared.change(|state| state.standing.connected = true);
                }
                Step::Subscribed { refused } => self.shared.change(|state| match state.standing.refused {
                    None => state.standing.refused = Some(refused),
                    Some(_) => state.standing.passed += 1,
                }),
                Step::Written(publishes) => self.shared.change(|state| state.written += publishes),
                Step::Message(incoming) => self.take(incoming)?,
                Step::Acked(..) => {}
            }
        }
    }

    /// A clean session gets nothing twice: what cannot be kept now is lost, and is counted.
    fn take(&self, incoming: Incoming) -> Result<(), Fault> {
        let Incoming { topic, payload, retain, dup, packet, response_topic, correlation } = incoming;
        if packet != 0 && !self.outgoing.acknowledge(packet) {
            return Err(Fault::Lost("acknowledgement not sent".to_owned()));
        }
        let message = Message { topic, payload, retain, dup, response_topic, correlation, receipt: None };
        self.shared.change(|state| {
            if state.messages.len() < usize::from(INBOX) {
                state.messages.push_back(message);
            } else {
                state.standing.dropped += 1;
            }
        });
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }
}

//! Commands that come in over MQTT: understood, done, answered.
//!
//! A command is durable before the broker is told to forget it. Knows topics and bodies; what happens to a downlink
//! is the queues' business, and what a document looks like the publisher's.

mod action;
mod argument;
mod body;
mod downlink;
mod envelope;
mod neighbour;
mod query;
mod request;

pub(crate) use body::orders;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Config;
use crate::decode::Registry;
use crate::downlink::Queues;
use crate::ingest::{Nudge, StatusBoard};
use crate::logging::Recent;
use crate::model::{Event, SourceName};
use crate::mqtt::topic::{Inbound, Topics};
use crate::mqtt::{Inbox, Message};
use crate::publish::{Replies, Reply, Run, View};
use crate::store::Store;
use crate::tally::Tally;

/// The largest body of a command. What is longer is no command of a person or a program that means well.
const LARGEST: usize = 64 * 1024;

/// How many commands wait for the disk at once.
const AT_ONCE: usize = 32;

/// What comes in, without what it takes to acknowledge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// Whether the broker had kept it: it was meant for another time.
    pub retained: bool,
    /// Whether the broker may have delivered it before.
    pub repeat: bool,
    /// Where an MQTT 5 client wants the answer.
    pub response_topic: Option<String>,
    /// What it wants back with it.
    pub correlation: Option<Bytes>,
}

/// What commands work on.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// The configuration in effect.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The queues of downlinks.
    pub queues: Queues,
    /// The decoders.
    pub registry: Arc<Registry>,
    /// How the sources do.
    pub board: StatusBoard,
    /// How the mirrors do.
    pub mirrors: StatusBoard,
    /// What makes a source poll now.
    pub nudges: BTreeMap<SourceName, Nudge>,
    /// All topics.
    pub topics: Topics,
    /// The way to the publisher.
    pub replies: Replies,
    /// The way to the daemon, for what concerns all of it.
    pub errands: mpsc::Sender<Errand>,
    /// What the publisher counts and knows.
    pub run: Run,
    /// What became of commands, by their verb.
    pub tally: Tally<(&'static str, Outcome)>,
    /// The last warnings of the log.
    pub recent: Recent,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was answered with an error.
    Refused,
}

/// Something that only the daemon as a whole can do.
#[derive(Debug)]
pub struct Errand {
    /// What is to be done.
    pub what: Task,
    /// Where the outcome is awaited: data for the answer, or a sentence why it was not done.
    pub outcome: oneshot::Sender<Result<Value, String>>,
}

/// What only the daemon as a whole can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Logs by this filter from now on.
    LogLevel(String),
    /// Reads the configuration again.
    Reload,
}

/// Takes commands until told to stop.
#[derive(Debug)]
pub struct Commands {
    rooms: Rooms,
    view: View,
}

impl Commands {
    /// What does commands.
    #[must_use]
    pub fn new(rooms: Rooms) -> Self {
        let view = View::new(
            Arc::clone(&rooms.config),
            rooms.store.clone(),
            Arc::clone(&rooms.registry),
            rooms.board.clone(),
            rooms.topics.clone(),
            rooms.run.clone(),
        )
        .with_mirrors(rooms.mirrors.clone());
        Self { rooms, view }
    }

    /// Does what comes in, gives the answers to the publisher, and acknowledges in the order of arrival.
    ///
    /// Commands begin one after the other and wait for the disk together, so that a flood of them shares its flushes.
    /// Where the publisher is slow, so are commands, and the broker keeps what is not acknowledged.
    pub async fn run(self, inbox: &mut Inbox, stop: CancellationToken) -> anyhow::Result<()> {
        let mut open = FuturesOrdered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((message, replies)) = open.next() => self.conclude(message, replies).await,
                message = inbox.next(), if open.len() < AT_ONCE => match message {
                    Some(message) => open.push_back(self.begin(message)),
                    None => break,
                },
            }
        }
        while let Some((message, replies)) = open.next().await {
            self.conclude(message, replies).await;
        }
        Ok(())
    }

    async fn begin(&self, message: Message) -> (Message, Vec<Reply>) {
        let replies = self.handle(&Request::from(&message)).await;
        (message, replies)
    }

    async fn conclude(&self, message: Message, replies: Vec<Reply>) {
        for reply in replies {
            self.rooms.replies.send(reply).await;
        }
        // A crash before this line makes the broker deliver the command again: it finds what it did.
        message.ack();
    }

    /// Does one command; what it changed is durable when this returns.
    pub async fn handle(&self, request: &Request) -> Vec<Reply> {
        let Some(inbound) = self.rooms.topics.parse(&request.topic) else {
            return self.reject(request, "unknown_topic: no command is known by this topic").await;
        };
        if inbound == Inbound::HomeAssistant {
            if request.payload.trim_ascii() == b"online" {
                self.rooms.replies.birth().await;
            }
            return Vec::new();
        }
        if request.retained {
            return self
                .reject(request, "retained: a command must not be retained; publish it without the flag")
                .await;
        }
        if request.payload.len() > LARGEST {
            return self.reject(request, "too_large: the command is over 64 KiB").await;
        }
        match inbound {
            Inbound::Downlink { device, verb } => self.downlink(request, device, verb).await,
            Inbound::Request(verb) => self.request(request, &verb).await,
            Inbound::Hello => self.hello(request).await,
            Inbound::HomeAssistant => Vec::new(),
        }
    }

    /// Reports a command that nothing was done about.
    async fn reject(&self, request: &Request, reason: &str) -> Vec<Reply> {
        let time = clock::now();
        let detail = json!({ "topic": request.topic, "reason": reason });
        let kind = "command_rejected".to_owned();
        tracing::debug!(topic = request.topic, reason, "command rejected");
        let told = self.rooms.store.tell(&Event::Bridge { time, kind, detail: detail.to_string() });
        // The broker forgets the command next: a crash must not leave its sender without an answer.
        if told.is_ok() && self.rooms.store.durable().await.is_ok() {
            return Vec::new();
        }
        // A store that cannot keep the event must not make the gateway silent about it.
        let event = json!({
            "v": 1, "event": "command_rejected", "time": time, "topic": request.topic, "reason": reason,
        });
        vec![reply(self.rooms.topics.bridge("event"), &event)]
    }

    /// The answer on the topic that an MQTT 5 client asked for, if that is one where clients may ask for answers.
    fn respond(&self, request: &Request, payload: &Value) -> Option<Reply> {
        let topic = request.response_topic.as_deref()?;
        let below = topic.strip_prefix(self.rooms.topics.client().as_str())?;
        let is_plain = !below.is_empty() && !topic.contains(['+', '#', '\0']);
        let answer = || reply(topic.to_owned(), payload);
        is_plain.then(|| Reply { correlation: request.correlation.clone(), ..answer() })
    }
}

fn reply(topic: String, payload: &Value) -> Reply {
    Reply { topic, payload: Bytes::from(payload.to_string()), correlation: None, replays: None }
}

impl From<&Message> for Request {
    fn from(message: &Message) -> Self {
        Self {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            retained: message.retain,
            repeat: message.dup,
            response_topic: message.response_topic.clone(),
            correlation: message.correlation.clone(),
        }
    }
}

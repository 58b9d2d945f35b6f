//! How other rooms reach the publisher with what is in no store: answers to requests, and Home Assistant's birth.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::render::{about, event_properties, json_properties};
use crate::config::Config;
use crate::decode::Registry;
use crate::model::UplinkId;
use crate::mqtt::{Properties, Publish};

/// How many orders may wait; whoever has one more waits, and so takes no further command.
const ORDERS: usize = 64;

/// An answer to a request, or what a request has published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Where it goes.
    pub topic: String,
    /// A JSON object.
    pub payload: Bytes,
    /// What the client wants back with it.
    pub correlation: Option<Bytes>,
    /// The uplink that is published again with it.
    pub replays: Option<UplinkId>,
}

/// What the publisher is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Reply(Reply),
    Birth,
    Clear(Vec<String>),
    RestartRequired(Vec<String>),
    Configuration(Arc<Config>, Arc<Registry>),
}

/// The way to the publisher. Clones share it.
#[derive(Debug, Clone)]
pub struct Replies {
    orders: mpsc::Sender<Order>,
}

/// The publisher's end.
#[derive(Debug)]
pub struct ReplyQueue {
    orders: mpsc::Receiver<Order>,
}

/// Both ends of the way to the publisher.
#[must_use]
pub fn replies() -> (Replies, ReplyQueue) {
    let (sender, receiver) = mpsc::channel(ORDERS);
    (Replies { orders: sender }, ReplyQueue { orders: receiver })
}

impl Replies {
    /// Publishes an answer; waits while too many wait. An answer is sent again if its connection breaks, but a
    /// crash loses it, which the requester sees as silence.
    pub async fn send(&self, reply: Reply) {
        self.order(Order::Reply(reply)).await;
    }

    /// Home Assistant said `online`: everything that it may have forgotten is published again.
    pub async fn birth(&self) {
        self.order(Order::Birth).await;
    }

    /// Takes retained documents from these topics, until something is said there anew.
    pub async fn clear(&self, topics: Vec<String>) {
        self.order(Order::Clear(topics)).await;
    }

    /// The keys of the configuration that was read again which want a restart (`bridge/info`).
    pub async fn restart_required(&self, keys: Vec<String>) {
        self.order(Order::RestartRequired(keys)).await;
    }

    /// Another configuration, with its decoders, is in effect from now on.
    pub(crate) async fn configuration(&self, config: Arc<Config>, registry: Arc<Registry>) {
        self.order(Order::Configuration(config, registry)).await;
    }

    async fn order(&self, order: Order) {
        if self.orders.send(order).await.is_err() {
            tracing::debug!("the publisher has ended; nobody is answered any more");
        }
    }
}

impl ReplyQueue {
    /// The next order; waits for ever once nobody can give one.
    pub(super) async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }
}

impl From<Reply> for Publish {
    fn from(Reply { topic, payload, correlation, replays }: Reply) -> Self {
        let properties = match replays {
            Some(uplink) => Properties { user: about(uplink.to_string(), true), ..event_properties() },
            None => Properties { correlation, ..json_properties() },
        };
        Self { topic, payload, retain: false, properties }
    }
}

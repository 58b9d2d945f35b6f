//! Two gateways below one base: each says hello on every connection, and so hears of the other.
//!
//! The topic is one that every gateway listens to anyway, so no subscription and no retained trace is needed.

use serde_json::json;

use super::{Commands, Request, reply};
use crate::clock;
use crate::model::Event;
use crate::publish::Reply;
use crate::publish::document::Hello;

/// The longest name of a gateway.
const LONGEST_NAME: usize = 32;

impl Commands {
    /// Our own hello comes back from the broker; another gateway's is reported and answered.
    pub(super) async fn hello(&self, request: &Request) -> Vec<Reply> {
        let Ok(hello) = serde_json::from_slice::<Hello>(&request.payload) else {
            return self.reject(request, "malformed: expected {\"v\":1,\"gateway\":…}").await;
        };
        let own = &self.rooms.config.gateway.id;
        if hello.gateway == *own {
            return Vec::new();
        }
        let other: String = hello.gateway.chars().take(LONGEST_NAME).collect();
        let base = &self.rooms.config.mqtt.base;
        tracing::error!(other, base, "another gateway publishes below the same mqtt.base; give each its own");
        let (kind, detail) = ("base_shared".to_owned(), json!({ "gateway": other, "base": base }));
        let event = Event::Bridge { time: clock::now(), kind, detail: detail.to_string() };
        if let Err(error) = self.rooms.store.tell(&event) {
            tracing::warn!(%error, "that could not be told on bridge/event");
        }
        if hello.answer {
            return Vec::new();
        }
        vec![reply(self.rooms.topics.hello(), &json!(Hello::new(own, true)))]
    }
}

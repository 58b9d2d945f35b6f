//! Does commands of the command line as if they had come over MQTT.

use std::sync::Arc;

use serde_json::Value;

use crate::command::{Commands, Request, Rooms};
use crate::config::{Config, Mqtt};
use crate::mqtt::topic::Topics;

/// Takes commands from whoever may open the data directory.
#[derive(Debug)]
pub struct Desk {
    commands: Commands,
    topics: Topics,
}

/// Why a command was not done: a word for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// `malformed`, `not_found`, `rejected`, … as in the answers over MQTT.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl Refused {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

impl Desk {
    /// A desk beside the broker's own commands. `mqtt.requests` limits what MQTT may ask for, not what is asked here.
    #[must_use]
    pub fn new(rooms: Rooms) -> Self {
        let topics = rooms.topics.clone();
        let mqtt = Mqtt { requests: None, ..rooms.config.mqtt.clone() };
        let config = Arc::new(Config { mqtt, ..(*rooms.config).clone() });
        Self { commands: Commands::new(Rooms { config, ..rooms }), topics }
    }

    /// Does a command; its data, or in words why it was not done. What it changed is durable when this returns.
    pub(crate) async fn tell(&self, topic: &str, payload: &Value) -> Result<Value, Refused> {
        let answer_to = format!("{}control", self.topics.client());
        let request = Request {
            topic: self.topics.below(topic),
            payload: payload.to_string().into(),
            retained: false,
            repeat: false,
            response_topic: Some(answer_to.clone()),
            correlation: None,
        };
        let replies = self.commands.handle(&request).await;
        let reply = replies.into_iter().find(|reply| reply.topic == answer_to);
        let unknown = || Refused::new("not_found", format!("no command is known as `{topic}`"));
        let reply = reply.ok_or_else(unknown)?;
        let mut envelope: Value = serde_json::from_slice(&reply.payload)
            .map_err(|error| Refused::new("internal", error.to_string()))?;
        let said = |key: &str| envelope.pointer(key).and_then(Value::as_str);
        match (said("/error/code"), said("/error/message")) {
            (Some(code), Some(message)) => Err(Refused::new(code, message)),
            _ => Ok(envelope.get_mut("data").map(Value::take).unwrap_or_default()),
        }
    }
}

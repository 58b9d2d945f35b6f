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
    pub(super) async fn tell(&self, topic: &str, payload: &Value) -> Result<Value, String> {
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
        let reply = reply.ok_or_else(|| format!("no command is known as `{topic}`"))?;
        let mut envelope: Value =
            serde_json::from_slice(&reply.payload).map_err(|error| error.to_string())?;
        match envelope.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => Err(message.to_owned()),
            None => Ok(envelope.get_mut("data").map(Value::take).unwrap_or_default()),
        }
    }
}

//! `bridge/request/<verb>`: which request it is, and the answer in its envelope.

use serde_json::Value;

use super::argument::Arguments;
use super::envelope::{Fault, envelope};
use super::{Commands, Outcome, Request, reply};
use crate::config::REQUEST_VERBS;
use crate::publish::Reply;

/// The longest verb that is repeated in the topic of its answer.
const LONGEST_VERB: usize = 64;

impl Commands {
    /// Does a request and answers it on `bridge/response/<verb>`, and where an MQTT 5 client wants it.
    pub(super) async fn request(&self, request: &Request, verb: &str) -> Vec<Reply> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
        if verb.len() > LONGEST_VERB || !verb.bytes().all(is_plain) {
            return self.reject(request, "unknown_request: no request has this verb").await;
        }
        let arguments = Arguments::read(&request.payload);
        let transaction = arguments.as_ref().map(Arguments::transaction).unwrap_or_default();
        let outcome = match arguments {
            Ok(arguments) => self.answer(verb, &arguments).await,
            Err(fault) => Err(fault),
        };
        // A stranger's word is no label of a metric.
        let known = REQUEST_VERBS.into_iter().find(|known| *known == verb).unwrap_or("unknown");
        self.rooms.tally.count((known, if outcome.is_ok() { Outcome::Done } else { Outcome::Refused }));
        let payload = envelope(outcome, &transaction);
        let response = reply(self.rooms.topics.response(verb), &payload);
        [Some(response), self.respond(request, &payload)].into_iter().flatten().collect()
    }

    async fn answer(&self, verb: &str, arguments: &Arguments) -> Result<Value, Fault> {
        let allowed = self.rooms.config.mqtt.requests.as_ref();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|one| one == verb)) {
            return Err(Fault::new("not_allowed", format!("mqtt.requests does not list `{verb}`")));
        }
        match verb {
            "health" => self.health(),
            "device/get" => self.device(arguments),
            "device/list" => self.devices(),
            "downlink/list" => self.downlinks(arguments),
            "outbox/list" => self.outbox(arguments),
            "history" => self.history(arguments),
            "decode" => self.decode(arguments),
            "device/rename" => self.rename(arguments).await,
            "device/forget" => self.forget(arguments).await,
            "sync" => self.sync(arguments),
            "replay" => self.replay(arguments).await,
            "outbox/retry" => self.retry_parked(arguments).await,
            "outbox/drop" => self.drop_parked(arguments).await,
            "discovery/publish" => self.publish_discovery().await,
            "discovery/clear" => self.clear_discovery().await,
            "log_level" => self.log_level(arguments).await,
            "config/reload" => self.reload().await,
            _ => Err(Fault::new("unknown_request", format!("no request is called `{verb}`"))),
        }
    }
}

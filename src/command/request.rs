//! `bridge/request/<verb>`: questions about the gateway, and what it is to do at once.

use serde_json::{Map, Value, json};

use super::body;
use super::envelope::{Fault, envelope};
use super::{Commands, Request};
use crate::ingest::Scope;
use crate::model::{DeviceId, Payload, SourceName};
use crate::publish::Reply;

/// The longest verb that is repeated in the topic of its answer.
const LONGEST_VERB: usize = 64;

impl Commands {
    /// Does a request and answers it on `bridge/response/<verb>`, and where an MQTT 5 client wants it.
    pub(super) fn request(&self, request: &Request, verb: &str) -> Vec<Reply> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || b"/_-".contains(&byte);
        if verb.len() > LONGEST_VERB || !verb.bytes().all(is_plain) {
            return self.reject(request, "unknown_request: no request has this verb");
        }
        let text = request.payload.trim_ascii();
        let arguments = match serde_json::from_slice(text) {
            Ok(Value::Object(arguments)) => Ok(arguments),
            _ if text.is_empty() => Ok(Map::new()),
            Ok(_) => Err(Fault::new("malformed", "expected a JSON object")),
            Err(error) => Err(Fault::new("malformed", body::no_json(&error).0)),
        };
        let transaction =
            arguments.as_ref().ok().and_then(|all| all.get("transaction").cloned()).unwrap_or_default();
        let outcome = match arguments {
            Ok(arguments) => self.answer(verb, &arguments),
            Err(fault) => Err(fault),
        };
        let payload = envelope(outcome, &transaction);
        let response = Reply {
            topic: self.topics.response(verb),
            payload: payload.to_string().into(),
            correlation: None,
        };
        [Some(response), self.respond(request, &payload)].into_iter().flatten().collect()
    }

    fn answer(&self, verb: &str, arguments: &Map<String, Value>) -> Result<Value, Fault> {
        let allowed = self.rooms.config.mqtt.requests.as_ref();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|one| one == verb)) {
            return Err(Fault::new("not_allowed", format!("mqtt.requests does not list `{verb}`")));
        }
        match verb {
            "health" => self.health(),
            "sync" => self.sync(arguments),
            "device/get" => self.device(arguments),
            "device/list" => self.devices(),
            "downlink/list" => self.downlinks(arguments),
            "decode" => self.decode(arguments),
            _ => Err(Fault::new("unknown_request", format!("no request is called `{verb}`"))),
        }
    }

    fn health(&self) -> Result<Value, Fault> {
        let (depth, oldest) = self.rooms.store.outbox_depth()?;
        Ok(json!({
            "outbox": { "depth": depth, "oldest": oldest },
            "devices": self.rooms.store.devices()?.len(),
            "sources": self.rooms.board.all(),
        }))
    }

    fn sync(&self, arguments: &Map<String, Value>) -> Result<Value, Fault> {
        let nudges = &self.rooms.nudges;
        let device = device_of(arguments)?;
        let from = match arguments.get("from") {
            None | Some(Value::Null) => None,
            Some(from) => {
                Some(body::time(from).map_err(|fault| Fault::new("malformed", format!("`from` {fault}")))?)
            }
        };
        let sources: Vec<&SourceName> = match text_of(arguments, "source")? {
            None => nudges.keys().collect(),
            Some(name) => {
                let known = nudges.keys().find(|known| known.as_str() == name);
                vec![known.ok_or_else(|| Fault::new("not_found", format!("no source is called `{name}`")))?]
            }
        };
        for source in &sources {
            if let Some(nudge) = nudges.get(*source) {
                nudge.poll_now(Scope { device, from });
            }
        }
        Ok(json!({ "sources": sources }))
    }

    fn device(&self, arguments: &Map<String, Value>) -> Result<Value, Fault> {
        let id = device_of(arguments)?.ok_or_else(|| Fault::new("malformed", "`device` is missing"))?;
        let device = self.rooms.store.device(id)?;
        let device = device.ok_or_else(|| Fault::new("not_found", format!("device {id} not found")))?;
        let state = self.rooms.store.device_state(id)?;
        let configured = self.rooms.config.devices.get(&id).and_then(|settings| settings.name.clone());
        Ok(json!({
            "id": device.id,
            "name": configured.or(device.name),
            "type": device.device_type,
            "source": device.source,
            "tags": device.tags,
            "state": device.state,
            "last_seen": device.last_seen,
            "gone": device.gone,
            "fields": state.as_ref().map(|state| &state.fields),
            "newest": state.map(|state| state.newest.to_string()),
        }))
    }

    fn devices(&self) -> Result<Value, Fault> {
        let configured = &self.rooms.config.devices;
        let devices: Vec<_> = self
            .rooms
            .store
            .devices()?
            .into_iter()
            .map(|device| {
                let name = configured.get(&device.id).and_then(|settings| settings.name.clone());
                json!({
                    "id": device.id, "name": name.or(device.name), "type": device.device_type,
                    "source": device.source, "last_seen": device.last_seen,
                })
            })
            .collect();
        Ok(json!({ "devices": devices }))
    }

    fn downlinks(&self, arguments: &Map<String, Value>) -> Result<Value, Fault> {
        let items = self.rooms.queues.list(device_of(arguments)?)?;
        let items: Vec<_> = items
            .iter()
            .map(|item| {
                json!({
                    "id": item.id, "device": item.device, "state": item.state, "final": item.is_final(),
                    "evidence": item.evidence, "data": item.data, "created": item.created,
                    "updated": item.updated, "expires": item.expires, "reason": item.reason,
                })
            })
            .collect();
        Ok(json!({ "downlinks": items }))
    }

    fn decode(&self, arguments: &Map<String, Value>) -> Result<Value, Fault> {
        let id = device_of(arguments)?.ok_or_else(|| Fault::new("malformed", "`device` is missing"))?;
        let text = text_of(arguments, "data")?.ok_or_else(|| Fault::new("malformed", "`data` is missing"))?;
        let payload: Payload =
            text.parse().map_err(|error| Fault::new("malformed", format!("`data`: {error}")))?;
        let decoded = self.rooms.queues.decode(id, &payload)?;
        Ok(json!({ "fields": decoded.fields, "errors": decoded.errors }))
    }
}

fn device_of(arguments: &Map<String, Value>) -> Result<Option<DeviceId>, Fault> {
    let text = text_of(arguments, "device")?;
    text.map(|text| text.parse().map_err(|error| Fault::new("malformed", format!("`device`: {error}"))))
        .transpose()
}

fn text_of<'a>(arguments: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Fault> {
    match arguments.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::new("malformed", format!("`{key}` is no text"))),
    }
}

//! Requests that make the gateway do something.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::argument::Arguments;
use super::envelope::Fault;
use super::query::PATIENCE;
use super::{Commands, Errand, Task, reply};
use crate::ingest::Scope;
use crate::model::{SourceName, Uplink};
use crate::publish::Reply;

/// The longest name of a device.
const LONGEST_NAME: usize = 100;

/// How many uplinks one request publishes again; the cursor of its answer asks for more.
const REPLAY: usize = 1000;

impl Commands {
    /// Makes sources poll now, or again from a time on.
    pub(super) fn sync(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let nudges = &self.rooms.nudges;
        let scope = Scope { device: arguments.device()?, from: arguments.time("from")? };
        let sources: Vec<&SourceName> = match arguments.text("source")? {
            None => nudges.keys().collect(),
            Some(name) => {
                let known = nudges.keys().find(|known| known.as_str() == name);
                vec![known.ok_or_else(|| Fault::new("not_found", format!("no source is called `{name}`")))?]
            }
        };
        for source in &sources {
            if let Some(nudge) = nudges.get(*source) {
                nudge.poll_now(scope);
            }
        }
        Ok(json!({ "sources": sources }))
    }

    /// Publishes uplinks of the history again, marked as replayed. They are not new: no state changes by them.
    pub(super) async fn replay(&self, arguments: &Arguments) -> Result<Value, Fault> {
        arguments.required_device()?;
        let limit = arguments.limit(REPLAY, REPLAY)?;
        let (uplinks, cursor) = self.page(arguments, limit)?;
        for uplink in &uplinks {
            let topic = self.rooms.topics.device(uplink.device, "event/up");
            if let Some(document) = self.view.uplink(&Uplink { replay: true, ..uplink.clone() })? {
                let again = Reply { replays: Some(uplink.id()), ..reply(topic, &document) };
                self.rooms.replies.send(again).await;
            }
        }
        Ok(json!({ "published": uplinks.len(), "cursor": cursor }))
    }

    /// Publishes what the broker refused once more.
    pub(super) async fn retry_parked(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let only = arguments.number_or_all()?;
        let retried = self.rooms.store.retry_parked(only).await?;
        found(only, retried).map(|retried| json!({ "retried": retried }))
    }

    /// Forgets what the broker refused; uplinks stay in the history.
    pub(super) async fn drop_parked(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let only = arguments.number_or_all()?;
        let dropped = self.rooms.store.drop_parked(only).await?;
        found(only, dropped).map(|dropped| json!({ "dropped": dropped }))
    }

    /// Everything that Home Assistant reads is published again, as when it says that it is there.
    pub(super) async fn publish_discovery(&self) -> Result<Value, Fault> {
        self.rooms.replies.birth().await;
        Ok(json!({}))
    }

    /// What Home Assistant was told is taken back, until something changes or it is published again.
    pub(super) async fn clear_discovery(&self) -> Result<Value, Fault> {
        let topics = self.view.discovery_topics()?;
        self.rooms.replies.clear(topics).await;
        Ok(json!({}))
    }

    /// Gives a device a name of its own at this gateway; an empty one gives it back its cloud's.
    pub(super) async fn rename(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let id = arguments.required_device()?;
        let name = arguments.required("name")?.trim();
        let device = self.rooms.store.device(id)?;
        let device = device.ok_or_else(|| Fault::new("not_found", format!("device {id} not found")))?;
        if self.rooms.config.devices.get(&id).is_some_and(|settings| settings.name.is_some()) {
            let message = format!("the configuration names {id}; change it there (devices.{id}.name)");
            return Err(Fault::new("configured", message));
        }
        if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            let message = format!("`name` is no name (expected at most {LONGEST_NAME} printable characters)");
            return Err(Fault::new("malformed", message));
        }
        self.rooms.store.set_alias(id, Some(name).filter(|name| !name.is_empty())).await?;
        Ok(json!({ "id": device.id, "name": name }))
    }

    /// Forgets a device and clears its retained topics; known or not, as what stands there may be older than us.
    pub(super) async fn forget(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let id = arguments.required_device()?;
        let known = self.rooms.store.device(id)?.map_or(id, |device| device.id);
        let topics = self.view.topics_of(known)?;
        let was_known = self.rooms.store.forget_device(known).await?;
        self.rooms.replies.clear(topics).await;
        Ok(json!({ "id": known, "was_known": was_known }))
    }

    pub(super) async fn log_level(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let level = arguments.required("level")?;
        self.errand(Task::LogLevel(level.to_owned())).await
    }

    pub(super) async fn reload(&self) -> Result<Value, Fault> {
        self.errand(Task::Reload).await
    }

    async fn errand(&self, what: Task) -> Result<Value, Fault> {
        let (outcome, answer) = oneshot::channel();
        let unavailable = || Fault::new("unavailable", "the daemon does not answer");
        let errand = Errand { what, outcome };
        self.rooms.errands.try_send(errand).ok().ok_or_else(unavailable)?;
        let answer = tokio::time::timeout(PATIENCE, answer).await.ok().and_then(Result::ok);
        answer.ok_or_else(unavailable)?.map_err(|reason| Fault::new("refused", reason))
    }
}

/// How many parked events were found; it is a fault to ask for one that is not there.
fn found(only: Option<u64>, many: usize) -> Result<usize, Fault> {
    match only {
        Some(number) if many == 0 => Err(Fault::new("not_found", format!("no event {number} is parked"))),
        _ => Ok(many),
    }
}

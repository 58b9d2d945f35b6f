//! Requests that make the gateway do something.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::argument::Arguments;
use super::envelope::Fault;
use super::query::PATIENCE;
use super::{Commands, Errand, Task, reply};
use crate::ingest::Scope;
use crate::model::{SourceName, Uplink};

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
                self.rooms.replies.send(reply(topic, &document)).await;
            }
        }
        Ok(json!({ "published": uplinks.len(), "cursor": cursor }))
    }

    /// Everything that Home Assistant reads is published again, as when it says that it is there.
    pub(super) async fn publish_discovery(&self) -> Result<Value, Fault> {
        self.rooms.replies.birth().await;
        Ok(json!({}))
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

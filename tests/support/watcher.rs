//! An MQTT 5 client that sees properties: `mosquitto_sub`, which prints each message as JSON.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::eventually;
use super::subscriber::Subscriber;

/// A running `mosquitto_sub`; killed when dropped.
pub(crate) struct Watcher {
    output: NamedTempFile,
    child: Child,
}

/// A message as an MQTT 5 client sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) retain: bool,
    /// By the names that `mosquitto_sub` gives them.
    pub(crate) properties: Value,
}

impl Watcher {
    /// Subscribes to everything and waits until the subscription stands.
    pub(crate) async fn start(port: u16) -> Self {
        let output = NamedTempFile::new().unwrap();
        let child = Command::new("mosquitto_sub")
            .args(["-V", "5", "-q", "1", "-t", "#", "-F", "%j", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(File::create(output.path()).unwrap())
            .spawn()
            .unwrap();
        let watcher = Self { output, child };
        let probe = Subscriber::start(port, "nothing").await;
        eventually("mosquitto_sub to listen", || {
            probe.publish("probe", "there?");
            watcher.all().iter().any(|seen| seen.topic == "probe")
        })
        .await;
        watcher
    }

    /// Everything that came so far. The end of the last line is written with the next, so a line is whole when it
    /// can be read.
    pub(crate) fn all(&self) -> Vec<Seen> {
        let text = String::from_utf8_lossy(&std::fs::read(self.output.path()).unwrap()).into_owned();
        text.lines().map_while(|line| Some(Seen::from(&serde_json::from_str(line).ok()?))).collect()
    }

    /// Waits until so many messages came on topics that end so, and gives them.
    pub(crate) async fn until(&self, suffix: &str, count: usize) -> Vec<Seen> {
        let on =
            || -> Vec<Seen> { self.all().into_iter().filter(|seen| seen.topic.ends_with(suffix)).collect() };
        eventually(&format!("{count} messages on …{suffix}"), || on().len() >= count).await;
        on()
    }
}

impl Seen {
    /// The payload as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap()
    }

    /// A user property.
    pub(crate) fn user(&self, name: &str) -> Option<&str> {
        self.properties["user-properties"][name].as_str()
    }
}

impl From<&Value> for Seen {
    fn from(message: &Value) -> Self {
        Self {
            topic: message["topic"].as_str().unwrap().to_owned(),
            payload: message["payload"].as_str().unwrap_or_default().to_owned(),
            retain: message["retain"] == 1,
            properties: message["properties"].clone(),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

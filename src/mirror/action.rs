//! From an action of the studio to a downlink and back: names, bodies, and which actions were taken already. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock;
use crate::cloud::altair::Action;
use crate::model::{Downlink, DownlinkState, ItemId, Timestamp};

/// How the names of items begin that an action asked for.
const PREFIX: &str = "altair-";
/// The studio keeps a hundred values of an action; what is older than twice that cannot come again.
const MOST_TAKEN: usize = 200;

/// Whether an action waits to be taken.
pub(super) fn is_pending(action: &Action) -> bool {
    action.status == "pending"
}

/// Whether an action has waited longer than a downlink may: what is asked for today is not sent next month.
pub(super) fn is_over(action: &Action, expires_after: Duration, now: Timestamp) -> bool {
    clock::is_set(now) && action.requested.is_some_and(|requested| requested.plus(expires_after) <= now)
}

/// The output of an action that waited too long.
pub(super) fn too_late(now: Timestamp) -> Value {
    let reason = "expired: the device's queue had no room for it within downlink.expires_after";
    json!({ "item": null, "state": DownlinkState::Expired, "evidence": null, "reason": reason, "time": now })
}

/// The body of the command that an action stands for: the same that is pushed by MQTT, with a name of its own, so
/// that whatever crashes in between the action is one item.
pub(super) fn command(id: &str, input: &Value, transaction: &str) -> Vec<u8> {
    let mut body = match input {
        Value::Object(body) => body.clone(),
        input => Map::from_iter([("data".to_owned(), input.clone())]),
    };
    body.insert("id".to_owned(), json!(format!("{PREFIX}{id}")));
    body.insert("transaction".to_owned(), json!(transaction));
    Value::Object(body).to_string().into_bytes()
}

/// The action that asked for an item.
pub(super) fn action_of(item: &ItemId) -> Option<&str> {
    item.as_str().strip_prefix(PREFIX)
}

/// How an action ends with its item: its status and its output.
pub(super) fn end(item: &Downlink) -> (&'static str, Value) {
    let arrived = matches!(item.state, DownlinkState::Sent | DownlinkState::Acked);
    let output = json!({
        "item": item.id, "state": item.state, "evidence": item.evidence, "reason": item.reason,
        "time": item.updated,
    });
    (if arrived { "completed" } else { "failed" }, output)
}

/// The actions of a device that were taken, oldest first: an item is forgotten a day after its end, and what asked
/// for it must not ask again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken(VecDeque<String>);

impl Taken {
    /// As a note has it.
    pub(super) fn parse(note: &[u8]) -> Self {
        Self(String::from_utf8_lossy(note).lines().map(ToOwned::to_owned).collect())
    }

    /// As a note keeps it.
    pub(super) fn print(&self) -> Vec<u8> {
        let ids: Vec<&str> = self.0.iter().map(String::as_str).collect();
        ids.join("\n").into_bytes()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|taken| taken == id)
    }

    pub(super) fn add(&mut self, id: &str) {
        self.0.push_back(id.to_owned());
        if self.0.len() > MOST_TAKEN {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_the_command_that_mqtt_would_push() {
        for (input, key, value) in [
            (json!("0123456789abcdef"), "data", json!("0123456789abcdef")),
            (json!({ "fields": { "on": true }, "id": "x" }), "fields", json!({ "on": true })),
            (json!(7), "data", json!(7)),
        ] {
            let body: Value = serde_json::from_slice(&command("01JQAC1", &input, "mirror/studio")).unwrap();
            let expected = json!({ key: value, "id": "altair-01JQAC1", "transaction": "mirror/studio" });
            assert_eq!(body, expected, "{input}");
        }
        assert_eq!(action_of(&"altair-01JQAC1".parse().unwrap()), Some("01JQAC1"));
        assert_eq!(action_of(&"set-7".parse().unwrap()), None);
    }

    #[test]
    fn an_action_waits_as_long_as_a_downlink_may() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let day = Duration::from_secs(86_400);
        let action = |requested: Option<Timestamp>| Action {
            name: "downlink".to_owned(),
            id: "01JQAC1".to_owned(),
            status: "pending".to_owned(),
            input: json!("0123456789abcdef"),
            output: Value::Null,
            requested,
            completed: None,
        };
        for (requested, over) in [
            (None, false),
            (Some(now), false),
            (Some(now.minus(2 * day - Duration::from_secs(1))), false),
            (Some(now.minus(2 * day)), true),
        ] {
            assert_eq!(is_over(&action(requested), 2 * day, now), over, "{requested:?}");
        }
        let never_set: Timestamp = "1970-01-02T00:00:00Z".parse().unwrap();
        assert!(!is_over(&action(Timestamp::from_millis(0)), Duration::from_secs(1), never_set));
    }

    #[test]
    fn what_was_taken_is_remembered_in_a_bounded_note() {
        let mut taken = Taken::default();
        for number in 0..1000 {
            taken.add(&format!("01JQ0000000000000000AC{number:04}"));
        }
        let note = taken.print();
        assert!(note.len() < 12 * 1024, "{}", note.len());
        assert_eq!(Taken::parse(&note), taken);
        assert!(
            taken.contains("01JQ0000000000000000AC0999") && !taken.contains("01JQ0000000000000000AC0000")
        );
        assert_eq!(Taken::parse(b""), Taken::default());
    }
}

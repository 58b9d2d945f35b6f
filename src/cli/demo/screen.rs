//! What the demo shows of the messages on the broker: a line an uplink, a line a step of a downlink.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::config::Mqtt;

/// Remembers what devices are called.
#[derive(Debug, Default)]
pub(super) struct Screen {
    names: HashMap<String, String>,
}

/// So many names are remembered; the demo has twenty devices.
const MOST_NAMES: usize = 10_000;

impl Screen {
    /// What it must be subscribed to.
    pub(super) fn filters(mqtt: &Mqtt) -> Vec<String> {
        ["event/up", "event/downlink"].iter().map(|event| format!("{}/device/+/{event}", mqtt.base)).collect()
    }

    /// The line for a message; none where it is not for people.
    pub(super) fn line(&mut self, topic: &str, payload: &[u8]) -> Option<String> {
        let Ok(Value::Object(document)) = serde_json::from_slice(payload) else { return None };
        let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
        let device = text("device");
        if topic.ends_with("/event/up") {
            if self.names.len() < MOST_NAMES {
                self.names.insert(device.to_owned(), text("name").to_owned());
            }
            // What was history when the demo began is for the web page.
            if document.get("replay").and_then(Value::as_bool) == Some(true) {
                return None;
            }
            return Some(self.row(text("time"), device, &values(&document)));
        }
        let reason = match text("reason") {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        let what = format!("downlink {} of {}: {}{reason}", text("id"), text("data"), text("state"));
        Some(self.row(text("updated"), device, &what))
    }

    fn row(&self, time: &str, device: &str, what: &str) -> String {
        let clock = time.split_once('T').map_or(time, |(_, clock)| clock);
        let clock = clock.split_once('.').map_or(clock, |(seconds, _)| seconds);
        let name = self.names.get(device).map_or("", String::as_str);
        format!("{clock}  {device:<8}  {name:<18}  {what}")
    }
}

/// The decoded values, or the bytes where nothing could be decoded.
fn values(document: &Map<String, Value>) -> String {
    let fields = document.get("fields").and_then(Value::as_object).filter(|fields| !fields.is_empty());
    let shown = match fields {
        Some(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("  ")
        }
        None => format!("data {}", document.get("data").and_then(Value::as_str).unwrap_or_default()),
    };
    match document.get("errors").and_then(Value::as_array).and_then(|errors| errors.first()?.as_str()) {
        Some(error) => format!("{shown}  ({error})"),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_uplink_and_the_steps_of_a_downlink_are_lines() {
        let mut screen = Screen::default();
        let up = json!({
            "device": "1A2B3C", "name": "Weather Weir", "time": "2026-09-09T22:26:40.123Z", "data": "0a",
            "fields": { "temperature": 21.53, "open": false }, "errors": [], "replay": false,
        });
        let history = json!({ "device": "1A2B3C", "name": "Weather Weir", "replay": true, "data": "0a" });
        let bare = json!({
            "device": "3068E", "name": "Room Weir", "time": "2026-09-09T22:26:41.000Z", "data": "0aff",
            "fields": {}, "errors": ["2 bytes, expected 4"],
        });
        let downlink = json!({
            "device": "1A2B3C", "id": "set-7", "state": "failed", "data": "0123456789abcdef",
            "reason": "no answer", "updated": "2026-09-09T22:26:42.000Z",
        });
        let lines: Vec<String> = [
            ("b/device/1A2B3C/event/up", history),
            ("b/device/1A2B3C/event/up", up),
            ("b/device/3068E/event/up", bare),
            ("b/device/1A2B3C/event/downlink", downlink),
        ]
        .into_iter()
        .filter_map(|(topic, document)| screen.line(topic, document.to_string().as_bytes()))
        .collect();
        assert_eq!(
            lines,
            [
                "22:26:40  1A2B3C    Weather Weir        temperature 21.53  open false",
                "22:26:41  3068E     Room Weir           data 0aff  (2 bytes, expected 4)",
                "22:26:42  1A2B3C    Weather Weir        downlink set-7 of 0123456789abcdef: failed (no answer)",
            ]
        );
        assert_eq!(screen.line("b/device/1/event/up", b"no json"), None);
    }
}

//! Names that no topic and no template can hold as they are: of devices, and of fields that a script makes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sigfox2mqtt::clock;

use crate::publisher_rig::{Site, uplink};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

/// Fields as a vendor's script may call them.
const SCRIPT: &str = r#"
function decodeUplink(input) {
  return { data: { "air temperature": 21.5, "a.b": 2, "x/y+#": true, "💧": 4, "it's \"{{ 1 }}\"": 5 } };
}
"#;

const FIELDS: [&str; 5] = ["air temperature", "a.b", "x/y+#", "💧", "it's \"{{ 1 }}\""];

fn names() -> Vec<String> {
    vec!["a/b".to_owned(), "#".to_owned(), "+/+".to_owned(), "Tank 💧 3".to_owned(), "n".repeat(10_000)]
}

fn toml(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[tokio::test]
async fn names_of_any_kind_are_told_as_they_are_and_never_in_a_topic() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("vendor.js");
    std::fs::write(&script, SCRIPT).unwrap();
    for mode in ["device", "component"] {
        let broker = Mosquitto::start().await;
        let subscriber = Subscriber::start(broker.port(), "#").await;
        let mut lines = format!(
            "url = \"{}\"\nattributes = true\n[mqtt.discovery]\nmode = \"{mode}\"\n[decoders.vendor]\nscript = {}\n",
            broker.url(),
            toml(script.to_str().unwrap())
        );
        // What a script gives is known to Home Assistant where the configuration describes it.
        for (number, field) in FIELDS.iter().enumerate() {
            lines.push_str(&format!("[decoders.vendor.fields.{}]\nname = \"Field {number}\"\n", toml(field)));
        }
        let ids: Vec<String> = (1..=names().len()).map(|number| format!("{number:X}F")).collect();
        for (id, name) in ids.iter().zip(names()) {
            lines.push_str(&format!("[devices.{id}]\nname = {}\ndecoder = \"vendor\"\n", toml(&name)));
        }
        let site = Site::new(&lines);
        let now = clock::now().as_seconds();
        let sweep: Vec<_> = (0..).zip(&ids).map(|(n, id)| uplink(id, now - 60 + n, "00")).collect();
        site.store.record_sweep(&sweep, None).unwrap();
        let publishing = site.publish();
        site.drained().await;
        for (id, name) in sweep.iter().map(|uplink| uplink.device.to_string()).zip(names()) {
            let state = subscriber.until(&format!("device/{id}/state"), 1).await[0].json();
            assert_eq!(state["name"], json!(name));
            let fields = &state["fields"];
            assert_eq!((&fields["air temperature"], &fields["a.b"]), (&json!(21.5), &json!(2)));
            assert_eq!((&fields["x/y+#"], &fields["💧"]), (&json!(true), &json!(4)));
            for attribute in ["air temperature", "a.b", "x_y__", "💧"] {
                subscriber.until(&format!("device/{id}/attr/{attribute}"), 1).await;
            }
        }
        let discovered = || -> Vec<_> {
            let all = subscriber.all().into_iter();
            all.filter(|message| message.topic.starts_with("homeassistant/") && !message.payload.is_empty())
                .collect()
        };
        let told = || -> BTreeMap<String, Value> {
            discovered().iter().flat_map(|message| entities(&message.json())).collect()
        };
        let of_fields = || told().keys().filter(|id| id.contains("_field_") || id.contains("_flag_")).count();
        eventually("five entities a device", || of_fields() == 5 * ids.len()).await;
        publishing.stop().await;
        let (discovered, entities) = (discovered(), told());
        for message in &discovered {
            let is_plain = |level: &str| level.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            assert!(message.topic.split('/').all(is_plain), "Home Assistant takes no `{}`", message.topic);
        }
        for (id, entity) in &entities {
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{id}: {entity}");
        }
    }
}

/// The entities of a discovery message, of either mode, by their unique ids.
fn entities(message: &Value) -> Vec<(String, Value)> {
    let id = |entity: &Value| Some((entity["unique_id"].as_str()?.to_owned(), entity.clone()));
    match message["cmps"].as_object() {
        Some(entities) => entities.values().filter_map(id).collect(),
        None => id(message).into_iter().collect(),
    }
}

//! What the guides tell people to subscribe to, publish to and read exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sigfox2mqtt::clock;
use sigfox2mqtt::model::Timestamp;
use sigfox2mqtt::mqtt::topic::Topics;

use crate::mqtt_reference::{spelled, table};
use crate::publisher_rig::{Site, uplink};
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

/// The texts of the guides by their names.
fn guides() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Every topic below the default base in a text; `<id>` and `+` stand for a device.
fn topics(text: &str) -> BTreeSet<String> {
    let is_part = |character: &char| character.is_ascii_alphanumeric() || "/_+<>#-".contains(*character);
    let below =
        text.split("sigfox2mqtt/").skip(1).map(|rest| rest.chars().take_while(is_part).collect::<String>());
    below
        .map(|rest| format!("sigfox2mqtt/{rest}").replace("<id>", "1A2B3C").replace("/+/", "/1A2B3C/"))
        .collect()
}

#[test]
fn topics_in_the_guides_exist() {
    let (rows, ours) = (table(), Topics::new("sigfox2mqtt", "homeassistant"));
    let mut found = 0;
    for (guide, text) in guides() {
        for topic in topics(&text) {
            let is_command = ours.parse(&topic).is_some();
            assert!(is_command || rows.contains_key(&spelled(&topic)), "{guide}: {topic}");
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}

#[test]
fn keys_in_the_guides_exist() {
    let schema = |name: &str| -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
        serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let schemas = ["device-uplink.json", "device-availability.json"].map(schema);
    let mut found = 0;
    for (guide, text) in guides() {
        let after = |mark: &'static str| text.split(mark).skip(1).collect::<Vec<_>>();
        let named = [after("JSONPATH:$."), after("  path = \""), after("_path = \""), after("msg.payload.")];
        for rest in named.concat() {
            let key: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            let is_known = schemas.iter().any(|schema| schema["properties"].get(&key).is_some());
            assert!(is_known, "{guide}: {key}");
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}

fn guide(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides").join(name)).unwrap()
}

/// A broker with what the gateway publishes of the guides' device, and a client that has seen it.
async fn published() -> (Mosquitto, Subscriber) {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "#").await;
    let site = Site::new(&format!("url = \"{}\"", broker.url()));
    site.store.record_sweep(&[uplink("1A2B3C", clock::now().as_seconds() - 60, "012c80")], None).unwrap();
    let publishing = site.publish();
    site.drained().await;
    subscriber.until("1A2B3C/state", 1).await;
    subscriber.until("1A2B3C/availability", 1).await;
    publishing.stop().await;
    (broker, subscriber)
}

/// The value of a setting `key="…"` in a line.
fn setting<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once(&format!("{key}=\""))?.1.split_once('"').map(|(value, _)| value)
}

/// What a path of member names points to, as `$.a.b` and `a.b` do.
fn at<'a>(document: &'a Value, path: &str) -> &'a Value {
    path.trim_start_matches("$.").split('.').fold(document, |value, key| &value[key])
}

/// openHAB's files, read as its MQTT binding reads them: each channel gets a value of its type from what is published.
#[tokio::test]
async fn each_channel_of_the_openhab_things_gets_a_value_of_its_type() {
    let (_broker, subscriber) = published().await;
    let guide = guide("openhab.md");
    let joined = guide.replace(",\n", ", ").replace("[\n", "[ ");
    let mut channels = BTreeSet::new();
    for line in joined.lines() {
        let is_channel = line.trim_start().starts_with("Type ");
        let topic = setting(line, if is_channel { "stateTopic" } else { "availabilityTopic" });
        let Some(topic) = topic else { continue };
        let pattern = setting(line, "transformationPattern").unwrap();
        let document = subscriber.last(topic).unwrap_or_else(|| panic!("nothing on {topic}")).json();
        let value = at(&document, pattern.strip_prefix("JSONPATH:").unwrap());
        if !is_channel {
            assert_eq!(value.as_str(), setting(line, "payloadAvailable"), "{line}");
            continue;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        match words[1] {
            "number" => assert!(value.is_number(), "{line} gets {value}"),
            "datetime" => drop(value.as_str().unwrap().parse::<Timestamp>().unwrap()),
            other => panic!("{other} is no type that the guide uses"),
        }
        channels.insert(format!("mqtt:topic:home:tank3:{}", words[3]));
    }
    assert_eq!(channels.len(), 3, "{channels:?}");
    let items = guide.lines().filter_map(|line| line.split_once("channel=\"")?.1.split_once('"'));
    let items: BTreeSet<_> = items.map(|(channel, _)| channel.to_owned()).collect();
    assert_eq!(items, channels, "each item has its channel");
    assert!(guide.contains("Bridge mqtt:broker:home") && guide.contains("Thing topic tank3"));
}

/// Telegraf's configuration, read as its parser `json_v2` reads it: tags, fields and the time of a point.
#[tokio::test]
async fn an_uplink_is_a_point_for_telegraf() {
    let (_broker, subscriber) = published().await;
    let guide = guide("telegraf.md");
    let (_, block) = guide.split_once("```toml\n").unwrap();
    let config: toml::Table = block.split_once("```").unwrap().0.parse().unwrap();
    let input = &config["inputs"]["mqtt_consumer"][0];
    let topic = input["topics"][0].as_str().unwrap().replace('+', "1A2B3C");
    let event = subscriber.last(&topic).unwrap_or_else(|| panic!("nothing on {topic}")).json();
    let parser = &input["json_v2"][0];
    let paths = |kind: &str| -> Vec<String> {
        let entries = parser[kind].as_array().unwrap().iter();
        entries.map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
    };
    for tag in paths("tag") {
        assert!(at(&event, &tag).is_string(), "{tag} of {event}");
    }
    for field in paths("field") {
        assert!(at(&event, &field).is_number(), "{field} of {event}");
    }
    for object in paths("object") {
        let values = at(&event, &object).as_object().unwrap();
        assert!(!values.is_empty() && values.values().all(|value| value.is_number() || value.is_boolean()));
    }
    // The layout is Go's: its reference time, digit by digit.
    let layout = parser["timestamp_format"].as_str().unwrap();
    let time = at(&event, parser["timestamp_path"].as_str().unwrap()).as_str().unwrap();
    let shape = |text: &str| text.replace(|character: char| character.is_ascii_digit(), "0");
    assert_eq!(shape(time), shape(layout));
    assert_eq!((input["qos"].as_integer(), input["persistent_session"].as_bool()), (Some(1), Some(true)));
    assert!(input["client_id"].is_str(), "a remembered session needs a name");
}

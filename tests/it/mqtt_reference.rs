//! docs/mqtt.md against what a broker really gets.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use sigfox2mqtt::clock;
use sigfox2mqtt::config::REQUEST_VERBS;
use sigfox2mqtt::model::{Downlink, DownlinkState, Event, Location, LocationSource, Timestamp};
use sigfox2mqtt::store::QueueChange;

use crate::publisher_rig::{Site, uplink};
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::{Received, Subscriber};

/// A row of the table: whether it is retained, its keys, whether more may follow, and its JSON Schema.
pub(crate) struct Row {
    retained: bool,
    keys: Vec<String>,
    open: bool,
    pub(crate) schema: Option<Validator>,
}

/// The table by its topics, spelled as there.
pub(crate) fn table() -> BTreeMap<String, Row> {
    let path = format!("{}/docs/mqtt.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("## What is published").unwrap();
    let (section, _) = section.split_once("## What is listened to").unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let topic = cells[0].strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let spelled = cells[2].strip_prefix('`').and_then(|rest| rest.split_once('`'));
        let (keys, rest) = spelled.unwrap_or(("", ""));
        let keys = keys.split_whitespace().map(str::to_owned).collect();
        let link = cells[3].rsplit_once("](schema/").and_then(|(_, link)| link.strip_suffix(".json)"));
        let schema = link.map(schema);
        Some((topic, Row { retained: cells[1] == "yes", keys, open: rest.contains("own"), schema }))
    };
    section.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect()
}

/// A schema of the documentation, by its name; formats count.
pub(crate) fn schema(name: &str) -> Validator {
    let path = format!("{}/docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let schema = serde_json::from_str(&text).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The topic as the table spells it.
pub(crate) fn spelled(topic: &str) -> String {
    let topic = topic.replace("homeassistant/", "<prefix>/").replace("sigfox2mqtt/", "<b>/");
    let topic = topic.replace("sigfox2mqtt_gw", "sigfox2mqtt_<gw>").replace("1A2B3C", "<id>");
    let topic = topic.replace("sources/factory", "sources/<source>").replace("item/set-7", "item/<item>");
    if topic.contains("/attr/") { "<b>/device/<id>/attr/<field>".to_owned() } else { topic }
}

#[test]
fn the_table_of_requests_has_every_verb_and_no_other() {
    let path = format!("{}/docs/mqtt.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("## Requests").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let first_cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    let verbs: BTreeSet<&str> =
        first_cells.flat_map(|(cell, _)| cell.split(", ")).map(|verb| verb.trim_matches('`')).collect();
    assert_eq!(verbs, REQUEST_VERBS.into_iter().collect());
}

fn item(now: Timestamp) -> Downlink {
    Downlink {
        id: "set-7".parse().unwrap(),
        device: "1A2B3C".parse().unwrap(),
        data: "0123456789abcdef".parse().ok(),
        state: DownlinkState::Queued,
        evidence: None,
        created: now,
        updated: now,
        expires: now.plus(std::time::Duration::from_secs(3600)),
        not_before: None,
        coalesce: None,
        via: None,
        reason: None,
        history: vec![(DownlinkState::Queued, now)],
        uplink: None,
        transaction: None,
        awaits_device_ack: false,
    }
}

#[tokio::test]
async fn every_topic_of_the_reference_is_published_as_it_says_and_no_other() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "#").await;
    let site = Site::new(&format!("url = \"{}\"\nattributes = true", broker.url()));
    let now = clock::now();
    let device = "1A2B3C".parse().unwrap();
    let location = Location {
        latitude: 48.0,
        longitude: 2.0,
        accuracy_m: None,
        source: LocationSource::Network,
        time: now,
    };
    site.store.record_sweep(&[uplink("1A2B3C", now.as_seconds() - 60, "012c80")], None).unwrap();
    site.store.tell(&Event::Location { device, location, uplink: None }).unwrap();
    let (kind, detail) = ("status".to_owned(), r#"{"battery":3.1}"#.to_owned());
    site.store.tell(&Event::Service { device, time: now, kind, detail }).unwrap();
    let queued = item(now);
    site.store
        .change_queue(device, |_queue| {
            let events = vec![Event::Downlink(Box::new(queued.clone()))];
            (QueueChange { put: vec![queued], events, ..QueueChange::default() }, ())
        })
        .await
        .unwrap();
    let publishing = site.publish();
    site.drained().await;
    let rows = table();
    for topic in rows.keys() {
        let seen = || subscriber.all().iter().any(|message| spelled(&message.topic) == *topic);
        crate::support::eventually(topic, seen).await;
    }
    publishing.stop().await;
    let late = Subscriber::start(broker.port(), "#").await;
    late.caught_up().await;
    let kept: Vec<String> = late.all().iter().map(|message| spelled(&message.topic)).collect();
    for Received { topic, payload, .. } in subscriber.all() {
        let row = rows.get(&spelled(&topic)).unwrap_or_else(|| panic!("{topic} is not in docs/mqtt.md"));
        assert_eq!(kept.contains(&spelled(&topic)), row.retained, "{topic} retained");
        if row.keys.is_empty() {
            continue;
        }
        let document: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload).unwrap();
        let mut keys: Vec<String> = document.keys().cloned().collect();
        if row.open {
            keys.truncate(row.keys.len());
        }
        assert_eq!(keys, row.keys, "{topic}");
        if let Some(schema) = &row.schema {
            schema.validate(&document.into()).unwrap_or_else(|fault| panic!("{topic}: {fault}"));
        }
    }
}

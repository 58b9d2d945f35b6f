//! A full run of the daemon as an MQTT 5 client sees it: each document by its schema, each message with its properties.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::simulate::Telegram;

use crate::main_job::{Site, id, uplink, world};
use crate::mqtt_reference::{schema, spelled, table};
use crate::support::watcher::{Seen, Watcher};

/// Sends a request as an MQTT 5 client that wants the answer on a topic of its own.
fn ask(port: u16, verb: &str, body: &Value) {
    let status = Command::new("mosquitto_pub")
        .args(["-V", "5", "-q", "1", "-p", &port.to_string()])
        .args(["-t", &format!("sigfox2mqtt/bridge/request/{verb}"), "-m", &body.to_string()])
        .args(["-D", "publish", "response-topic", "sigfox2mqtt/client/test/answers"])
        .args(["-D", "publish", "correlation-data", verb])
        .status()
        .unwrap();
    assert!(status.success());
}

/// What every message of the gateway carries.
fn check_properties(seen: &Seen) {
    let Seen { topic, payload, properties, .. } = seen;
    if payload.is_empty() || topic.contains("/attr/") {
        return;
    }
    let expiry = if topic.contains("/event/") || topic.ends_with("bridge/event") {
        Some(7 * 24 * 3600)
    } else if topic.ends_with("bridge/health") {
        Some(180)
    } else {
        None
    };
    assert_eq!(properties["content-type"], "application/json", "{topic}");
    assert_eq!(properties["payload-format-indicator"], 1, "{topic}");
    assert_eq!(properties["message-expiry-interval"].as_u64(), expiry, "{topic}");
    let document = seen.json();
    let of_uplink =
        ["event/up", "/state"].iter().any(|end| topic.ends_with(end)) && topic.contains("/device/");
    let of_downlink = topic.ends_with("event/downlink") || topic.contains("/downlink/item/");
    if of_uplink || of_downlink {
        assert_eq!(seen.user("id"), document["id"].as_str(), "{topic}");
    }
    if of_uplink {
        assert_eq!(seen.user("replay"), Some(document["replay"].to_string().as_str()), "{topic}");
    }
    if of_downlink {
        assert_eq!(seen.user("replay"), Some("false"), "{topic}");
    }
    if topic.ends_with("/location") && document["uplink"].is_string() {
        assert_eq!(seen.user("id"), document["uplink"].as_str(), "{topic}");
        assert!(seen.user("replay").is_some(), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_of_a_full_run_keeps_to_its_schema_and_carries_its_properties() {
    let mut world = world(9);
    let tenth = uplink(9, clock::now().minus(Duration::from_secs(600)));
    world.record(tenth.located(48.1, 2.5, 400, Duration::ZERO));
    let site = Site::new(world).await;
    let port = site.broker.port();
    let watcher = Watcher::start(port).await;
    let daemon = site.gateway.start();
    site.call_back(&daemon).await;
    watcher.until("/event/up", 10).await;
    watcher.until("/event/location", 1).await;

    ask(port, "replay", &json!({ "device": "1A2B3C", "limit": 2, "transaction": "r" }));
    for verb in ["health", "device/list", "history", "downlink/list", "nonsense"] {
        ask(port, verb, &json!({ "device": "1A2B3C", "transaction": verb }));
    }
    let push = json!({ "id": "set-7", "data": "0123456789abcdef" });
    let status = Command::new("mosquitto_pub")
        .args(["-q", "1", "-p", &port.to_string(), "-t", "sigfox2mqtt/device/1A2B3C/downlink/push"])
        .args(["-m", &push.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    watcher.until("/event/downlink", 1).await;
    site.cloud.send(id("1A2B3C"), Telegram { payload: "000102".parse().ok(), ack: true }).unwrap();
    watcher.until("/event/downlink", 2).await;

    // Ten of the history, two again by request, one with the callback.
    let ups = watcher.until("/event/up", 13).await;
    let again: Vec<_> = ups.iter().filter(|seen| seen.user("replay") == Some("true")).collect();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|seen| seen.json()["replay"] == json!(true)));
    let answers = watcher.until("client/test/answers", 6).await;
    for answer in &answers {
        let verb = answer.properties["correlation-data"].as_str().unwrap();
        let ends_well = if verb == "nonsense" { json!("unknown_request") } else { Value::Null };
        assert_eq!(answer.json()["error"]["code"], ends_well, "{verb}");
    }
    assert_eq!(daemon.terminate().await.code(), Some(0));
    watcher.until("bridge/state", 2).await;

    let (rows, response) = (table(), schema("bridge-response"));
    let mut checked = 0;
    for seen in watcher.all().iter().filter(|seen| !seen.payload.is_empty()) {
        let topic = &seen.topic;
        let is_answer = topic.contains("/bridge/response/") || topic.contains("/client/");
        let known = topic.replace("_site", "_gw").replace("3068E", "1A2B3C").replace("002C", "1A2B3C");
        let validator = if is_answer {
            Some(&response)
        } else if topic == "probe"
            || topic.ends_with("/push")
            || (topic.contains("/request/") && !topic.ends_with("hello"))
        {
            continue;
        } else {
            rows.get(&spelled(&known))
                .unwrap_or_else(|| panic!("{topic} is not in docs/mqtt.md"))
                .schema
                .as_ref()
        };
        check_properties(seen);
        if let Some(validator) = validator {
            validator
                .validate(&seen.json())
                .unwrap_or_else(|fault| panic!("{topic}: {fault}\n{}", seen.payload));
            checked += 1;
        }
        assert!(!seen.retain, "{topic} was not there before");
    }
    println!("{checked} documents keep to their schemas");
    assert!(checked >= 50, "{checked}");
}

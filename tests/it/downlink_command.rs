//! Commands as they come from the broker: what they do to the store, and how they are answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::command::{Commands, Errand, Request, Task};
use sigfox2mqtt::config::Config;
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::model::{CloudState, Event, InventoryDevice};
use sigfox2mqtt::store::{Store, Syncer};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{listener, publisher_rig};

const DATA: &str = "0123456789abcdef";

/// Commands on a store that knows one device, 4D9A83.
struct Rig {
    commands: Commands,
    store: Store,
    errands: mpsc::Receiver<Errand>,
    syncer: Option<Syncer>,
    _dir: TempDir,
}

impl Rig {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(configuration: &str) -> Self {
        Self::of(listener::config(configuration)).await
    }

    async fn of(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Arc::new(config);
        let (store, syncer) = listener::open(&dir);
        for (seconds, seq) in [(0, 1), (600, 2), (1200, 3)] {
            store.record_uplink(&listener::uplink("4D9A83", 1_789_000_000 + seconds, seq)).await.unwrap();
        }
        let registry = Arc::new(Registry::new(&config).unwrap());
        let queues = listener::queues(&store, &config, &registry);
        let (rooms, errands) = listener::rooms(&store, &config, &registry, &queues);
        Self { commands: Commands::new(rooms), store, errands, syncer: Some(syncer), _dir: dir }
    }

    /// Does a command for the device; how many answers it has.
    async fn downlink(&self, verb: &str, body: &str) -> usize {
        let topic = format!("sigfox2mqtt/device/4D9A83/downlink/{verb}");
        self.commands.handle(&request(&topic, body)).await.len()
    }

    /// Pushes an item of its own, as an MQTT 5 client that wants an answer; its status, or why it was refused.
    async fn push_asking(&self, number: u32) -> String {
        let body = json!({ "id": format!("i{number}"), "data": DATA }).to_string();
        let response_topic = Some("sigfox2mqtt/client/me".to_owned());
        let push = Request { response_topic, ..request("sigfox2mqtt/device/4D9A83/downlink/push", &body) };
        let replies = self.commands.handle(&push).await;
        let [reply] = replies.as_slice() else { panic!("{replies:?}") };
        let answer: Value = serde_json::from_slice(&reply.payload).unwrap();
        let said = answer["error"]["message"].as_str().or(answer["status"].as_str());
        said.unwrap().to_owned()
    }

    /// Asks a request; its only answer, which must be on its response topic.
    async fn ask(&self, verb: &str, body: Value) -> Value {
        let topic = format!("sigfox2mqtt/bridge/request/{verb}");
        let replies = self.commands.handle(&request(&topic, &body.to_string())).await;
        let [reply] = replies.as_slice() else { panic!("{replies:?}") };
        assert_eq!(reply.topic, format!("sigfox2mqtt/bridge/response/{verb}"));
        serde_json::from_slice(&reply.payload).unwrap()
    }

    /// What became of downlinks so far, as `id state reason`.
    fn told(&self) -> Vec<String> {
        let events = self.store.outbox_head(&BTreeSet::new(), 1000).unwrap();
        let one = |event| match event {
            Event::Downlink(item) => {
                let reason = item.reason.unwrap_or_default();
                let word = reason.split(':').next().unwrap_or_default().to_owned();
                Some(format!("{} {} {word}", item.id, item.state).trim_end().to_owned())
            }
            _ => None,
        };
        events.into_iter().filter_map(|entry| one(entry.event)).collect()
    }

    /// What was reported on `bridge/event` of commands, by its reason's first word.
    fn rejected(&self) -> Vec<String> {
        let events = self.store.outbox_head(&BTreeSet::new(), 1000).unwrap();
        let one = |event| match event {
            Event::Bridge { kind, detail, .. } if kind == "command_rejected" => {
                let detail: Value = serde_json::from_str(&detail).unwrap();
                Some(detail["reason"].as_str().unwrap().split(':').next().unwrap().to_owned())
            }
            _ => None,
        };
        events.into_iter().filter_map(|entry| one(entry.event)).collect()
    }
}

fn request(topic: &str, body: &str) -> Request {
    Request {
        topic: topic.to_owned(),
        payload: Bytes::from(body.to_owned()),
        retained: false,
        repeat: false,
        response_topic: None,
        correlation: None,
    }
}

#[tokio::test]
async fn each_item_of_a_push_is_queued_or_rejected_for_itself() {
    let rig = Rig::new().await;
    let body = json!([
        { "id": "set-7", "data": DATA, "transaction": "t1" },
        { "id": "short", "data": "00" },
        { "id": "set-7", "data": DATA },
        { "id": "set-7", "data": "ffffffffffffffff" },
    ]);
    assert_eq!(rig.downlink("push", &body.to_string()).await, 0);
    assert_eq!(rig.told(), ["set-7 queued", "short rejected invalid_data", "set-7 rejected id_conflict"]);
    assert_eq!(rig.rejected(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_command_is_reported_and_changes_nothing() {
    let rig = Rig::new().await;
    rig.downlink("push", &json!({ "id": "a", "data": DATA }).to_string()).await;
    for body in ["", "hello", "7", "{\"id\":"] {
        rig.downlink("replace", body).await;
        rig.downlink("cancel", body).await;
    }
    rig.downlink("cancel", r#"{"id":"nobody"}"#).await;
    rig.commands.handle(&request("sigfox2mqtt/device/XYZ/downlink/push", "{}")).await;
    rig.commands.handle(&request("sigfox2mqtt/device/4D9A83/downlink/push", &"x".repeat(70_000))).await;
    let mut expected = vec!["malformed"; 8];
    expected.extend(["unknown_item", "unknown_topic", "too_large"]);
    assert_eq!(rig.rejected(), expected);
    let told = rig.told();
    assert_eq!(told.first().map(String::as_str), Some("a queued"));
    assert!(told.iter().skip(1).all(|told| told.ends_with("rejected malformed")), "{told:?}");
}

#[tokio::test]
async fn a_retained_command_is_refused() {
    let rig = Rig::new().await;
    for topic in ["sigfox2mqtt/device/4D9A83/downlink/push", "sigfox2mqtt/bridge/request/health"] {
        let body = json!({ "id": "a", "data": DATA }).to_string();
        let replies = rig.commands.handle(&Request { retained: true, ..request(topic, &body) }).await;
        assert!(replies.is_empty());
    }
    assert_eq!((rig.rejected(), rig.told().len()), (vec!["retained".to_owned(); 2], 0));
}

#[tokio::test]
async fn a_device_that_nobody_knows_is_not_queued_for() {
    let rig = Rig::new().await;
    let body = json!({ "id": "a", "data": DATA }).to_string();
    rig.commands.handle(&request("sigfox2mqtt/device/FFFF/downlink/push", &body)).await;
    assert_eq!(rig.told(), ["a rejected unknown_device"]);
}

#[tokio::test]
async fn a_device_that_its_cloud_has_deleted_is_not_queued_for() {
    let rig = Rig::new().await;
    let deleted = InventoryDevice {
        id: "4D9A83".parse().unwrap(),
        name: None,
        device_type: None,
        tags: [].into(),
        state: Some(CloudState::Deleted),
        last_seen: None,
        location: None,
    };
    let source = "factory".parse().unwrap();
    rig.store.record_inventory(&source, &[], &[deleted], clock::now()).unwrap();
    rig.downlink("push", &json!({ "id": "a", "data": DATA }).to_string()).await;
    assert_eq!(rig.told(), ["a rejected device_gone"]);
}

#[tokio::test]
async fn fields_are_written_by_the_encoder_of_the_device() {
    let rig = Rig::of(publisher_rig::config(
        "url = \"mqtt://127.0.0.1:1\"\n[devices.4D9A83]\ndecoder = \"valve\"\n\
         [decoders.valve]\nformat = \"mode::uint:8\"\nencode = \"mode::uint:8 level:1:uint:16\"\n",
    ))
    .await;
    let push = |id: &str, fields: Value| json!({ "id": id, "fields": fields }).to_string();
    rig.downlink("push", &push("a", json!({ "mode": 3, "level": 513 }))).await;
    rig.downlink("push", &push("b", json!({ "mode": 300, "level": 1 }))).await;
    rig.downlink("push", &push("c", json!({ "pressure": 1 }))).await;
    assert_eq!(rig.told(), ["a queued", "b rejected invalid_fields", "c rejected invalid_fields"]);
    let queue = rig.store.queue("4D9A83".parse().unwrap()).unwrap();
    assert_eq!(queue[0].data.unwrap().to_string(), "0302010000000000");
}

#[tokio::test]
async fn a_second_delivery_of_a_command_changes_nothing() {
    let rig = Rig::new().await;
    let topic = "sigfox2mqtt/device/4D9A83/downlink/push";
    for body in [json!({ "id": "a", "data": DATA }), json!({ "data": DATA })] {
        rig.commands.handle(&request(topic, &body.to_string())).await;
        rig.commands.handle(&Request { repeat: true, ..request(topic, &body.to_string()) }).await;
    }
    let told = rig.told();
    assert_eq!((told.len(), told[0].as_str()), (2, "a queued"));
}

#[tokio::test]
async fn ten_thousand_pushes_are_each_answered_and_leave_a_bounded_queue() {
    let mut rig = Rig::new().await;
    let (stop, syncer) = (CancellationToken::new(), rig.syncer.take().unwrap());
    let pushes = async {
        let mut answers = BTreeMap::new();
        for chunk in 0..625 {
            // As many as a daemon begins at once.
            let pushed = (0..16).map(|n| rig.push_asking(chunk * 16 + n));
            for answer in join_all(pushed).await {
                *answers.entry(answer).or_insert(0) += 1;
            }
        }
        stop.cancel();
        answers
    };
    let (ended, answers) = tokio::join!(syncer.run(stop.clone()), pushes);
    ended.unwrap();
    let expected = [("ok".to_owned(), 16), ("queue_full".to_owned(), 9984)];
    assert_eq!(answers, BTreeMap::from(expected));
    assert_eq!(rig.store.queue("4D9A83".parse().unwrap()).unwrap().len(), 16);
}

#[tokio::test]
async fn an_mqtt_5_client_is_answered_below_the_client_topics_only() {
    let rig = Rig::new().await;
    let topic = "sigfox2mqtt/device/4D9A83/downlink/push";
    let body = json!({ "id": "a", "data": DATA, "transaction": { "n": 1 } }).to_string();
    let correlation = Some(Bytes::from_static(b"\x00\xff"));
    let asked = |response_topic: &str| Request {
        response_topic: Some(response_topic.to_owned()),
        correlation: correlation.clone(),
        ..request(topic, &body.replace("\"a\"", "\"b\"").replace("{\"n\":1}", "\"t\""))
    };
    let replies = rig.commands.handle(&asked("sigfox2mqtt/client/me/answers")).await;
    assert_eq!((replies.len(), &replies[0].correlation), (1, &correlation));
    let answer: Value = serde_json::from_slice(&replies[0].payload).unwrap();
    let item = json!({ "id": "b", "state": "queued", "reason": null });
    let expected =
        json!({ "v": 1, "status": "ok", "data": { "items": [item] }, "error": null, "transaction": "t" });
    assert_eq!(answer, expected);
    for topic in
        ["sigfox2mqtt/client/", "sigfox2mqtt/bridge/state", "other", "sigfox2mqtt/client/#", "$SYS/x"]
    {
        assert!(rig.commands.handle(&asked(topic)).await.is_empty(), "{topic}");
    }
}

#[tokio::test]
async fn a_request_is_answered_in_its_envelope() {
    let rig = Rig::new().await;
    for (verb, body, status, code) in [
        ("health", json!({ "transaction": 7 }), "ok", Value::Null),
        ("device/get", json!({ "device": "4d9a83", "transaction": 7 }), "ok", Value::Null),
        ("device/get", json!({ "device": "FFFF", "transaction": 7 }), "error", json!("not_found")),
        ("device/get", json!({ "transaction": 7 }), "error", json!("malformed")),
        ("device/get", json!({ "device": 7, "transaction": 7 }), "error", json!("malformed")),
        ("device/list", json!({ "transaction": 7 }), "ok", Value::Null),
        ("downlink/list", json!({ "transaction": 7 }), "ok", Value::Null),
        ("sync", json!({ "source": "nobody", "transaction": 7 }), "error", json!("not_found")),
        ("make/coffee", json!({ "transaction": 7 }), "error", json!("unknown_request")),
        ("history", json!({ "cursor": "x", "transaction": 7 }), "error", json!("malformed")),
        ("history", json!({ "limit": 0, "transaction": 7 }), "error", json!("malformed")),
        (
            "decode",
            json!({ "data": "0g", "device": "4D9A83", "transaction": 7 }),
            "error",
            json!("malformed"),
        ),
        ("decode", json!({ "data": "00", "transaction": 7 }), "error", json!("malformed")),
    ] {
        let answer = rig.ask(verb, body.clone()).await;
        assert_eq!(answer["status"], status, "{verb} {body}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{verb} {body}: {answer}");
        assert_eq!((&answer["v"], &answer["transaction"]), (&json!(1), &json!(7)));
    }
    let broken = rig.commands.handle(&request("sigfox2mqtt/bridge/request/health", "{")).await;
    let broken: Value = serde_json::from_slice(&broken[0].payload).unwrap();
    assert_eq!((&broken["error"]["code"], &broken["transaction"]), (&json!("malformed"), &Value::Null));
}

#[tokio::test]
async fn history_goes_by_pages_that_miss_and_repeat_nothing() {
    let rig = Rig::new().await;
    let mut got = Vec::new();
    let mut cursor = Value::Null;
    for _ in 0..3 {
        let answer = rig.ask("history", json!({ "device": "4D9A83", "limit": 1, "cursor": cursor })).await;
        got.extend(answer["data"]["uplinks"].as_array().unwrap().iter().map(|uplink| uplink["seq"].clone()));
        cursor = answer["data"]["cursor"].clone();
    }
    assert_eq!((got, cursor), (vec![json!(1), json!(2), json!(3)], Value::Null));
    let some = rig.ask("history", json!({ "from": 1_789_000_600, "to": 1_789_009_999 })).await;
    assert_eq!(some["data"]["uplinks"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_payload_is_decoded_by_a_given_grammar() {
    let rig = Rig::new().await;
    let answer = rig.ask("decode", json!({ "format": "level::uint:16", "data": "0102" })).await;
    assert_eq!(answer["data"], json!({ "fields": { "level": 258 }, "errors": [] }));
    let wrong = rig.ask("decode", json!({ "format": "level::wrong:16", "data": "0102" })).await;
    assert_eq!(wrong["error"]["code"], "malformed");
}

#[tokio::test]
async fn a_device_is_called_as_a_command_says_until_it_is_forgotten() {
    let rig = Rig::new().await;
    let device = json!({ "device": "4D9A83" });
    let name = async |rig: &Rig| rig.ask("device/get", device.clone()).await["data"]["name"].clone();
    assert_eq!(name(&rig).await, "4D9A83");
    rig.ask("device/rename", json!({ "device": "4D9A83", "name": "Tank 3" })).await;
    assert_eq!(name(&rig).await, "Tank 3");
    for (body, code) in [
        (json!({ "device": "FFFF", "name": "x" }), "not_found"),
        (json!({ "device": "4D9A83", "name": "x".repeat(101) }), "malformed"),
        (json!({ "device": "4D9A83", "name": "a\u{7}b" }), "malformed"),
        (json!({ "device": "4D9A83" }), "malformed"),
    ] {
        assert_eq!(rig.ask("device/rename", body.clone()).await["error"]["code"], code, "{body}");
    }
    rig.downlink("push", &json!({ "id": "a", "data": DATA }).to_string()).await;
    assert_eq!(rig.ask("device/forget", device.clone()).await["data"]["was_known"], true);
    assert_eq!(rig.ask("device/get", device.clone()).await["error"]["code"], "not_found");
    assert!(rig.store.queue("4D9A83".parse().unwrap()).unwrap().is_empty());
    assert_eq!(rig.ask("device/forget", device.clone()).await["data"]["was_known"], false);
    rig.store.record_uplink(&listener::uplink("4D9A83", 1_789_009_000, 9)).await.unwrap();
    assert_eq!(name(&rig).await, "4D9A83");
}

#[tokio::test]
async fn only_the_listed_requests_are_answered() {
    let rig = Rig::with("requests = [\"health\"]").await;
    assert_eq!(rig.ask("health", json!({})).await["status"], "ok");
    assert_eq!(rig.ask("device/list", json!({})).await["error"]["code"], "not_allowed");
}

#[tokio::test]
async fn what_concerns_the_whole_daemon_is_its_errand() {
    let mut rig = Rig::new().await;
    let daemon = async {
        let errand = rig.errands.recv().await.unwrap();
        errand.outcome.send(Err("`loud` is no level".to_owned())).unwrap();
        errand.what
    };
    let request = request("sigfox2mqtt/bridge/request/log_level", r#"{"level":"loud"}"#);
    let (what, replies) = tokio::join!(daemon, rig.commands.handle(&request));
    assert_eq!(what, Task::LogLevel("loud".to_owned()));
    let answer: Value = serde_json::from_slice(&replies[0].payload).unwrap();
    assert_eq!(answer["error"]["message"], "`loud` is no level");
}

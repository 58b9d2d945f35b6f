//! The simulator's answers beside public samples of the live services: the same keys, the same JSON types.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// A file of samples, the place of a row in it, who is asked, and the place of the row in the answer.
const ROWS: [(&str, &str, &str, &str); 13] = [
    ("sigfox-v2/messages-first-page", "/data/0", "/v2/devices/1A2B3C/messages?limit=1", "/data/0"),
    ("sigfox-v2/messages-first-page", "/paging", "/v2/devices/1A2B3C/messages?limit=1", "/paging"),
    ("sigfox-v2/messages-with-receptions", "/data/0", RICH, "/data/0"),
    ("sigfox-v2/locations", "/data/0", "/v2/devices/1A2B3C/locations", "/data/0"),
    ("sigfox-v2/locations", "/data/1", "/v2/devices/1A2B3C/locations", "/data/1"),
    ("sigfox-v2/devices", "/data/0", "/v2/devices/?id=1A2B3C", "/data/0"),
    ("sigfox-v2/device-types", "/data/0", "/v2/device-types/", "/data/0"),
    ("sigfox-v2/callbacks", "/data/0", "/v2/device-types/5f0000000000000000000009/callbacks", "/data/0"),
    ("sigfox-v1/messages", "/data/0", "/api/devices/1A2B3C/messages?limit=1", "/data/0"),
    ("sigfox-v1/messages-object-location", "/data/0", "/api/devices/1A2B3C/messages", "/data/0"),
    ("sigfox-v1/locations", "/data/0", "/api/devices/1A2B3C/locations", "/data/0"),
    ("sigfox-v1/device", "", "/api/devices/1A2B3C", ""),
    ("sigfox-v1/callbacks", "/data/0", "/api/devicetypes/5f0000000000000000000009/callbacks", "/data/0"),
];

const RICH: &str = "/v2/devices/1A2B3C/messages?fields=device(name),ackRequired,rinfos(cbStatus,rep,repetitions,baseStation(name))";

/// Keys that a sample has and this world has no cause for.
const WITHOUT_CAUSE: [&str; 1] = ["payloadConfig"];

fn sample(file: &str, place: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{file}.json"));
    let all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    all.pointer(place).unwrap().clone()
}

/// Where the answer lacks a key of the sample, or has another type there.
fn differences(sample: &Value, answer: &Value, place: &str, found: &mut Vec<String>) {
    match (sample, answer) {
        (Value::Object(sample), Value::Object(answer)) => {
            for (key, value) in sample {
                match answer.get(key) {
                    Some(own) => differences(value, own, &format!("{place}.{key}"), found),
                    None if WITHOUT_CAUSE.contains(&key.as_str()) => {}
                    None => found.push(format!("{place}.{key} is missing")),
                }
            }
        }
        (Value::Array(sample), Value::Array(answer)) => {
            if let (Some(sample), Some(answer)) = (sample.first(), answer.first()) {
                differences(sample, answer, &format!("{place}[0]"), found);
            }
        }
        _ if std::mem::discriminant(sample) == std::mem::discriminant(answer) => {}
        _ => found.push(format!("{place} is {answer}, not like {sample}")),
    }
}

/// One device with every kind of message, the newest with a position, an answer and a callback's status.
async fn rich() -> (Running, Client) {
    let callback =
        Callback::post("5f00000000000000000000c1", CallbackKind::Bidir, "http://127.0.0.1:9/", Some("t"));
    let kind = DeviceType {
        keep_alive_s: 3600,
        downlink_data: Some("3c06000000000000".to_owned()),
        ..DeviceType::new(TYPE, "tank level").grammar("level::uint:16").callback(callback)
    };
    let now = crate::clock::now().as_seconds();
    let newest = Uplink {
        answer: Some("3c06000000000000".parse().unwrap()),
        callback_answers: vec![(200, at(now))],
        ..uplink("1A2B3C", now, 2).located(48.1, 2.5, 900, Duration::ZERO)
    };
    let world = World::new(1)
        .with_type(kind)
        .with_device(Device::new(id("1A2B3C"), TYPE).soracom())
        .with_uplink(uplink("1A2B3C", now - 60, 1))
        .with_uplink(newest);
    let options = Options { rate_limits: false, ..Options::default() };
    let running = Simulator::start(world, options).await.unwrap();
    let client = Client::of(&running);
    (running, client)
}

#[tokio::test]
async fn sigfox_answers_have_the_keys_and_types_of_the_samples() {
    let (running, client) = rich().await;
    for (file, place, path, own_place) in ROWS {
        let (status, answer) = client.get(path).await;
        assert_eq!(status, 200, "{path}");
        let own = answer.pointer(own_place).unwrap_or_else(|| panic!("{path}: no {own_place} in {answer}"));
        let mut found = Vec::new();
        differences(&sample(file, place), own, file, &mut found);
        assert_eq!(found, [""; 0], "{path}");
    }
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn soracom_answers_have_the_keys_and_types_of_the_samples() {
    let (running, _client) = rich().await;
    let soracom = super::soracom::Session::of(&running).await;
    let mut found = Vec::new();
    let (_, devices) = soracom.get("/sigfox_devices").await;
    differences(&sample("soracom/devices", "/0"), &devices[0], "devices", &mut found);
    let own = ["temperature", "humidity", "binaryParserEnabled"];
    for (file, generation) in [
        ("soracom/data-first-generation", Generation::First),
        ("soracom/data-second-generation", Generation::Second),
    ] {
        running.world(|world| {
            world.device_mut(id("1A2B3C")).unwrap().registration.as_mut().unwrap().harvest = generation;
        });
        let (_, data) = soracom.get("/sigfox_devices/1A2B3C/data").await;
        differences(&sample(file, "/0"), &data[0], file, &mut found);
        let content =
            |entry: &Value| -> Value { serde_json::from_str(entry["content"].as_str().unwrap()).unwrap() };
        let mut expected = content(&sample(file, "/0"));
        // The parser's fields are an option of the group that is switched off here.
        expected.as_object_mut().unwrap().retain(|key, _| !own.contains(&key.as_str()));
        differences(&expected, &content(&data[0]), "content", &mut found);
    }
    assert_eq!(found, [""; 0]);
    running.shut_down().await.unwrap();
}

#[test]
fn callbacks_have_the_keys_of_the_samples() {
    for (kind, keys) in [
        (
            CallbackKind::Uplink,
            json!([
                "device",
                "data",
                "time",
                "duplicate",
                "snr",
                "station",
                "avgSnr",
                "lat",
                "lng",
                "rssi",
                "seqNumber"
            ]),
        ),
        (
            CallbackKind::Bidir,
            json!([
                "device",
                "deviceTypeId",
                "time",
                "data",
                "seqNumber",
                "rssi",
                "station",
                "longPolling",
                "ack"
            ]),
        ),
        (
            CallbackKind::Acknowledge,
            json!(["device", "time", "infoCode", "infoMessage", "downlinkAck", "downlinkOverusage"]),
        ),
        (CallbackKind::Error, json!(["device", "time", "severity", "info"])),
    ] {
        let template: Value = serde_json::from_str(&kind.template()).unwrap();
        assert_eq!(json!(template.as_object().unwrap().keys().collect::<Vec<_>>()), keys, "{kind:?}");
    }
}

//! Questions over a real socket, about a real store.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{AskError, Question, Range, Server, View, ask, socket};
use crate::config::{Config, Environment, Gateway};
use crate::decode::Registry;
use crate::ingest::StatusBoard;
use crate::model::{DeviceId, Location, LocationSource, Timestamp, Uplink};
use crate::store::{Options, Store};

const CONFIGURATION: &str = r#"
version = 1
[sources.factory]
kind = "sigfox"
login = "l"
password = "p"
[devices.1A2B3C]
name = "Tank 3"
decoder = "level"
[decoders.level]
format = "level::uint:16:/100"
"#;

fn uplink(device: &str, second: i64, data: &str, located: bool) -> Uplink {
    let time = Timestamp::from_cloud(1_789_000_000 + second).unwrap();
    let location = located.then_some(Location {
        latitude: 48.1,
        longitude: 2.5,
        accuracy_m: Some(400.0),
        source: LocationSource::Network,
        time,
    });
    Uplink {
        seq: Some(u16::try_from(second).unwrap()),
        rssi: Some(-118.0),
        stations: Some(3),
        location,
        ..Uplink::new(device.parse().unwrap(), time, data.parse().unwrap(), "factory".parse().unwrap())
    }
}

/// A view of a store with four uplinks of two devices.
fn view(dir: &Path) -> View {
    let (store, _syncer) =
        Store::open(Options { dir: dir.to_owned(), cache: 1 << 20, flush: Duration::from_secs(5) }).unwrap();
    let uplinks = [
        uplink("1A2B3C", 1, "007b", false),
        uplink("2C", 2, "00", true),
        uplink("1A2B3C", 3, "00", false),
        uplink("1A2B3C", 4, "0141", true),
    ];
    store.record_sweep(&uplinks, None).unwrap();
    let config = Config::parse(CONFIGURATION, "c.toml", dir, &Environment::default()).unwrap().config;
    let registry = Registry::new(&config).unwrap();
    let board = StatusBoard::new(config.sources.iter().map(|source| source.name.clone()));
    View::new(Arc::new(config), store, Arc::new(registry), Some(board))
}

fn range(device: Option<&str>, limit: usize) -> Range {
    Range { device: device.map(|id| id.parse().unwrap()), from: None, to: None, limit }
}

fn pick(answer: &Value, pointer: &str) -> Vec<Value> {
    answer.as_array().unwrap().iter().map(|row| row.pointer(pointer).unwrap().clone()).collect()
}

#[test]
fn messages_come_newest_first_with_what_can_be_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let view = view(dir.path());
    let all = view.answer(&Question::Messages(range(None, 100))).unwrap();
    assert_eq!(
        pick(&all, "/id"),
        ["1A2B3C-1789000004-4", "1A2B3C-1789000003-3", "2C-1789000002-2", "1A2B3C-1789000001-1"]
    );
    assert_eq!(all[0]["fields"], json!({ "level": 3.21 }));
    let own = view.answer(&Question::Messages(range(Some("1a2b3c"), 2))).unwrap();
    assert_eq!(pick(&own, "/name"), ["Tank 3", "Tank 3"]);
    assert_eq!(own[1]["fields"], json!({}));
    assert_eq!(own[1]["errors"].as_array().map(Vec::len), Some(1));
    let from = Range {
        from: Timestamp::from_cloud(1_789_000_002),
        to: Timestamp::from_cloud(1_789_000_004),
        ..range(None, 9)
    };
    assert_eq!(pick(&view.answer(&Question::Messages(from)).unwrap(), "/seq"), [3, 2]);
}

#[test]
fn locations_devices_downlinks_and_sources_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let view = view(dir.path());
    let locations = view.answer(&Question::Locations(range(None, 1))).unwrap();
    assert_eq!(pick(&locations, "/uplink"), ["1A2B3C-1789000004-4"]);
    assert_eq!(locations[0]["source"], "network");
    let devices = view.answer(&Question::Devices { device: None }).unwrap();
    assert_eq!(pick(&devices, "/id"), ["2C", "1A2B3C"]);
    assert_eq!(pick(&devices, "/decoder"), [Value::Null, json!("level")]);
    assert_eq!(view.answer(&Question::Downlinks { device: None }), Ok(json!([])));
    let sources = view.answer(&Question::Sources).unwrap();
    assert_eq!((&sources[0]["name"], &sources[0]["state"]), (&json!("factory"), &json!("starting")));
}

#[test]
fn a_device_that_nobody_knows_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let view = view(dir.path());
    let id: DeviceId = "FFFF".parse().unwrap();
    for question in [
        Question::Devices { device: Some(id) },
        Question::Messages(range(Some("FFFF"), 1)),
        Question::Locations(range(Some("FFFF"), 1)),
        Question::Downlinks { device: Some(id) },
    ] {
        assert_eq!(view.answer(&question), Err("device FFFF not found".to_owned()));
    }
}

/// A gateway whose data lie in one folder; its runtime directory is the other.
fn gateway(data: &Path, runtime: Option<&Path>) -> Gateway {
    let runtime_dirs = runtime.into_iter().map(Path::to_owned).collect();
    Gateway { id: "gw1".to_owned(), data_dir: data.to_owned(), runtime_dirs }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_answers_on_its_socket_what_the_store_would() {
    let runtime = tempfile::tempdir().unwrap();
    for runtime in [None, Some(runtime.path()), Some(Path::new("/nowhere"))] {
        let dir = tempfile::tempdir().unwrap();
        let gateway = gateway(dir.path(), runtime);
        let place =
            socket::places(&gateway).into_iter().find(|place| place.parent().unwrap().is_dir()).unwrap();
        assert_eq!(place.parent(), runtime.filter(|dir| dir.is_dir()).or(Some(dir.path())));
        let stop = CancellationToken::new();
        let view = view(dir.path());
        let direct = view.answer(&Question::Devices { device: None });
        let mut daemon = tokio::task::JoinSet::new();
        // What a killed daemon leaves behind is no obstacle.
        drop(std::os::unix::net::UnixListener::bind(&place).unwrap());
        daemon.spawn(Server::new(gateway.clone(), view).run(stop.clone()));
        let asked = (gateway.clone(), place.clone());
        tokio::task::spawn_blocking(move || {
            let (gateway, place) = asked;
            let answer = loop {
                match ask(&gateway, &Question::Devices { device: None }) {
                    Err(AskError::NoDaemon) => std::thread::yield_now(),
                    other => break other,
                }
            };
            assert_eq!(answer.ok(), direct.ok());
            let refused = ask(&gateway, &Question::Messages(range(Some("FFFF"), 1)));
            assert!(matches!(refused, Err(AskError::Refused(words)) if words == "device FFFF not found"));
            make_noise(&place);
        })
        .await
        .unwrap();
        let mode = std::fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "the group may ask, and nobody else");
        stop.cancel();
        assert!(daemon.join_next().await.unwrap().unwrap().is_ok());
        assert!(!place.exists());
        assert!(matches!(ask(&gateway, &Question::Sources), Err(AskError::NoDaemon)));
    }
}

#[test]
fn gateways_that_share_a_runtime_directory_have_a_socket_each() {
    let (one, other, runtime) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = |data: &Path| socket::places(&gateway(data, Some(runtime.path()))).remove(0);
    assert_ne!(first(one.path()), first(other.path()));
    // However the folder is written.
    assert_eq!(first(one.path()), first(&one.path().join(".")));
}

/// Says what is no question.
fn make_noise(place: &Path) {
    for noise in ["\n".to_owned(), "{}\n".to_owned(), "{\"ask\":\"x\"}\n".to_owned(), "x".repeat(70_000)] {
        let mut stream = UnixStream::connect(place).unwrap();
        // The server may hang up on what is too long while it is still being written.
        drop(stream.write_all(noise.as_bytes()));
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).is_ok() {
            assert!(line.starts_with("{\"error\":"), "{line}");
        }
    }
}

#[test]
fn a_devices_decoder_is_asked_for_one_payload() {
    let dir = tempfile::tempdir().unwrap();
    let view = view(dir.path());
    let question = |device: &str| Question::Decode {
        device: device.parse().unwrap(),
        data: "007b".parse().unwrap(),
        time: Timestamp::default(),
    };
    assert_eq!(view.answer(&question("1A2B3C")), Ok(json!({ "fields": { "level": 1.23 }, "errors": [] })));
    for (device, words) in [("2C", "has no decoder"), ("FFFF", "not found")] {
        let refused = view.answer(&question(device)).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}

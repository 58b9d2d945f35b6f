//! The reading commands of the real program over a store that no daemon has open.

use serde_json::{Value, json};
use sigfox2mqtt::model::{Timestamp, Uplink};

use crate::support::daemon::{Gateway, command};
use crate::support::{eventually, open_store};

const CONFIGURATION: &str = r#"
version = 1
[gateway]
data_dir = "{data}"
[mqtt]
url = "mqtt://127.0.0.1:9"
[sources.factory]
kind = "sigfox"
url = "http://127.0.0.1:9/v2"
login = "l"
password = "p"
callback_token = "t"
[devices.1A2B3C]
name = "Tank 3"
decoder = "level"
[decoders.level]
format = "level::uint:16:/100"
"#;

/// A gateway whose store has three uplinks of one device.
pub(crate) fn gateway() -> Gateway {
    let gateway = Gateway::new(CONFIGURATION);
    let (store, _syncer) = open_store(&gateway.data());
    let uplink = |second: i64| {
        let time = Timestamp::from_cloud(1_789_000_000 + second).unwrap();
        Uplink {
            seq: Some(u16::try_from(second).unwrap()),
            ..Uplink::new(
                "1A2B3C".parse().unwrap(),
                time,
                "007b".parse().unwrap(),
                "factory".parse().unwrap(),
            )
        }
    };
    store.record_sweep(&[1, 2, 3].map(uplink), None).unwrap();
    gateway
}

pub(crate) fn run(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(&gateway.configuration()).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_secret_that_only_the_service_is_given_keeps_nobody_from_reading() {
    let gateway = gateway();
    gateway.configure(&CONFIGURATION.replace("password = \"p\"", "password_file = \"of-the-service\""));
    let (code, out, err) = run(&gateway, &["messages", "--json"]);
    assert_eq!((code, err.as_str(), out.matches("\"seq\"").count()), (Some(0), "", 3));
    let (code, _, err) = run(&gateway, &["check"]);
    assert_eq!(code, Some(78));
    assert!(err.contains("of-the-service is not there"), "{err}");
}

#[test]
fn messages_are_listed_by_filters() {
    let gateway = gateway();
    for (filters, seqs) in [
        (&[][..], json!([3, 2, 1])),
        (&["--limit", "1"], json!([3])),
        (&["--device", "1a2b3c", "--from", "2026-09-10T00:26:42Z"], json!([3, 2])),
        (&["--to", "2026-09-10T00:26:42Z"], json!([1])),
        (&["--from", "2099-01-01"], json!([])),
    ] {
        let arguments = [&["messages", "--json"], filters].concat();
        let (code, out, err) = run(&gateway, &arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{filters:?}");
        let rows: Value = serde_json::from_str(&out).unwrap();
        let found: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["seq"].clone()).collect();
        assert_eq!(Value::Array(found), seqs, "{filters:?}");
    }
}

#[test]
fn tables_are_for_people() {
    let gateway = gateway();
    for (name, row) in [
        ("messages", "Tank 3"),
        ("devices", "level=1.23"),
        ("sources", "sigfox v2"),
        ("downlinks", "nothing found"),
        ("locations", "nothing found"),
    ] {
        let (code, out, err) = run(&gateway, &[name]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}");
        assert!(out.contains(row) || (name == "devices" && out.contains("Tank 3")), "{name}\n{out}");
        assert!(!out.contains('\u{1b}'), "{name} is coloured though it is no terminal");
    }
}

#[test]
fn what_is_not_there_is_said_and_ends_with_1() {
    let gateway = gateway();
    let (code, out, err) = run(&gateway, &["messages", "--device", "FFFF"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(1), "", "sigfox2mqtt: device FFFF not found\n"));
    let empty = Gateway::new(CONFIGURATION);
    let (code, _, err) = run(&empty, &["devices"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("sigfox2mqtt: nothing is known yet: no store in "), "{err}");
    assert!(!empty.data().exists(), "a reading command made a store");
}

#[test]
fn an_export_is_the_whole_history_oldest_first() {
    let gateway = gateway();
    let (code, out, err) = run(&gateway, &["export", "messages", "--format", "jsonl"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let seqs: Vec<_> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2, 3]);
    let file = gateway.data().join("history.csv");
    let to_file = [
        "export",
        "messages",
        "--format",
        "csv",
        "--from",
        "2026-09-10T00:26:42Z",
        "--output",
        file.to_str().unwrap(),
    ];
    assert_eq!(run(&gateway, &to_file), (Some(0), String::new(), String::new()));
    let written = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = written.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "{written}");
    assert!(lines[0].starts_with("time,device,name,"), "{written}");
    assert!(lines[1].starts_with("2026-09-10T00:26:42.000Z,1A2B3C,Tank 3,"), "{written}");
    assert!(lines[1].contains("\"{\"\"level\"\":1.23}\""), "{written}");
    let parquet = gateway.data().join("history.parquet");
    let to_parquet = ["export", "messages", "--format", "parquet", "--output", parquet.to_str().unwrap()];
    assert_eq!(run(&gateway, &to_parquet), (Some(0), String::new(), String::new()));
    let written = std::fs::read(&parquet).unwrap();
    assert!(written.starts_with(b"PAR1") && written.ends_with(b"PAR1"));
    let (_, out, _) = run(&gateway, &["export", "locations", "--format", "csv"]);
    assert_eq!(out, "time,device,latitude,longitude,gps_accuracy,source,uplink\r\n");
}

#[test]
fn a_wrong_filter_is_wrong_usage() {
    let gateway = gateway();
    for arguments in [
        &["messages", "--from", "yesterday"],
        &["messages", "--limit", "-1"],
        &["devices", "--device", "XYZ"],
    ] {
        assert_eq!(run(&gateway, arguments).0, Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_daemon_answers_and_takes_commands() {
    let gateway = gateway();
    let daemon = gateway.start();
    eventually("the control socket", || gateway.data().join("control.sock").exists()).await;
    let (code, out, err) = run(&gateway, &["messages", "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap().as_array().map(Vec::len), Some(3));
    let (_, out, _) = run(&gateway, &["sources", "--json"]);
    assert!(serde_json::from_str::<Value>(&out).unwrap()[0]["state"].is_string(), "{out}");

    let (code, out, err) = run(&gateway, &["export", "messages", "--format", "jsonl"]);
    assert_eq!((code, out.lines().count(), err.as_str()), (Some(0), 3, ""));
    let (code, _, err) = run(&gateway, &["export", "messages", "--format", "csv", "--device", "FFFF"]);
    assert_eq!((code, err.as_str()), (Some(1), "sigfox2mqtt: device FFFF not found\n"));

    let push = ["downlink", "push", "1A2B3C", "0123456789abcdef", "--id", "set-7", "--transaction", "t"];
    let (code, out, err) = run(&gateway, &push);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "set-7  queued  -\n", ""));
    let (_, out, _) = run(&gateway, &["downlink", "list", "--json"]);
    let items: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&items[0]["id"], &items[0]["state"], &items[0]["transaction"]),
        (&json!("set-7"), &json!("queued"), &json!("t"))
    );
    let (code, _, err) = run(&gateway, &["downlink", "push", "1A2B3C", "fedcba9876543210", "--id", "set-7"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("id_conflict"), "{err}");
    let (code, out, _) = run(&gateway, &["downlink", "cancel", "1A2B3C", "--all", "--json"]);
    assert_eq!(
        (code, serde_json::from_str(&out).ok()),
        (Some(0), Some(json!({ "cancelled": ["set-7"], "cancelling": [] })))
    );
    assert_eq!(run(&gateway, &["downlink", "push", "1A2B3C", "00"]).0, Some(1));
    assert_eq!(run(&gateway, &["downlink", "push", "1A2B3C"]).0, Some(2));

    assert_eq!(run(&gateway, &["sync"]), (Some(0), "polls now: factory\n".to_owned(), String::new()));
    assert_eq!(run(&gateway, &["sync", "--source", "other"]).0, Some(1));
    assert_eq!(daemon.terminate().await.code(), Some(0));
    let (code, _, err) = run(&gateway, &["sync"]);
    assert_eq!((code, err.as_str()), (Some(1), "sigfox2mqtt: no daemon runs on this data directory\n"));
}

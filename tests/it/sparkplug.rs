//! The Sparkplug edge node as a host sees it: births, data, history, deaths, commands, a primary host.

use sigfox2mqtt::mqtt::broker::Broker;
use sigfox2mqtt::publish::sparkplug::payload::{Metric, Value};
use sigfox2mqtt::publish::sparkplug::{DEVICE, DataType, NODE, Row};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::sparkplug_rig::{Plant, Told, command, tank, told};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::subscriber::Subscriber;

const SERIAL: &str = "ffffffffffffffff";

async fn host(broker: &Mosquitto) -> Subscriber {
    Subscriber::start(broker.port(), "spBv1.0/site1/#").await
}

/// Waits until the host was told so often of this.
async fn until(host: &Subscriber, what: &str, count: usize) -> Vec<Told> {
    let of = |told: Vec<Told>| told.into_iter().filter(|told| told.what == what).collect::<Vec<_>>();
    eventually(&format!("{count} × {what}"), || of(told(host)).len() >= count).await;
    of(told(host))
}

fn number(value: Option<Value>) -> u64 {
    match value {
        Some(Value::Long(number)) => number,
        other => panic!("{other:?}"),
    }
}

fn order(host: &Subscriber) -> Vec<String> {
    told(host).into_iter().map(|told| told.what).filter(|what| what != "NDATA").collect()
}

#[tokio::test]
async fn a_host_is_told_births_first_and_then_every_uplink_with_its_time_and_types() {
    let broker = Mosquitto::start().await;
    let host = host(&broker).await;
    let plant = Plant::new(&broker.url(), "", &[]);
    let uplink = tank(30, &format!("002a29{SERIAL}"));
    plant.record(uplink.clone());
    let running = plant.start();
    let data = until(&host, "DDATA/1A2B3C", 1).await;
    assert_eq!(order(&host), ["NBIRTH", "DBIRTH/1A2B3C", "DDATA/1A2B3C"]);

    let born = until(&host, "NBIRTH", 1).await;
    assert_eq!(born[0].seq, Some(0));
    assert_eq!(born[0].value("Node Control/Rebirth"), Some(Value::Boolean(false)));
    assert_eq!(born[0].value("Sources/factory/State"), Some(Value::String("starting".to_owned())));
    let born = until(&host, "DBIRTH/1A2B3C", 1).await;
    let sent = u64::try_from(uplink.time.as_millis()).unwrap();
    for (message, name) in [(&born[0], "a birth"), (&data[0], "data")] {
        assert_eq!(message.value("level"), Some(Value::Long(42)), "{name}");
        assert_eq!(message.value("temperature"), Some(Value::Double(20.5)), "{name}");
        assert_eq!(message.value("serial"), Some(Value::Long(u64::MAX)), "{name}");
        assert_eq!(message.value("Link/RSSI"), Some(Value::Float(-118.0)), "{name}");
        assert_eq!(message.value("Uplink/Id"), Some(Value::String(uplink.id().to_string())), "{name}");
        assert_eq!(message.times["level"], sent, "{name}");
        assert!(!message.is_historical, "{name}");
    }
    assert_eq!(born[0].value("Device/Name"), Some(Value::String("Tank 3".to_owned())));
    assert_eq!(born[0].units["level"], "mm");
    assert_eq!(born[0].units["Link/RSSI"], "dBm");
    assert_eq!(born[0].values["Location/Latitude"], None);
    eventually("the backlog to be empty", || plant.backlog() == 0).await;

    running.stop().await;
    let dead = until(&host, "NDEATH", 1).await;
    assert_eq!((dead[0].seq, number(dead[0].value("bdSeq"))), (None, 0));
}

#[tokio::test]
async fn what_came_while_the_broker_was_away_is_told_as_history_after_new_births() {
    let mut broker = Mosquitto::start().await;
    let door = Proxy::start(broker.port());
    let plant = Plant::new(&door.url(), "", &[]);
    let first = host(&broker).await;
    plant.record(tank(300, &format!("000114{SERIAL}")));
    let running = plant.start();
    until(&first, "DDATA/1A2B3C", 1).await;
    eventually("the first to be told", || plant.backlog() == 0).await;
    door.shut(true);
    broker.kill();
    for (seconds_ago, level) in [(200, "0002"), (150, "0003"), (100, "0004")] {
        plant.record(tank(seconds_ago, &format!("{level}14{SERIAL}")));
    }
    broker.begin().await;
    let second = host(&broker).await;
    door.shut(false);
    let data = until(&second, "DDATA/1A2B3C", 3).await;
    let seen: Vec<_> = data.iter().map(|told| (number(told.value("level")), told.is_historical)).collect();
    assert_eq!(seen, [(2, true), (3, true), (4, false)]);
    assert_eq!(order(&second)[..3], ["NBIRTH", "DBIRTH/1A2B3C", "DDATA/1A2B3C"]);
    eventually("the backlog to be empty", || plant.backlog() == 0).await;

    running.crash().await;
    let testament = until(&second, "NDEATH", 1).await;
    let number_then = number(testament[0].value("bdSeq"));
    let again = plant.start();
    let born = until(&second, "NBIRTH", 2).await;
    assert_eq!(number(born[1].value("bdSeq")), number_then + 1, "kept over the crash");
    again.stop().await;
}

#[tokio::test]
async fn a_new_field_and_a_field_of_another_type_are_born_before_their_values() {
    let broker = Mosquitto::start().await;
    let host = host(&broker).await;
    let script =
        "function decodeUplink(input) { return { data: JSON.parse(String.fromCharCode(...input.bytes)) }; }";
    let lines = "[devices.2C]\ndecoder = \"free\"\n[decoders.free]\nscript = \"{folder}/free.js\"";
    let plant = Plant::new(&broker.url(), lines, &[("free.js", script)]);
    let running = plant.start();
    until(&host, "NBIRTH", 1).await;
    let mut seconds_ago = 50;
    for (fields, births, known) in [
        ("{\"a\":1}", 1, Value::Double(1.0)),
        ("{\"a\":2}", 1, Value::Double(2.0)),
        ("{\"b\":1}", 2, Value::Double(2.0)),
        ("{\"a\":true}", 3, Value::Boolean(true)),
        ("{\"a\":\"on\"}", 4, Value::String("on".to_owned())),
    ] {
        let mut uplink = tank(seconds_ago, &hex::encode(fields));
        uplink.device = "2C".parse().unwrap();
        let id = Value::String(uplink.id().to_string());
        plant.record(uplink);
        seconds_ago -= 5;
        let is_told = || {
            told(&host)
                .iter()
                .any(|told| told.what == "DDATA/2C" && told.value("Uplink/Id").as_ref() == Some(&id))
        };
        eventually(fields, is_told).await;
        let born: Vec<_> = told(&host).into_iter().filter(|told| told.what == "DBIRTH/2C").collect();
        assert_eq!(born.len(), births, "{fields}");
        let last = told(&host).into_iter().rfind(|told| told.values.contains_key("a")).unwrap();
        assert_eq!(last.value("a"), Some(known), "{fields}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_device_that_goes_offline_dies_and_is_born_when_it_is_back() {
    let broker = Mosquitto::start().await;
    let host = host(&broker).await;
    let plant = Plant::new(&broker.url(), "", &[]);
    // Expected every minute: an hour is more than two minutes and ten of slack.
    plant.record(tank(3600, &format!("000114{SERIAL}")));
    plant.synced();
    let running = plant.start();
    until(&host, "DDEATH/1A2B3C", 1).await;
    assert_eq!(order(&host), ["NBIRTH", "DBIRTH/1A2B3C", "DDATA/1A2B3C", "DDEATH/1A2B3C"]);
    plant.record(tank(10, &format!("000214{SERIAL}")));
    until(&host, "DDATA/1A2B3C", 2).await;
    assert_eq!(order(&host)[4..], ["DBIRTH/1A2B3C", "DDATA/1A2B3C"]);
    let numbers: Vec<_> = told(&host).iter().map(|told| told.seq.unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_downlink_that_a_host_writes_is_queued_and_what_is_none_is_ignored() {
    let broker = Mosquitto::start().await;
    let host = host(&broker).await;
    let plant = Plant::new(&broker.url(), "", &[]);
    plant.record(tank(30, &format!("000114{SERIAL}")));
    let push = |value| {
        let name = Some("Downlink/Push".to_owned());
        command(Metric { name, value: Some(value), ..Metric::default() })
    };
    let topic = "spBv1.0/site1/DCMD/gw/1A2B3C";
    // The broker keeps it when the gateway comes: it was meant for another time.
    host.retain(topic, push(Value::String("0000000000000001".to_owned())));
    host.caught_up().await;
    let running = plant.start();
    until(&host, "DDATA/1A2B3C", 1).await;
    host.publish(topic, push(Value::Long(7)));
    host.publish(topic, vec![0xff; 40]);
    host.publish(topic, push(Value::String("0123456789ABCDEF".to_owned())));
    let data = until(&host, "DDATA/1A2B3C", 2).await;
    assert_eq!(data[1].value("Downlink/State"), Some(Value::String("queued".to_owned())));
    assert_eq!(data[1].value("Downlink/Push"), Some(Value::String("0123456789abcdef".to_owned())));
    let queue = plant.queues.list(Some("1A2B3C".parse().unwrap())).unwrap();
    let items: Vec<_> = queue.iter().map(|item| (item.data, item.transaction.as_deref())).collect();
    assert_eq!(items, [("0123456789abcdef".parse().ok(), Some("sparkplug"))]);
    let ignored = || told(&host).iter().rev().find_map(|told| told.value("Gateway/Commands Ignored"));
    eventually("three to be ignored", || ignored() == Some(Value::Long(3))).await;
    running.stop().await;
}

#[tokio::test]
async fn births_wait_for_the_primary_host_and_its_absence_is_stored_through() {
    let broker = Mosquitto::start().await;
    let host = host(&broker).await;
    let plant = Plant::new(&broker.url(), "primary_host = \"scada\"", &[]);
    plant.record(tank(300, &format!("000114{SERIAL}")));
    let running = plant.start();
    let state = |online: bool, timestamp: u64| {
        host.retain("spBv1.0/STATE/scada", format!("{{\"online\":{online},\"timestamp\":{timestamp}}}"));
    };
    state(false, 10);
    state(true, 9);
    plant.record(tank(200, &format!("000214{SERIAL}")));
    assert_eq!(order(&host), [""; 0], "a host that is away, and an older word of it");
    state(true, 11);
    let data = until(&host, "DDATA/1A2B3C", 2).await;
    assert_eq!(data.iter().map(|told| told.is_historical).collect::<Vec<_>>(), [true, false]);
    state(false, 12);
    let dead = until(&host, "NDEATH", 1).await;
    plant.record(tank(100, &format!("000314{SERIAL}")));
    plant.record(tank(90, &format!("000414{SERIAL}")));
    state(true, 13);
    let data = until(&host, "DDATA/1A2B3C", 4).await;
    let levels: Vec<_> = data.iter().map(|told| (number(told.value("level")), told.is_historical)).collect();
    assert_eq!(levels[2..], [(3, true), (4, false)]);
    let born = until(&host, "NBIRTH", 2).await;
    let numbers: Vec<_> = born.iter().map(|told| number(told.value("bdSeq"))).collect();
    assert_eq!(numbers, [number(dead[0].value("bdSeq")), number(dead[0].value("bdSeq")) + 1]);
    running.stop().await;
}

// The broker runs in this runtime, and a subscriber blocks its thread when it leaves.
#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_broker_answers_what_stands_behind_the_data() {
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let port = broker.address().port();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(broker.run(stop.clone()));
    let plant = Plant::new(&format!("mqtt://127.0.0.1:{port}"), "", &[]);
    let host = Subscriber::start(port, "spBv1.0/site1/#").await;
    for seconds_ago in (1..=300).rev() {
        plant.record(tank(seconds_ago, &format!("000114{SERIAL}")));
    }
    let running = plant.start();
    until(&host, "DDATA/1A2B3C", 300).await;
    eventually("the backlog to be empty", || plant.backlog() == 0).await;
    running.stop().await;
    until(&host, "NDEATH", 1).await;
    drop(host);
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[test]
fn the_page_lists_every_metric_with_its_type_and_unit() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sparkplug.md")).unwrap();
    let listed: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains('/'))
        .filter_map(|line| line.rsplit_once(" | ").map(|(row, _meaning)| row))
        .filter(|row| row.matches('|').count() == 3)
        .collect();
    let expected = |row: &Row| format!("| `{}` | {:?} | {}", row.name, row.datatype, row.unit.unwrap_or("–"));
    let mut rows: Vec<String> = NODE.iter().chain(&DEVICE).map(expected).collect();
    rows.insert(0, format!("| `Node Control/Rebirth` | {:?} | –", DataType::Boolean));
    assert_eq!(listed, rows);
}

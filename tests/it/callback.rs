//! Callbacks over real HTTP into a real store, and the answers to devices that ask.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use sigfox2mqtt::model::{DownlinkState, Event, Evidence};

use crate::listener::{Listener, TOKEN, answer};

/// An uplink by the template that most people copy: every value is a text.
fn uplink(device: &str, time: u64, seq: u16, ack: bool) -> String {
    json!({
        "device": device, "data": "17", "time": time.to_string(), "seqNumber": seq.to_string(),
        "rssi": "-123.00", "station": "1234", "longPolling": "false", "ack": ack.to_string(),
    })
    .to_string()
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[tokio::test]
async fn an_uplink_is_in_the_store_when_its_callback_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let body = uplink("4D9A83", 1_789_000_000, 241, false);
    assert_eq!(listener.post("/callback/factory/uplink", body.clone()).await, (204, Value::Null));
    let ids: Vec<_> = listener.uplinks().iter().map(|uplink| uplink.id().to_string()).collect();
    assert_eq!(ids, ["4D9A83-1789000000-241"]);
    for _ in 0..3 {
        assert_eq!(listener.post("/callback/factory/uplink", body.clone()).await.0, 204);
    }
    assert_eq!(listener.uplinks().len(), 1, "a retry is no new uplink");
    listener.end().await;
}

#[tokio::test]
async fn a_device_that_asks_gets_the_head_of_its_queue_and_its_retry_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    assert_eq!(
        listener.post("/callback/factory/bidir", uplink("4d9a83", 1_789_000_000, 1, true)).await.0,
        204
    );
    listener.push("4D9A83", &[("a", 1), ("b", 2)]).await;
    let first = json!({ "4d9a83": { "downlinkData": "0101010101010101" } });
    let ask = uplink("4d9a83", 1_789_000_600, 2, true);
    for _ in 0..4 {
        assert_eq!(listener.post("/callback/factory/bidir", ask.clone()).await, (200, first.clone()));
    }
    assert_eq!(listener.item("4D9A83", "a").state, DownlinkState::Armed);
    assert_eq!(listener.item("4D9A83", "b").state, DownlinkState::Queued);
    // What was answered with nothing stays so.
    assert_eq!(
        listener.post("/callback/factory/bidir", uplink("4d9a83", 1_789_000_000, 1, true)).await.0,
        204
    );
    // A plain uplink by the same callback consumes nothing.
    assert_eq!(
        listener.post("/callback/factory/bidir", uplink("4d9a83", 1_789_000_700, 3, false)).await.0,
        204
    );
    let report = json!({ "device": "4D9A83", "time": "1789000600", "infoCode": "0", "downlinkAck": "true" });
    assert_eq!(listener.post("/callback/factory/ack", report.to_string()).await.0, 204);
    let sent = listener.item("4D9A83", "a");
    assert_eq!((sent.state, sent.evidence), (DownlinkState::Sent, Some(Evidence::Network)));
    assert_eq!(listener.uplinks().len(), 3);
    listener.end().await;
}

#[tokio::test]
async fn a_retry_after_a_restart_gets_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    listener.post("/callback/factory/uplink", uplink("4D9A83", 1_789_000_000, 1, false)).await;
    listener.push("4D9A83", &[("a", 1), ("b", 2)]).await;
    let ask = uplink("4D9A83", 1_789_000_600, 2, true);
    let first = listener.post("/callback/factory/bidir", ask.clone()).await;
    listener.end().await;
    let listener = Listener::start(&dir).await;
    assert_eq!(listener.post("/callback/factory/bidir", ask).await, first);
    assert_eq!(listener.item("4D9A83", "b").state, DownlinkState::Queued);
    listener.end().await;
}

#[tokio::test]
async fn a_callback_replayed_from_last_week_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    listener.post("/callback/factory/bidir", uplink("4D9A83", now(), 9, false)).await;
    listener.push("4D9A83", &[("a", 1)]).await;
    let last_week = uplink("4D9A83", now() - 7 * 86_400, 2, true);
    assert_eq!(listener.post("/callback/factory/bidir", last_week).await.0, 204);
    assert_eq!(listener.item("4D9A83", "a").state, DownlinkState::Queued);
    listener.end().await;
}

#[tokio::test]
async fn every_transition_is_in_the_outbox_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    listener.post("/callback/factory/uplink", uplink("4D9A83", now(), 1, false)).await;
    listener.push("4D9A83", &[("a", 1)]).await;
    let asked = now();
    listener.post("/callback/factory/bidir", uplink("4D9A83", asked, 2, true)).await;
    let report = json!({ "device": "4D9A83", "time": asked, "infoCode": 4 });
    listener.post("/callback/factory/ack", report.to_string()).await;
    let events = listener.store.outbox_head(&std::collections::BTreeSet::new(), 100).unwrap();
    let states: Vec<_> = events
        .into_iter()
        .filter_map(|entry| if let Event::Downlink(item) = entry.event { Some(item.state) } else { None })
        .collect();
    assert_eq!(states, [DownlinkState::Queued, DownlinkState::Armed, DownlinkState::Queued]);
    listener.end().await;
}

#[tokio::test]
async fn a_batch_is_answered_with_one_object() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let lines = "00A0;1789000000;0a0b0c0d;false;\n4D9A83;1789000000;01;false;\n";
    assert_eq!(listener.post("/callback/factory/bidir", lines).await.0, 204);
    listener.push("00A0", &[("a", 1)]).await;
    listener.push("4D9A83", &[("b", 2)]).await;
    listener.push("00A0", &[("later", 3)]).await;
    let lines = "00A0;1789000600;0a;true;\n00A0;1789000300;0b;true;\nnonsense\n4D9A83;1789000600;01;true;\n3068E;1789000600;01;true;\n";
    let expected = json!({
        "00A0": { "downlinkData": "0101010101010101" }, "4D9A83": { "downlinkData": "0202020202020202" },
    });
    assert_eq!(listener.post("/callback/factory/bidir", lines).await, (200, expected));
    assert_eq!((listener.uplinks().len(), listener.counts().malformed), (6, 1));
    assert_eq!(listener.item("00A0", "later").state, DownlinkState::Queued);
    listener.end().await;
}

#[tokio::test]
async fn a_position_joins_its_message_whichever_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    listener.post("/callback/factory/uplink", uplink("4D9A83", 1_789_000_000, 83, false)).await;
    let geoloc = json!({
        "device": "4D9A83", "time": "1789000000", "lat": "23.5", "lng": "121.0", "radius": 10742,
        "geolocSource": "2", "seqNumber": 83,
    });
    for _ in 0..2 {
        assert_eq!(listener.post("/callback/factory/geoloc", geoloc.to_string()).await.0, 204);
    }
    let kept = listener.uplinks();
    assert_eq!((kept.len(), kept[0].location.map(|place| place.latitude)), (1, Some(23.5)));
    let advanced = json!({
        "device": "4D9A83", "time": 1_789_000_900, "data": "18", "seqNumber": 84, "lqi": "GOOD",
        "computedLocation": { "lat": 48.12, "lng": 2.54, "radius": 400, "source": 2 },
    });
    assert_eq!(listener.post("/callback/factory/advanced", advanced.to_string()).await.0, 204);
    let plain =
        json!({ "device": "4D9A83", "time": 1_789_000_900, "data": "18", "seqNumber": 84, "rssi": -99 });
    assert_eq!(listener.post("/callback/factory/uplink", plain.to_string()).await.0, 204);
    let kept = listener.uplinks();
    let late = kept.last().unwrap();
    assert_eq!(
        (kept.len(), late.rssi, late.location.map(|place| place.latitude)),
        (2, Some(-99.0), Some(48.12))
    );
    listener.end().await;
}

#[tokio::test]
async fn what_a_query_and_a_form_say_is_kept_like_json() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let query = "device=4D9A83&time=1789000000&data=17&seqNumber=1";
    let path = format!("/callback/factory/uplink?{query}");
    let got = listener.request(Method::GET, &path).basic_auth("sigfox", Some(TOKEN)).send().await.unwrap();
    assert_eq!(got.status(), 204);
    let posted = listener.post("/callback/factory/uplink", query.replace("seqNumber=1", "seqNumber=2")).await;
    assert_eq!((posted.0, listener.uplinks().len()), (204, 2));
    listener.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let good = uplink("4D9A83", 1_789_000_000, 1, false);
    let filler = |length: usize| {
        let body =
            json!({ "device": "4D9A83", "time": 1_789_000_000, "data": "17", "filler": "" }).to_string();
        body.replace(r#""filler":"""#, &format!(r#""filler":"{}""#, "x".repeat(length - body.len())))
    };
    for (path, body, status) in [
        ("/callback/factory/uplink", "{\"device\":".to_owned(), 400),
        ("/callback/factory/uplink", "[]".to_owned(), 400),
        ("/callback/factory/uplink", String::new(), 400),
        ("/callback/factory/uplink", "\u{0}\u{1}".to_owned(), 400),
        ("/callback/factory/uplink", good.replace("\"17\"", "\"hello\""), 400),
        ("/callback/factory/ack", good.clone(), 400),
        ("/callback/factory/uplink", filler(65_537), 413),
        ("/callback/factory/uplink", filler(1 << 20), 413),
        ("/callback/factory/uplink", filler(65_536), 204),
        ("/callback/nobody/uplink", good.clone(), 404),
        ("/callback/other/uplink", good.clone(), 404),
        ("/callback/factory/nothing", good.clone(), 404),
        ("/callback/factory", good.clone(), 404),
        ("/nowhere", good.clone(), 404),
    ] {
        let (got, answer) = listener.post(path, body).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert_eq!(answer["error"]["message"].is_string(), status >= 400, "{path}: {answer}");
    }
    let deleted = listener.request(Method::DELETE, "/callback/factory/uplink").bearer_auth(TOKEN).send();
    assert_eq!(deleted.await.unwrap().status(), 405);
    assert_eq!((listener.counts().malformed, listener.counts().too_large), (6, 2));
    listener.end().await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_slowed() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let begun = Instant::now();
    for token in ["wrong", "", "callback-toke", "callback-token-and-more"] {
        let request = listener.request(Method::POST, "/callback/factory/bidir").bearer_auth(token);
        let (status, body) = answer(request.body("{}").send().await.unwrap()).await;
        assert_eq!((status, body["error"]["code"].as_str()), (401, Some("unauthorized")));
    }
    let none = listener.request(Method::POST, "/callback/factory/bidir").send().await.unwrap();
    assert_eq!(none.status(), 401);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "each waits longer than the one before");
    assert_eq!((listener.counts().unauthorized, listener.uplinks().len()), (5, 0));
    listener.end().await;
}

#[tokio::test]
async fn a_thousand_wrong_tokens_hold_up_no_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let begun = Instant::now();
    let wrong = async {
        let guesses = stream::iter(0..1000).map(|number| {
            let guess = listener.request(Method::POST, "/callback/factory/bidir").bearer_auth(number);
            async { guess.body("{}").send().await.unwrap().status() }
        });
        let statuses: Vec<_> = guesses.buffer_unordered(100).collect().await;
        assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
        begun.elapsed()
    };
    let right = async {
        let mut slowest = Duration::ZERO;
        for seq in 0..20 {
            let called = Instant::now();
            let body = uplink("4D9A83", 1_789_000_000 + u64::from(seq), seq, false);
            assert_eq!(listener.post("/callback/factory/uplink", body).await.0, 204);
            slowest = slowest.max(called.elapsed());
        }
        slowest
    };
    let (guessing, slowest) = tokio::join!(wrong, right);
    println!("1000 wrong tokens in {guessing:.1?}; the slowest of 20 right ones took {slowest:.1?}");
    assert!(slowest < Duration::from_secs(9), "{slowest:?}");
    assert_eq!((listener.counts().unauthorized, listener.uplinks().len()), (1000, 20));
    listener.end().await;
}

#[tokio::test]
async fn a_device_that_the_source_leaves_out_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    assert_eq!(
        listener.post("/callback/factory/uplink", uplink("BADBAD", 1_789_000_000, 1, false)).await.0,
        204
    );
    assert_eq!(listener.uplinks().len(), 0);
    listener.end().await;
}

#[tokio::test]
async fn a_hundred_devices_that_ask_at_once_are_answered_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let devices: Vec<String> = (0..100).map(|n| format!("{:X}", 0x10_0000 + n)).collect();
    let hello: String = devices.iter().map(|device| format!("{device};1789000000;01;false;\n")).collect();
    assert_eq!(listener.post("/callback/factory/uplink", hello).await.0, 204);
    join_all(devices.iter().map(|device| listener.push(device, &[("a", 1)]))).await;
    let begun = Instant::now();
    let asks = devices
        .iter()
        .map(|device| listener.post("/callback/factory/bidir", uplink(device, 1_789_000_600, 2, true)));
    for (status, body) in join_all(asks).await {
        assert_eq!(status, 200, "{body}");
    }
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(listener.counts().answered, 100);
    listener.end().await;
}

#[tokio::test]
async fn callbacks_come_by_https_where_there_is_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start_https(&dir, "").await;
    let address = listener.base.trim_start_matches("https://").to_owned();
    // What speaks no TLS holds up nobody.
    let _silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let plain = reqwest::get(format!("http://{address}/healthz")).await;
    assert!(plain.is_err(), "{plain:?}");
    assert_eq!(
        listener.post("/callback/factory/uplink", uplink("4D9A83", 1_789_000_000, 1, false)).await.0,
        204
    );
    listener.end().await;
}

#[tokio::test]
async fn health_needs_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    // No broker, and no source that was asked: it works, and is not ready.
    for (path, code) in [("/healthz", 200), ("/readyz", 503)] {
        let (got, body) = answer(listener.request(Method::GET, path).send().await.unwrap()).await;
        assert_eq!((got, &body["status"]), (code, &json!("waiting")), "{path}");
        assert_eq!(body["reasons"][0], json!({ "part": "broker", "reason": "it is not connected" }));
    }
    listener.end().await;
}

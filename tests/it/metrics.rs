//! `/metrics` as a collector reads it.

use std::collections::BTreeMap;

use reqwest::Method;

use crate::listener::{Listener, uplink};

/// What one answer says: samples by their name and labels, and all families by the suffix of their type.
async fn scrape(listener: &Listener) -> (BTreeMap<String, f64>, Vec<String>) {
    let response = listener.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    (text.lines().filter(|line| !line.starts_with('#')).map(sample).collect(), families)
}

#[tokio::test]
async fn what_happened_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let now = sigfox2mqtt::clock::now().as_seconds();
    for seq in [1, 2, 2] {
        listener.store.record_uplink(&uplink("4D9A83", now + i64::from(seq), seq)).await.unwrap();
    }
    listener.post("/callback/factory/uplink", "{}").await;
    listener.request(Method::GET, "/nothing").send().await.unwrap();
    let (samples, families) = scrape(&listener).await;
    for (name, expected) in [
        ("uplinks_total{source=\"factory\"}", 2.0),
        ("uplinks_known_total{source=\"factory\"}", 1.0),
        ("uplinks_total{source=\"other\"}", 0.0),
        ("devices", 1.0),
        // That the device is new, and its two uplinks.
        ("outbox_events", 3.0),
        ("callbacks_total{outcome=\"malformed\"}", 1.0),
        ("http_requests_total{status=\"404\"}", 1.0),
        ("source_state{source=\"factory\",state=\"starting\"}", 1.0),
        ("source_state{source=\"factory\",state=\"ok\"}", 0.0),
        ("store_failing", 0.0),
        ("broker_connected", 0.0),
    ] {
        assert_eq!(samples.get(&format!("sigfox2mqtt_{name}")), Some(&expected), "{name}: {samples:#?}");
    }
    for name in ["store_size_bytes", "store_commits_total", "process_cpu_seconds_total", "process_open_fds"] {
        assert!(samples.get(&format!("sigfox2mqtt_{name}")).is_some_and(|value| *value > 0.0), "{name}");
    }
    assert!(families.contains(&"sigfox2mqtt_store_size_bytes gauge".to_owned()), "{families:?}");
    listener.end().await;
}

#[tokio::test]
async fn metrics_need_no_token_from_this_machine_and_can_be_switched_off() {
    for (http, status, stranger) in [
        ("token = \"writer\"\nread_token = \"reader\"", 200, 401),
        ("", 200, 403),
        ("metrics = false", 404, 404),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let listener = Listener::start_with(&dir, http).await;
        let get = || listener.request(Method::GET, "/metrics");
        assert_eq!(get().send().await.unwrap().status(), status, "{http}");
        let answer = get().header("host", "gateway.example").send().await.unwrap();
        assert_eq!(answer.status(), stranger, "{http}");
        let answer = get().header("host", "gateway.example").bearer_auth("reader").send().await.unwrap();
        assert!(answer.status() == 200 || stranger != 401, "{http}");
        listener.end().await;
    }
}

#[tokio::test]
async fn who_asks_for_the_older_format_gets_every_sample_under_the_name_of_its_help() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let ask = |accept: &str| listener.request(Method::GET, "/metrics").header("accept", accept).send();
    let modern = ask("application/openmetrics-text; version=1.0.0; q=0.6, text/plain; q=0.1").await.unwrap();
    assert!(modern.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let plain = ask("text/plain").await.unwrap();
    assert_eq!(plain.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = plain.text().await.unwrap();
    let under = |what: &str| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what));
        lines.map(|line| line.split(' ').next().unwrap()).collect()
    };
    assert_eq!(under("# HELP "), under("# TYPE "));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split([' ', '{']).next().unwrap();
        assert!(under("# HELP ").contains(&name), "{line} stands alone");
    }
    assert!(under("# HELP ").contains(&"sigfox2mqtt_store_commits_total") && !text.contains("# EOF"));
    listener.end().await;
}

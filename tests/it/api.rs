//! `/api/v1` as a script and the web page meet it.

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::listener::{Listener, answer, uplink};

const NOW: i64 = 1_789_000_000;

/// A listener that knows a few devices, with five uplinks of the first, ten minutes apart.
async fn listener(dir: &tempfile::TempDir) -> Listener {
    let listener = Listener::start_with(dir, "").await;
    for seq in 1..=5_u16 {
        let uplink = uplink("4D9A83", NOW + i64::from(seq) * 600, seq);
        listener.store.record_uplink(&uplink).await.unwrap();
    }
    for device in ["00FE01", "1A2B3C", "FE0002"] {
        listener.store.record_uplink(&uplink(device, NOW, 1)).await.unwrap();
    }
    listener
}

async fn get(listener: &Listener, path: &str) -> (u16, Value) {
    answer(listener.request(Method::GET, &format!("/api/v1{path}")).send().await.unwrap()).await
}

async fn send(listener: &Listener, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let request = listener.request(method, &format!("/api/v1{path}"));
    answer(request.json(body).send().await.unwrap()).await
}

fn column(rows: &Value, key: &str) -> Vec<Value> {
    rows.as_array().unwrap().iter().map(|row| row[key].clone()).collect()
}

#[tokio::test]
async fn devices_come_in_pages_and_by_filter() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener(&dir).await;
    for (query, ids, total, cursor) in [
        ("", json!(["00FE01", "1A2B3C", "4D9A83", "FE0002"]), 4, json!(null)),
        ("?limit=2", json!(["00FE01", "1A2B3C"]), 4, json!("1A2B3C")),
        ("?limit=2&cursor=1A2B3C", json!(["4D9A83", "FE0002"]), 4, json!(null)),
        ("?q=fe", json!(["00FE01", "FE0002"]), 2, json!(null)),
        ("?source=other", json!([]), 0, json!(null)),
    ] {
        let (status, page) = get(&listener, &format!("/devices{query}")).await;
        assert_eq!((status, &page["total"], &page["cursor"]), (200, &json!(total), &cursor), "{query}");
        assert_eq!(Value::Array(column(&page["devices"], "id")), ids, "{query}");
    }
    let (_, device) = get(&listener, "/devices/4d9a83").await;
    assert_eq!((&device["id"], &device["last_uplink"]["seq"]), (&json!("4D9A83"), &json!(5)), "{device}");
    assert_eq!(device["availability"]["last_seen"], device["last_seen"]);
    listener.end().await;
}

#[tokio::test]
async fn uplinks_come_newest_first_page_by_page_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener(&dir).await;
    let mut seqs = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let (status, page) = get(&listener, &format!("/devices/4D9A83/uplinks{query}")).await;
        assert_eq!(status, 200, "{page}");
        seqs.extend(column(&page["uplinks"], "seq"));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(json!(seqs), json!([5, 4, 3, 2, 1]));
    let (_, page) =
        get(&listener, "/devices/4D9A83/uplinks?from=2026-09-10T00:50:00Z&to=2026-09-10T01:10:00Z").await;
    assert_eq!(json!(column(&page["uplinks"], "seq")), json!([4, 3]), "{page}");
    listener.end().await;
}

#[tokio::test]
async fn a_downlink_is_pushed_seen_replaced_and_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener(&dir).await;
    let path = "/devices/4D9A83/downlinks";
    let item = |id: &str| json!({ "id": id, "data": "0123456789abcdef" });
    let (status, pushed) = send(&listener, Method::POST, path, &item("one")).await;
    assert_eq!((status, &pushed["items"][0]["state"]), (200, &json!("queued")), "{pushed}");
    let (_, listed) = get(&listener, path).await;
    assert_eq!(json!(column(&listed["downlinks"], "id")), json!(["one"]));
    let (status, _) = send(&listener, Method::PUT, path, &json!([item("two"), item("three")])).await;
    assert_eq!((status, listener.item("4D9A83", "one").state.to_string().as_str()), (200, "replaced"));
    let cancel = |path: String| listener.request(Method::DELETE, &path).send();
    assert_eq!(cancel(format!("/api/v1{path}/two")).await.unwrap().status(), 200);
    assert_eq!(cancel(format!("/api/v1{path}/two")).await.unwrap().status(), 200, "again changes nothing");
    assert_eq!(cancel(format!("/api/v1{path}/one")).await.unwrap().status(), 409, "it was replaced");
    assert_eq!(cancel(format!("/api/v1{path}/none")).await.unwrap().status(), 404);
    let (status, cancelled) = answer(cancel(format!("/api/v1{path}")).await.unwrap()).await;
    assert_eq!((status, &cancelled["cancelled"]), (200, &json!(["three"])));
    let wrong = json!({ "data": "xyz" });
    let (status, refused) = send(&listener, Method::POST, path, &wrong).await;
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("rejected")), "{refused}");
    listener.end().await;
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_one_shape() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener(&dir).await;
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/devices/FFFF", 404, "not_found"),
        ("GET", "/devices/xyz", 400, "malformed"),
        ("GET", "/devices/%FF", 400, "malformed"),
        ("GET", "/devices?limit=0", 400, "malformed"),
        ("GET", "/devices?limit=1001", 400, "malformed"),
        ("GET", "/devices?unknown=1", 400, "malformed"),
        ("GET", "/devices/4D9A83/uplinks?from=yesterday", 400, "malformed"),
        ("GET", "/devices/4D9A83/uplinks?cursor=x", 400, "malformed"),
        ("GET", "/devices/4D9A83/series", 400, "malformed"),
        ("GET", "/devices/4D9A83/series?field=level&points=1001", 400, "malformed"),
        ("POST", "/sources", 405, "method_not_allowed"),
        ("OPTIONS", "/sources", 405, "method_not_allowed"),
        ("POST", "/sync", 415, "unsupported_media_type"),
    ] {
        let method: Method = method.parse().unwrap();
        let response = listener.request(method, &format!("/api/v1{path}")).send().await.unwrap();
        let allow = response.headers().contains_key("allow");
        let (got, body) = answer(response).await;
        assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{path}: {body}");
        assert!(status != 405 || allow, "{path} does not say which methods it takes");
    }
    for (body, status) in [("{", 400), ("[]", 400), ("{\"source\":\"nowhere\"}", 404), ("{}", 200)] {
        let request =
            listener.request(Method::POST, "/api/v1/sync").header("content-type", "application/json");
        assert_eq!(request.body(body).send().await.unwrap().status(), status, "{body}");
    }
    let large = json!({ "source": "x".repeat(70_000) });
    assert_eq!(send(&listener, Method::POST, "/sync", &large).await.0, 413);
    listener.end().await;
}

#[tokio::test]
async fn the_gateway_tells_of_itself_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener(&dir).await;
    for (path, pointer) in [
        ("/sources", "/sources/0/name"),
        ("/health", "/sources"),
        ("/settings", "/sources/factory/login"),
        ("/log", "/lines"),
        ("/outbox", "/events/0"),
        ("/locations", "/locations"),
        ("/openapi.json", "/paths/~1devices~1{device}/get"),
        ("/devices/4D9A83/locations", "/locations"),
        ("/devices/4D9A83/series?field=level", "/bucket_s"),
    ] {
        let (status, body) = get(&listener, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(body.pointer(pointer).is_some(), "{path}: {body}");
        for secret in ["\"secret\"", "callback-token"] {
            assert!(!body.to_string().contains(secret), "{path}");
        }
    }
    listener.end().await;
}

#[tokio::test]
async fn who_listens_hears_of_an_uplink_and_of_a_downlink_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener(&dir).await;
    let response = listener.request(Method::GET, "/api/v1/events").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.bytes_stream();
    listener.store.record_uplink(&uplink("4D9A83", NOW + 9000, 9)).await.unwrap();
    listener.push("4D9A83", &[("set-1", 7)]).await;
    let mut heard = String::new();
    while !(heard.contains("event: uplink")
        && heard.contains("event: downlink")
        && heard.contains("event: outbox"))
    {
        heard.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(heard.contains("\"id\":\"4D9A83-1789009000-9\"") && heard.contains("\"set-1\""), "{heard}");
    listener.end().await;
    while let Some(Ok(_)) = stream.next().await {}
}

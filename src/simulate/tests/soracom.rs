//! What Soracom answers.

use serde_json::{Value, json};

use super::*;

/// A client that has logged in.
pub(super) struct Session {
    http: reqwest::Client,
    base: String,
    key: String,
    token: String,
}

impl Session {
    pub(super) async fn of(running: &Running) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        let (base, logins) = (running.soracom_url(), Logins::default());
        let body = json!({ "authKeyId": logins.auth_key_id, "authKey": logins.auth_key, "tokenTimeoutSeconds": 180 });
        let answer: Value =
            http.post(format!("{base}/auth")).json(&body).send().await.unwrap().json().await.unwrap();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        Self { http, base, key: text("apiKey"), token: text("token") }
    }

    fn ask(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.base);
        self.http
            .request(method, url)
            .header("X-Soracom-API-Key", &self.key)
            .header("X-Soracom-Token", &self.token)
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.ask("GET", path).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    /// All rows of a chain of pages, and how many there were of them.
    async fn walk(&self, path: &str) -> (Vec<Value>, usize) {
        let (mut rows, mut pages, mut key) = (Vec::new(), 0, None::<String>);
        loop {
            let after = key.map_or(String::new(), |key| format!("&last_evaluated_key={key}"));
            let response = self.ask("GET", &format!("{path}{after}")).send().await.unwrap();
            key = response.headers().get("x-soracom-next-key").map(|key| key.to_str().unwrap().to_owned());
            let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
            assert_eq!(link.is_some(), key.is_some());
            rows.extend(response.json::<Vec<Value>>().await.unwrap());
            pages += 1;
            if key.is_none() || pages > 50 {
                return (rows, pages);
            }
        }
    }
}

async fn running(messages: u16) -> (Running, Session) {
    let mut world = world_of(messages);
    let devices: Vec<Device> = world.devices().cloned().collect();
    for device in devices {
        world.add_device(device.soracom());
    }
    let running = Simulator::start(world, Options::default()).await.unwrap();
    let session = Session::of(&running).await;
    (running, session)
}

#[tokio::test]
async fn nobody_gets_in_with_a_wrong_key_no_token_or_one_that_has_ended() {
    let (running, session) = running(0).await;
    let wrong = json!({ "authKeyId": "keyId-simulated", "authKey": "wrong" });
    let refused = session.http.post(format!("{}/auth", session.base)).json(&wrong).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], json!("AUM0002"));
    let bare = session.http.get(format!("{}/sigfox_devices", session.base)).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    let body =
        json!({ "authKeyId": "keyId-simulated", "authKey": "secret-simulated", "tokenTimeoutSeconds": 60 });
    let short = session.http.post(format!("{}/auth", session.base)).json(&body).send().await.unwrap();
    assert_eq!(short.status(), 400);
    running.end_tokens();
    assert_eq!(session.get("/sigfox_devices").await.0, 401);
    let renewal = session.ask("POST", "/operators/OP0000000000/token").json(&json!({})).send().await.unwrap();
    assert_eq!(renewal.status(), 400);
    assert_eq!(renewal.json::<Value>().await.unwrap()["httpStatus"], json!(400));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_token_is_replaced_before_its_end_and_given_up_by_logging_out() {
    let (running, mut session) = running(0).await;
    let body = json!({ "tokenTimeoutSeconds": 3600 });
    let renewed = session.ask("POST", "/operators/OP0000000000/token").json(&body).send().await.unwrap();
    session.token = renewed.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    assert_eq!(session.get("/sigfox_devices").await.0, 200);
    assert_eq!(session.ask("POST", "/auth/logout").send().await.unwrap().status(), 204);
    assert_eq!(session.get("/sigfox_devices").await.0, 401);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_token_ends_by_the_world_s_time() {
    let world = world_of(0).pace(Pace::new(100_000.0).unwrap());
    let running = Simulator::start(world, Options::default()).await.unwrap();
    let session = Session::of(&running).await;
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while session.get("/sigfox_devices").await.0 != 401 {
        assert!(tokio::time::Instant::now() < limit, "three minutes at this speed are two milliseconds");
    }
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn entries_come_in_either_order_by_pages_with_a_key() {
    let (running, session) = running(90).await;
    let seq = |entry: &Value| -> u16 {
        let content: Value = serde_json::from_str(entry["content"].as_str().unwrap()).unwrap();
        content["seqNumber"].as_str().unwrap().parse().unwrap()
    };
    let own: Vec<u16> = (0..30).map(|nth| nth * 3).collect();
    let (rows, pages) = session.walk("/sigfox_devices/1A2B3C/data?sort=asc&limit=7").await;
    assert_eq!((rows.iter().map(seq).collect::<Vec<_>>(), pages), (own.clone(), 5));
    let (rows, pages) = session.walk("/sigfox_devices/1A2B3C/data?x=1").await;
    assert_eq!((rows.iter().map(seq).collect::<Vec<_>>(), pages), (own.into_iter().rev().collect(), 3));
    let from = rows[3]["time"].as_i64().unwrap();
    let (rows, _) = session.walk(&format!("/sigfox_devices/1A2B3C/data?sort=asc&from={from}")).await;
    assert_eq!(rows.iter().map(seq).collect::<Vec<_>>(), [78, 81, 84, 87]);
    let (status, entry) = session.get(&format!("/data/SigfoxDevice/1A2B3C/{from}")).await;
    assert_eq!((status, seq(&entry)), (200, 78));
    for wrong in ["limit=1001", "sort=up", "from=soon"] {
        assert_eq!(session.get(&format!("/sigfox_devices/1A2B3C/data?{wrong}")).await.0, 400, "{wrong}");
    }
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_page_that_a_tag_leaves_empty_still_names_the_next() {
    let (running, session) = running(0).await;
    let (rows, pages) = session.walk("/sigfox_devices?limit=1&tag_name=name&tag_value=tank 1A2B3C").await;
    let ids: Vec<&Value> = rows.iter().map(|row| &row["device_id"]).collect();
    assert_eq!((ids, pages), (vec![&json!("1A2B3C")], 3));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_newer_downlink_silently_takes_the_slot_and_the_next_question_is_served() {
    let (running, session) = running(0).await;
    let send =
        |data: &str| session.ask("POST", "/sigfox_devices/1A2B3C/data").json(&json!({ "data": data })).send();
    for data in ["0000000000000001", "0000000000000002"] {
        assert_eq!(send(data).await.unwrap().status(), 202);
    }
    assert_eq!(send("00").await.unwrap().status(), 400);
    let unknown =
        session.ask("POST", "/sigfox_devices/FFFF/data").json(&json!({ "data": "0000000000000001" }));
    assert_eq!(unknown.send().await.unwrap().status(), 404);
    running.send(id("1A2B3C"), Telegram::default());
    assert_eq!(running.received(id("1A2B3C")), []);
    for _ in 0..2 {
        running.send(id("1A2B3C"), Telegram { payload: None, ack: true });
    }
    let received: Vec<String> =
        running.received(id("1A2B3C")).iter().map(|item| item.data.to_string()).collect();
    assert_eq!(received, ["0000000000000002"]);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_device_is_registered_tagged_grouped_and_terminated() {
    let (running, session) = running(0).await;
    let post = |verb: &str| session.ask("POST", &format!("/sigfox_devices/7BFD29/{verb}"));
    let secret = json!({ "registrationSecret": "s", "tags": { "name": "shed" } });
    let registered: Value = post("register").json(&secret).send().await.unwrap().json().await.unwrap();
    assert_eq!((&registered["tags"]["name"], &registered["status"]), (&json!("shed"), &json!("active")));
    assert!(registered.get("lastSeen").is_none());
    assert_eq!(post("register").json(&secret).send().await.unwrap().status(), 400);
    assert_eq!(post("set_group").json(&json!({ "groupId": "g" })).send().await.unwrap().status(), 200);
    let tags = json!([{ "tagName": "site", "tagValue": "north" }]);
    let tagged = session.ask("PUT", "/sigfox_devices/7BFD29/tags").json(&tags).send().await.unwrap();
    assert_eq!(tagged.json::<Value>().await.unwrap()["tags"], json!({ "name": "shed", "site": "north" }));
    for status in [204, 404] {
        let untagged = session.ask("DELETE", "/sigfox_devices/7BFD29/tags/site").send().await.unwrap();
        assert_eq!(untagged.status(), status);
    }
    for (verb, status) in [
        ("unset_group", 200),
        ("terminate", 400),
        ("enable_termination", 200),
        ("terminate", 200),
        ("disable_termination", 200),
    ] {
        assert_eq!(post(verb).send().await.unwrap().status(), status, "{verb}");
    }
    assert_eq!(session.get("/sigfox_devices/7BFD29").await.1["status"], json!("terminated"));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_fault_speaks_soracom_s_language() {
    let (running, session) = running(0).await;
    running.fault("429=7:/sigfox_devices:1".parse().unwrap());
    let refused = session.ask("GET", "/sigfox_devices").send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["x-soracom-ratelimit-seconds-before-refresh"], "7");
    assert!(refused.json::<Value>().await.unwrap()["code"].is_string());
    assert_eq!(session.get("/data/metadata/resources").await, (200, json!([])));
    running.shut_down().await.unwrap();
}

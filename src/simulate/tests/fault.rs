//! What each kind of fault looks like to a client.

use serde_json::json;

use super::*;

#[tokio::test]
async fn every_fault_strikes_as_often_as_the_script_says_and_then_ends() {
    let path = format!("/v2/device-types/{TYPE}/messages");
    for (script, status, json) in [
        ("429=7:/messages:1", 429, true),
        ("503:/messages:1", 503, true),
        ("html:/messages:1", 200, false),
        ("truncate:/messages:1", 200, false),
        ("slow=0:/messages:1", 200, true),
        ("badrow:/messages:1", 200, true),
        ("huge=2:/messages:1", 200, true),
    ] {
        let options = Options { faults: vec![script.parse().unwrap()], ..Options::default() };
        let running = Simulator::start(world_of(3), options).await.unwrap();
        let client = Client::of(&running);
        let response = client.ask("GET", &path).send().await.unwrap();
        assert_eq!(response.status(), status, "{script}");
        let again = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(again.as_deref(), (status == 429).then_some("7"), "{script}");
        let body = response.text().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&body).is_ok(), json, "{script}: {body:.80}");
        let (status, page) = client.get(&path).await;
        assert_eq!((status, page["data"].as_array().map(Vec::len)), (200, Some(3)), "{script}");
        running.shut_down().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_connection_gives_no_answer_at_all() {
    let running = Simulator::start(world_of(3), Options::default()).await.unwrap();
    let client = Client::of(&running);
    running.fault("drop:/v2/devices:1".parse().unwrap());
    let error = client.ask("GET", "/v2/devices").send().await.unwrap_err();
    assert!(error.status().is_none() && !error.is_timeout(), "{error}");
    assert_eq!(client.get("/v2/devices").await.0, 200);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn pages_can_lead_to_themselves_and_to_another_host() {
    let running = Simulator::start(world_of(3), Options::default()).await.unwrap();
    let client = Client::of(&running);
    let path = format!("/v2/device-types/{TYPE}/messages?limit=2");
    running.fault("loop:/messages:1".parse().unwrap());
    running.fault("elsewhere:/messages:1".parse().unwrap());
    let own = format!("http://{}{path}", running.address());
    assert_eq!(client.get(&path).await.1["paging"]["next"], json!(own));
    let next = client.get(&path).await.1["paging"]["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with("https://attacker.example/"), "{next}");
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn faults_come_and_go_while_it_runs() {
    let running = Simulator::start(world_of(3), Options::default()).await.unwrap();
    let client = Client::of(&running);
    let script = json!(["500:/v2/devices:*"]);
    assert_eq!(client.ask("POST", "/sim/faults").json(&script).send().await.unwrap().status(), 204);
    assert_eq!(client.get("/v2/devices").await.0, 500);
    assert_eq!(client.ask("DELETE", "/sim/faults").send().await.unwrap().status(), 204);
    assert_eq!(client.get("/v2/devices").await.0, 200);
    let wrong = client.ask("POST", "/sim/faults").json(&json!(["boom"])).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    running.shut_down().await.unwrap();
}

//! The other side of a downlink: what is asked, which answers count, what is reported.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use super::*;

/// A gateway that answers by a script and shows what it was asked: the path, the token and the body.
struct Gateway {
    url: String,
    asked: mpsc::Receiver<(String, Option<String>, Value)>,
    _task: tokio::task::JoinSet<()>,
}

type Script = (Mutex<VecDeque<(u16, String)>>, mpsc::Sender<(String, Option<String>, Value)>);

impl Gateway {
    async fn start(script: &[(u16, String)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callback/factory", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::channel(100);
        let state: Arc<Script> = Arc::new((Mutex::new(script.iter().cloned().collect()), sender));
        let router = axum::Router::new().fallback(answer).with_state(state);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, _task: task }
    }

    /// The next request whose path ends so.
    async fn asked(&mut self, path: &str) -> Value {
        loop {
            let (asked, token, body) = self.asked.recv().await.unwrap();
            assert_eq!(token.as_deref(), Some("Bearer s3cret"));
            if asked.ends_with(path) {
                return body;
            }
        }
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let token = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 65_536).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap();
    script.1.send((path.clone(), token, body)).await.unwrap();
    let next = if path.ends_with("/bidir") { script.0.lock().await.pop_front() } else { None };
    let (status, answer) = next.unwrap_or((204, String::new()));
    (StatusCode::from_u16(status).unwrap(), answer).into_response()
}

const DATA: &str = "0123456789abcdef";

fn data() -> (u16, String) {
    (200, json!({ "1A2B3C": { "downlinkData": DATA } }).to_string())
}

/// At this speed a retry comes after a tenth of a second.
async fn simulator(gateway: &Gateway, change: impl FnOnce(DeviceType) -> DeviceType) -> Running {
    simulator_at(600.0, gateway, change).await
}

async fn simulator_at(
    speed: f64,
    gateway: &Gateway,
    change: impl FnOnce(DeviceType) -> DeviceType,
) -> Running {
    let target: CallbackTarget = gateway.url.parse().unwrap();
    let mut kind = DeviceType::new(TYPE, "valve");
    for service in [CallbackKind::Bidir, CallbackKind::Acknowledge] {
        let address = target.address(service).unwrap();
        kind = kind.callback(Callback::post(format!("{service:?}"), service, address, Some("s3cret")));
    }
    let world = World::new(1)
        .pace(Pace::new(speed).unwrap())
        .with_type(change(kind))
        .with_device(Device::new(id("1A2B3C"), TYPE));
    Simulator::start(world, Options::default()).await.unwrap()
}

fn asking() -> Telegram {
    Telegram { payload: None, ack: true }
}

#[tokio::test]
async fn an_answer_to_a_question_reaches_the_device_and_is_reported() {
    let mut gateway = Gateway::start(&[data()]).await;
    let running = simulator(&gateway, |kind| kind).await;
    let question = running.send(id("1A2B3C"), asking()).unwrap();
    let asked = gateway.asked("/bidir").await;
    assert_eq!(
        (&asked["device"], &asked["ack"], &asked["seqNumber"]),
        (&json!("1A2B3C"), &json!("true"), &json!("1"))
    );
    assert_eq!(asked["time"], json!(question.time.as_seconds().to_string()));
    assert!(asked.as_object().unwrap().values().all(Value::is_string), "{asked}");
    let report = gateway.asked("/ack").await;
    assert_eq!(
        report,
        json!({
            "device": "1A2B3C", "time": question.time.as_seconds().to_string(), "infoCode": "0",
            "infoMessage": "Acknowledge", "downlinkAck": "true", "downlinkOverusage": "false",
        })
    );
    let received = running.received(id("1A2B3C"));
    assert_eq!(
        received.iter().map(|item| (item.data.to_string(), item.seq)).collect::<Vec<_>>(),
        [(DATA.to_owned(), Some(1))]
    );
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn who_did_not_ask_receives_nothing_whatever_is_answered() {
    let mut gateway = Gateway::start(&[data(), (204, String::new())]).await;
    let running = simulator(&gateway, |kind| kind).await;
    running.send(id("1A2B3C"), Telegram::default()).unwrap();
    assert_eq!(gateway.asked("/bidir").await["ack"], json!("false"));
    running.send(id("1A2B3C"), asking()).unwrap();
    assert_eq!(gateway.asked("/ack").await["infoCode"], json!("1"));
    assert_eq!(running.received(id("1A2B3C")), []);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn an_error_is_tried_again_with_the_same_body_and_then_is_too_late_for_the_device() {
    let mut gateway = Gateway::start(&[(500, String::new()), data()]).await;
    let running = simulator(&gateway, |kind| kind).await;
    running.send(id("1A2B3C"), asking()).unwrap();
    let first = gateway.asked("/bidir").await;
    assert_eq!(gateway.asked("/bidir").await, first);
    assert_eq!(gateway.asked("/ack").await["infoCode"], json!("4"));
    assert_eq!(running.received(id("1A2B3C")), []);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn after_four_attempts_a_callback_is_given_up_and_listed_as_not_delivered() {
    let error = (503, String::new());
    let mut gateway = Gateway::start(&[error.clone(), error.clone(), error.clone(), error]).await;
    let running = simulator(&gateway, |kind| kind).await;
    running.send(id("1A2B3C"), asking()).unwrap();
    for _ in 0..4 {
        gateway.asked("/bidir").await;
    }
    assert_eq!(gateway.asked("/ack").await["infoCode"], json!("1"));
    let client = Client::of(&running);
    let (_, lost) = client.get("/v2/devices/1A2B3C/callbacks-not-delivered").await;
    assert_eq!((&lost["data"][0]["status"], &lost["data"][0]["deviceId"]), (&json!("503"), &json!("1A2B3C")));
    let (_, of_group) = client.get("/v2/groups/5f00000000000000000000a1/callbacks-not-delivered").await;
    assert_eq!(of_group["data"][0]["device"], json!("1A2B3C"));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn each_way_to_go_without_an_answer_has_its_code() {
    type Change = fn(DeviceType) -> DeviceType;
    let cases: [(u16, &str, Change, &str); 4] = [
        (200, r#"{"1A2B3C":{"downlinkData":"00"}}"#, |kind| kind, "2"),
        (200, r#"{"1A2B3C":{"noData":true}}"#, |kind| kind, "1"),
        (204, "", |kind| DeviceType { downlink_mode: 2, ..kind }, "6"),
        (
            204,
            "",
            |mut kind| {
                kind.callbacks[0].downlink_hook = false;
                kind
            },
            "8",
        ),
    ];
    for (status, answer, change, code) in cases {
        let mut gateway = Gateway::start(&[(status, answer.to_owned())]).await;
        let running = simulator(&gateway, change).await;
        running.send(id("1A2B3C"), asking()).unwrap();
        assert_eq!(gateway.asked("/ack").await["infoCode"], json!(code), "{answer}");
        running.shut_down().await.unwrap();
    }
}

#[tokio::test]
async fn a_device_that_asks_again_while_it_listens_is_refused() {
    let mut gateway = Gateway::start(&[data(), data()]).await;
    // The device listens for a second and a half.
    let running = simulator_at(30.0, &gateway, |kind| kind).await;
    running.send(id("1A2B3C"), asking()).unwrap();
    running.send(id("1A2B3C"), asking()).unwrap();
    let mut codes =
        [gateway.asked("/ack").await["infoCode"].clone(), gateway.asked("/ack").await["infoCode"].clone()];
    codes.sort_by_key(ToString::to_string);
    assert_eq!(codes, [json!("0"), json!("7")]);
    assert_eq!(running.received(id("1A2B3C")).len(), 1);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn what_is_beyond_the_day_s_four_is_an_overrun() {
    let mut gateway = Gateway::start(&[data(), data()]).await;
    let running = simulator(&gateway, |kind| kind).await;
    let mut codes = Vec::new();
    for sent_today in [3, 4] {
        running.world(|world| {
            let today = world.current_pace().day(crate::clock::now());
            let device = world.device_mut(id("1A2B3C")).unwrap();
            (device.quota, device.listens_until) = ((today, sent_today), None);
        });
        running.send(id("1A2B3C"), asking()).unwrap();
        let report = gateway.asked("/ack").await;
        codes.push((report["infoCode"].clone(), report["downlinkOverusage"].clone()));
    }
    assert_eq!(codes, [(json!("0"), json!("false")), (json!("3"), json!("true"))]);
    assert_eq!(running.received(id("1A2B3C")).len(), 1);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn in_direct_mode_the_device_type_s_own_bytes_are_sent_and_nobody_s_answer() {
    let mut gateway = Gateway::start(&[data()]).await;
    let direct =
        |kind| DeviceType { downlink_mode: 0, downlink_data: Some("3c06000000000000".into()), ..kind };
    let running = simulator(&gateway, direct).await;
    running.send(id("1A2B3C"), asking()).unwrap();
    assert_eq!(gateway.asked("/ack").await["infoCode"], json!("0"));
    let received = running.received(id("1A2B3C"));
    assert_eq!(
        received.iter().map(|item| (item.data.to_string(), item.via)).collect::<Vec<_>>(),
        [("3c06000000000000".to_owned(), "direct")]
    );
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_callback_made_over_the_api_is_called() {
    let mut gateway = Gateway::start(&[]).await;
    let running = Simulator::start(world_of(0), Options::default()).await.unwrap();
    let client = Client::of(&running);
    let path = format!("/v2/device-types/{TYPE}/callbacks");
    let wanted = json!({
        "channel": "URL", "callbackType": 0, "callbackSubtype": 2, "enabled": true, "httpMethod": "POST",
        "url": format!("{}/uplink", gateway.url), "contentType": "application/json",
        "headers": { "Authorization": "Bearer s3cret" },
        "bodyTemplate": "{\"device\":\"{device}\",\"seqNumber\":{seqNumber},\"type\":\"{customData#Type}\"}",
    });
    let made = client.ask("POST", &path).json(&wanted).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    running.send(id("3068E"), Telegram::default()).unwrap();
    let asked = gateway.asked("/uplink").await;
    assert_eq!(asked, json!({ "device": "3068E", "seqNumber": 1, "type": "{customData#Type}" }));
    let (_, listed) = client.get(&path).await;
    assert_eq!((&listed["data"][0]["id"], &listed["data"][0]["channel"]), (&made["id"], &json!("URL")));
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let disabled = client.ask("PUT", &format!("{one}/enable?enabled=false")).send().await.unwrap();
    let deleted = client.ask("DELETE", &one).send().await.unwrap();
    assert_eq!((disabled.status().as_u16(), deleted.status().as_u16()), (204, 204));
    assert_eq!(client.get(&path).await.1, json!({ "data": [] }));
    running.shut_down().await.unwrap();
}

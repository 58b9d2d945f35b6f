//! The callbacks beside BIDIR: what each carries, and when it comes.

use axum::extract::{Request, State};
use tokio::sync::mpsc;

use super::*;

/// Takes whatever comes, and answers with nothing.
async fn sink() -> (String, mpsc::Receiver<(String, String)>, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (sender, taken) = mpsc::channel(100);
    let router = axum::Router::new().fallback(take).with_state(sender);
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, taken, task)
}

async fn take(
    State(sender): State<mpsc::Sender<(String, String)>>,
    request: Request,
) -> axum::http::StatusCode {
    let address = request.uri().to_string();
    let body = axum::body::to_bytes(request.into_body(), 65_536).await.unwrap();
    sender.send((address, String::from_utf8(body.to_vec()).unwrap())).await.unwrap();
    axum::http::StatusCode::NO_CONTENT
}

async fn simulator(callbacks: Vec<Callback>) -> Running {
    let kind = DeviceType { callbacks, ..DeviceType::new(TYPE, "tracker") };
    let schedule = Schedule {
        every: Duration::from_secs(86_400),
        sensor: Sensor::oyster(48, 2, &mut fastrand::Rng::with_seed(1)),
        asks_every: 0,
        located_every: 1,
    };
    let mut device = Device::new(id("1A2B3C"), TYPE).schedule(schedule);
    device.seq = 9;
    let world = World::new(1)
        .pace(Pace::new(600.0).unwrap())
        .head_start(Duration::from_secs(3600))
        .with_type(kind)
        .with_device(device)
        .with_device(Device::new(id("3068E"), TYPE));
    Simulator::start(world, Options::default()).await.unwrap()
}

#[tokio::test]
async fn each_service_brings_its_own_part_of_one_message() {
    let (base, mut taken, _task) = sink().await;
    let services = [
        CallbackKind::Uplink,
        CallbackKind::Status,
        CallbackKind::Advanced,
        CallbackKind::Geoloc,
        CallbackKind::Error,
    ];
    let callbacks =
        services.map(|kind| Callback::post(kind.path(), kind, format!("{base}/{}", kind.path()), None));
    let running = simulator(callbacks.to_vec()).await;
    // The tenth sequence number brings the status along.
    let sent = running.send(id("1A2B3C"), Telegram::default()).unwrap();
    running.world(|world| world.complain(id("1A2B3C"), "ERROR", "silent", crate::clock::now()));
    let mut bodies = std::collections::BTreeMap::new();
    for _ in services {
        let (address, body) = taken.recv().await.unwrap();
        bodies.insert(address, serde_json::from_str::<Value>(&body).unwrap());
    }
    let position = sent.position.unwrap();
    for service in ["/uplink", "/status", "/advanced", "/geoloc"] {
        assert_eq!(bodies[service]["seqNumber"], Value::from("10"), "{service}");
        assert_eq!(bodies[service]["time"], Value::from(sent.time.as_seconds().to_string()), "{service}");
    }
    assert_eq!(bodies["/geoloc"]["radius"], Value::from(position.radius.to_string()));
    assert_eq!(bodies["/advanced"]["computedLocation"]["lat"], Value::from(position.latitude));
    assert_eq!(bodies["/advanced"]["duplicates"].as_array().map(Vec::len), Some(sent.receptions.len()));
    assert_eq!(
        (&bodies["/error"]["severity"], &bodies["/error"]["info"]),
        (&"ERROR".into(), &"silent".into())
    );
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_batch_carries_the_lines_of_a_second_in_one_parameter() {
    let (base, mut taken, _task) = sink().await;
    let batch = Callback {
        line_pattern: Some("{device};{data};".to_owned()),
        method: "GET".to_owned(),
        body: None,
        ..Callback::post("batch", CallbackKind::Uplink, format!("{base}/batch?data={{batch}}"), None)
    };
    let running = simulator(vec![batch]).await;
    for (device, payload) in [("1A2B3C", "0a0b"), ("3068E", "0c")] {
        running.send(id(device), Telegram { payload: Some(payload.parse().unwrap()), ack: false });
    }
    let (address, body) = taken.recv().await.unwrap();
    assert_eq!((address.as_str(), body.as_str()), ("/batch?data=1A2B3C%3B0a0b%3B%0A3068E%3B0c%3B", ""));
    running.shut_down().await.unwrap();
}

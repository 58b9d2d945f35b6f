//! `/healthz`, `/readyz` and `bridge/health` say the same thing in every state that the gateway can be in.

use std::time::Duration;

use serde_json::{Value, json};
use sigfox2mqtt::simulate::{Fault, FaultKind};

use crate::main_job::{Site, world};
use crate::support::daemon::Daemon;
use crate::support::shim::{FULL, Shim};
use crate::support::subscriber::Subscriber;

/// The store looks every few seconds whether the disk takes writes again.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the listener says: the codes of `/healthz` and `/readyz`, and what both and the API say of it.
async fn said(daemon: &Daemon) -> (u16, u16, Value) {
    let base = format!("http://{}", daemon.address().await);
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{base}{path}")).await.unwrap();
        let code = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        (code, json!({ "status": body["status"], "reasons": body["reasons"] }))
    };
    loop {
        let ((healthz, one), (readyz, other), (_, document)) =
            (get("/healthz").await, get("/readyz").await, get("/api/v1/health").await);
        // Between two of the questions it may have changed.
        if one == other && other == document {
            return (healthz, readyz, one);
        }
    }
}

/// Waits until the listener says this, with these parts among the reasons, and the broker, if it is there, hears the same.
async fn says(daemon: &Daemon, heard: Option<&Subscriber>, codes: (u16, u16), status: &str, parts: &[&str]) {
    let limit = std::time::Instant::now() + PATIENCE;
    loop {
        let (healthz, readyz, said) = said(daemon).await;
        let found: Vec<&str> = said["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["part"].as_str().unwrap())
            .collect();
        let last = heard.map(|heard| heard.last("bridge/health").map(|message| message.json()));
        let is_heard = last.as_ref().is_none_or(|last| {
            last.as_ref()
                .is_some_and(|last| last["status"] == said["status"] && last["reasons"] == said["reasons"])
        });
        if (healthz, readyz) == codes && said["status"] == status && found == parts && is_heard {
            return;
        }
        assert!(
            std::time::Instant::now() < limit,
            "expected {codes:?} {status} {parts:?}, got {healthz} {readyz} {said}, heard {last:?}:\n{}",
            daemon.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_three_of_them_say_the_same_in_every_state() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut site = Site::new(world(3)).await;
    let shim = Shim::new(&site.gateway.data());
    let heard = Subscriber::start(site.broker.port(), "sigfox2mqtt/#").await;
    let daemon = site.gateway.start_with(&shim.environment());
    says(&daemon, Some(&heard), (200, 200), "ok", &[]).await;

    site.cloud.fault(Fault::new(FaultKind::Status(500, None), "/", u32::MAX));
    says(&daemon, Some(&heard), (200, 503), "waiting", &["source factory"]).await;
    shim.disk(FULL, 0);
    site.call_back(&daemon).await;
    let url = format!("http://{}/callback/factory/uplink", daemon.address().await);
    let uplink = json!({ "device": "1A2B3C", "data": "17", "time": 1_789_000_000, "seqNumber": 1 });
    let refused = reqwest::Client::new().post(url).bearer_auth("callback-token").body(uplink.to_string());
    assert_eq!(refused.send().await.unwrap().status(), 503);
    says(&daemon, Some(&heard), (503, 503), "failing", &["store", "source factory"]).await;
    site.broker.kill();
    says(&daemon, None, (503, 503), "failing", &["store", "broker", "source factory"]).await;
    shim.disk(0, 0);
    site.cloud.heal();
    says(&daemon, None, (200, 503), "waiting", &["broker"]).await;
    site.broker.begin().await;
    let heard = Subscriber::start(site.broker.port(), "sigfox2mqtt/#").await;
    says(&daemon, Some(&heard), (200, 200), "ok", &[]).await;
    assert_eq!(daemon.terminate().await.code(), Some(0));
}

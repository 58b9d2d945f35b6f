//! A whole gateway with a mirror: what `doctor`, the request `health` and an orderly end say and do of it.

use serde_json::{Value, json};
use sigfox2mqtt::simulate::Running;

use crate::main_job::{Site, world};
use crate::support::daemon::command;
use crate::support::eventually;
use crate::support::subscriber::Subscriber;

/// A site whose gateway mirrors to the studio of the same simulator, with this secret and space.
async fn site(secret: &str, space: &str) -> Site {
    let site = Site::new(world(6)).await;
    let text = std::fs::read_to_string(site.gateway.configuration()).unwrap();
    let studio = site.cloud.altair_url();
    site.gateway.configure(&format!(
        "{text}\n[mirrors.studio]\nurl = \"{studio}\"\nspace = \"{space}\"\nclient_id = \"client-simulated\"\n\
         client_secret = \"{secret}\"\npoll = \"1s\"\n"
    ));
    site
}

/// What the doctor finds about the mirror: the verdict and the words.
fn doctor(site: &Site) -> (String, String) {
    let out = command(&site.gateway.configuration()).args(["doctor", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == json!("mirror studio"));
    let found = found.unwrap_or_else(|| panic!("no check of the mirror in {json}"));
    (found["verdict"].as_str().unwrap().to_owned(), found.to_string())
}

fn revoked(cloud: &Running) -> u64 {
    let requests = cloud.requests();
    requests.iter().filter(|(path, _)| path.ends_with("/oauth2/revoke")).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_the_mirror_and_says_what_to_do() {
    for (secret, verdict, words) in [
        ("secret-simulated", "pass", "lets us in; 0 Things in space s"),
        ("wrong", "fail", "put right `client_id` and `client_secret` of mirrors.studio"),
    ] {
        let site = site(secret, "s").await;
        let (found, said) = doctor(&site);
        assert_eq!(found, verdict, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
    let site = site("secret-simulated", "s").await;
    drop(site.cloud);
    let out = command(&site.gateway.configuration()).args(["doctor"]).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(said.contains("look whether this machine reaches http://127.0.0.1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_the_health_is_told_how_the_mirror_does_and_its_token_is_given_back() {
    let site = site("secret-simulated", "s").await;
    let watch = Subscriber::start(site.broker.port(), "sigfox2mqtt/#").await;
    let daemon = site.gateway.start();
    watch.until("/event/up", 6).await;
    daemon.logged("mirror state").await;
    let asked = || {
        watch.publish("sigfox2mqtt/bridge/request/health", "{}");
        let answer = watch.last("bridge/response/health")?.json();
        let studio = &answer["data"]["mirrors"]["studio"];
        let is_well = studio["state"] == json!("ok") && studio["depth"] == json!(0);
        (is_well && studio["requests"].as_u64()? > 0).then_some(())
    };
    eventually("the mirror in the answer", || asked().is_some()).await;
    let before = revoked(&site.cloud);
    assert_eq!(daemon.terminate().await.code(), Some(0));
    assert_eq!(revoked(&site.cloud), before + 1);
}

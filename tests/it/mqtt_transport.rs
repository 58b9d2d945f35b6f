//! TLS with a private authority and client certificates, websockets; and what a person is told when they fail.

use sigfox2mqtt::mqtt::watch::watch;

use crate::publisher_rig::{Site, config, uplink};
use crate::support::daemon::{Gateway, command};
use crate::support::mosquitto::{Mosquitto, free_port};

const T0: i64 = 1_789_000_000;

fn certificates() -> String {
    format!("{}/tests/fixtures/tls", env!("CARGO_MANIFEST_DIR"))
}

/// Publishes an uplink over these settings and sees its state come back the same way.
async fn goes_through(mqtt: &str) {
    let site = Site::new(mqtt);
    site.store.record_sweep(&[uplink("1A2B3C", T0, "012c80")], None).unwrap();
    let publishing = site.publish();
    site.drained().await;
    publishing.stop().await;
    let mut seen = watch(&site.config.mqtt, &["sigfox2mqtt/device/1A2B3C/state"]).await.unwrap();
    assert!(seen.next().await.unwrap().retain);
}

/// What a person is told about these settings.
async fn refusal(mqtt: &str) -> String {
    let refused = watch(&config(mqtt).mqtt, &["#"]).await.err().expect("must not be let in");
    format!("{refused:#}")
}

#[tokio::test]
async fn tls_trusts_the_private_authority_and_no_other() {
    let folder = certificates();
    let lines = format!(
        "allow_anonymous true\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\ncafile {folder}/ca.pem\n"
    );
    let broker = Mosquitto::with(&lines).await;
    let url = format!("url = \"mqtts://127.0.0.1:{}\"", broker.port());
    for protocol in [4, 5] {
        let version = format!("{url}\nprotocol = {protocol}");
        goes_through(&format!("{version}\nca_file = \"{folder}/ca.pem\"")).await;
        let words = refusal(&format!("{version}\nca_file = \"{folder}/other-ca.pem\"")).await;
        assert!(words.contains("mqtt.ca_file"), "{words}");
    }
    let plain = refusal(&format!("url = \"mqtt://127.0.0.1:{}\"", broker.port())).await;
    assert!(plain.contains("closed"), "{plain}");
}

#[tokio::test]
async fn a_broker_that_wants_a_client_certificate_gets_it_or_is_named_as_the_reason() {
    let folder = certificates();
    let lines = format!(
        "allow_anonymous true\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\ncafile {folder}/ca.pem\n\
         require_certificate true\n"
    );
    let broker = Mosquitto::with(&lines).await;
    let url = format!("url = \"mqtts://127.0.0.1:{}\"\nca_file = \"{folder}/ca.pem\"", broker.port());
    for protocol in [4, 5] {
        let version = format!("{url}\nprotocol = {protocol}");
        let ours = format!("cert_file = \"{folder}/client.pem\"\nkey_file = \"{folder}/client.key\"");
        goes_through(&format!("{version}\n{ours}")).await;
        let words = refusal(&version).await;
        assert!(words.contains("client certificate"), "MQTT {protocol}: {words}");
    }
}

/// mosquitto 2.0.11 ends if all it has is websockets.
fn second_listener() -> String {
    format!("listener {} 127.0.0.1\n", free_port())
}

#[tokio::test]
async fn websockets_carry_what_tcp_does() {
    let broker =
        Mosquitto::with(&format!("protocol websockets\nallow_anonymous true\n{}", second_listener())).await;
    for protocol in [4, 5] {
        for path in ["", "/mqtt"] {
            let url = format!("url = \"ws://127.0.0.1:{}{path}\"", broker.port());
            goes_through(&format!("{url}\nprotocol = {protocol}")).await;
        }
    }
}

#[tokio::test]
async fn encrypted_websockets_trust_the_private_authority_and_no_other() {
    let folder = certificates();
    let lines = format!(
        "protocol websockets\nallow_anonymous true\n\
         certfile {folder}/server.pem\nkeyfile {folder}/server.key\ncafile {folder}/ca.pem\n{}",
        second_listener()
    );
    let broker = Mosquitto::with(&lines).await;
    let url = format!("url = \"wss://127.0.0.1:{}/mqtt\"", broker.port());
    for protocol in [4, 5] {
        let version = format!("{url}\nprotocol = {protocol}");
        goes_through(&format!("{version}\nca_file = \"{folder}/ca.pem\"")).await;
        let words = refusal(&format!("{version}\nca_file = \"{folder}/other-ca.pem\"")).await;
        assert!(words.contains("mqtt.ca_file"), "{words}");
    }
    let plain = refusal(&format!("url = \"ws://127.0.0.1:{}/mqtt\"", broker.port())).await;
    assert!(plain.contains("no connection"), "{plain}");
}

/// What cannot be right by itself: a person is told on the log and by the doctor, in the same words and without the secret.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_doctor_say_what_is_wrong() {
    let folder = certificates();
    let tls = format!(
        "allow_anonymous true\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\ncafile {folder}/ca.pem\n"
    );
    let strict =
        Mosquitto::with_files("allow_anonymous false\npassword_file {folder}/users\n", &[("users", "")])
            .await;
    let (encrypted, certified) =
        (Mosquitto::with(&tls).await, Mosquitto::with(&format!("{tls}require_certificate true\n")).await);
    let mqtts = |broker: &Mosquitto| format!("url = \"mqtts://127.0.0.1:{}\"", broker.port());
    for protocol in [4, 5] {
        for (lines, words) in [
            (format!("{}\nca_file = \"{folder}/other-ca.pem\"", mqtts(&encrypted)), "mqtt.ca_file"),
            (format!("{}\nca_file = \"{folder}/ca.pem\"", mqtts(&certified)), "client certificate"),
            (
                format!("url = \"{}\"\nusername = \"gw\"\npassword = \"guessed\"", strict.url()),
                "not authorised",
            ),
        ] {
            let gateway = Gateway::new(&format!(
                "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"{{data}}\"\n\
                 [sources.factory]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"a\"\npassword = \"b\"\n\
                 [mqtt]\nprotocol = {protocol}\n{lines}\n"
            ));
            let daemon = gateway.start();
            daemon.logged(words).await;
            assert!(!daemon.log().contains("guessed"), "{}", daemon.log());
            let doctor = command(&gateway.configuration()).arg("doctor").output().unwrap();
            let said = String::from_utf8(doctor.stdout).unwrap();
            assert!(said.contains(words) && !said.contains("guessed"), "MQTT {protocol}, {words}: {said}");
            assert_eq!(doctor.status.code(), Some(1));
            assert_eq!(daemon.terminate().await.code(), Some(0));
        }
    }
}

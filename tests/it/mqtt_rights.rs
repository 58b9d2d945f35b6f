//! The shipped templates of rights, at a mosquitto that enforces them.

use std::fs;

use serde_json::json;
use sigfox2mqtt::clock;
use sigfox2mqtt::mqtt::watch::watch;

use crate::publisher_rig::{Site, config, uplink};
use crate::support::mosquitto::Mosquitto;

/// Users `gateway`, `viewer`, `operator` and `homeassistant`, each with its name as its password.
fn password_file() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    fs::write(&path, "").unwrap();
    for user in ["gateway", "viewer", "operator", "homeassistant"] {
        let status = std::process::Command::new("mosquitto_passwd")
            .args(["-b", path.to_str().unwrap(), user, user])
            .status()
            .unwrap();
        assert!(status.success());
    }
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn the_templates_let_through_what_is_needed_and_nothing_else() {
    let root = env!("CARGO_MANIFEST_DIR");
    let acl = ["gateway", "clients"]
        .map(|name| fs::read_to_string(format!("{root}/config/mosquitto-{name}.acl")).unwrap())
        .join("\n");
    let lines = "allow_anonymous false\npassword_file {folder}/users\nacl_file {folder}/acl\n";
    let broker = Mosquitto::with_files(lines, &[("users", &password_file()), ("acl", &acl)]).await;
    let login = |user: &str, more: &str| {
        format!("url = \"{}\"\nusername = \"{user}\"\npassword = \"{user}\"\n{more}", broker.url())
    };
    let viewer = config(&login("viewer", "")).mqtt;
    let mut events = watch(&viewer, &["sigfox2mqtt/device/+/event/up"]).await.unwrap();
    let site = Site::new(&login("gateway", "attributes = true"));
    site.store.record_sweep(&[uplink("1A2B3C", clock::now().as_seconds() - 60, "012c80")], None).unwrap();
    let mut publishing = site.publish();
    events.next().await.unwrap();
    site.drained().await;
    let mut retained = watch(&viewer, &["sigfox2mqtt/#"]).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 10 {
        seen.push(retained.next().await.unwrap().topic);
    }
    let home = config(&login("homeassistant", "")).mqtt;
    let mut discovery = watch(&home, &["homeassistant/device/+/config"]).await.unwrap();
    assert!(discovery.next().await.unwrap().topic.contains("sigfox2mqtt_gw"));
    // A viewer's command is dropped by the broker, an operator's arrives.
    for (user, body) in [("viewer", "no"), ("operator", "yes")] {
        let status = std::process::Command::new("mosquitto_pub")
            .args(["-p", &broker.port().to_string(), "-u", user, "-P", user, "-q", "1", "-V", "311"])
            .args(["-t", "sigfox2mqtt/bridge/request/sync", "-m", body])
            .status()
            .unwrap();
        assert!(status.success());
    }
    let command = publishing.next_command().await;
    assert_eq!(command.payload, "yes");
    command.ack();
    publishing.stop().await;
    let refused = site.store.outbox_head(&std::collections::BTreeSet::new(), 10).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(json!(seen.iter().any(|topic| topic.contains("/attr/"))), json!(true), "{seen:?}");
}

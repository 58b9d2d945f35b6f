//! What the doctor finds at brokers that deny us, at mirrors, and on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sigfox2mqtt::simulate::{Options, Simulator, World};

use crate::doctor::doctor;
use crate::support::mosquitto::Mosquitto;

const SOURCE: &str =
    "[sources.gone]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"l\"\npassword = \"p\"\n";

/// A folder with a configuration of these lines.
fn folder(lines: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, format!("version = 1\n{lines}\n{SOURCE}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// What the doctor says of one thing: the worst verdict, and all words.
fn found(folder: &Path, check: &str) -> (String, String) {
    let (_, findings, all) = doctor(folder);
    let verdicts = findings.into_iter().filter(|(what, _)| what == check).map(|(_, verdict)| verdict);
    // fail, pass, warn: the first in the alphabet is the worst where there is a failure.
    (verdicts.min().unwrap_or_default(), all)
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_a_broker_denies_are_found() {
    for (rules, verdict, words) in [
        ("topic readwrite #\n", "pass", "takes our subscriptions"),
        (
            "topic read #\ntopic write sigfox2mqtt/bridge/#\n",
            "fail",
            "write to sigfox2mqtt/device/0/info, sigfox2mqtt/device/0/state, sigfox2mqtt/device/0/event/doctor, \
             homeassistant/device/sigfox2mqtt_gw_doctor/config: give it the rights in",
        ),
        ("topic write #\n", "fail", "so no command would arrive"),
    ] {
        let lines = "allow_anonymous true\nacl_file {folder}/acl\n";
        let broker = Mosquitto::with_files(lines, &[("acl", rules)]).await;
        let folder = folder(&format!("[gateway]\nid = \"gw\"\n[mqtt]\nurl = \"{}\"", broker.url()));
        let (found, all) = found(folder.path(), "broker");
        assert_eq!(found, verdict, "{rules}: {all}");
        assert!(all.contains(words), "{words}\n{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_trusted_is_found() {
    let fixtures = format!("{}/tests/fixtures/tls", env!("CARGO_MANIFEST_DIR"));
    let lines = format!(
        "allow_anonymous true\ncertfile {fixtures}/server.pem\nkeyfile {fixtures}/server.key\ncafile {fixtures}/ca.pem\n"
    );
    let broker = Mosquitto::with(&lines).await;
    for (authority, verdict) in [("ca.pem", "pass"), ("other-ca.pem", "fail")] {
        let url = broker.url().replace("mqtt://", "mqtts://");
        let folder = folder(&format!("[mqtt]\nurl = \"{url}\"\nca_file = \"{fixtures}/{authority}\""));
        let (found, all) = found(folder.path(), "broker");
        assert_eq!(found, verdict, "{authority}: {all}");
        assert_eq!(all.contains("look at [mqtt]: url, username, password_file, ca_file"), verdict == "fail");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_does_not_let_us_in_is_found() {
    let cloud = Simulator::start(World::new(1), Options::default()).await.unwrap();
    for (secret, verdict, words) in [
        ("secret-simulated", "pass", "lets us in"),
        ("wrong", "fail", "put right `client_id` and `client_secret` of mirrors.studio"),
    ] {
        let folder = folder(&format!(
            "[mirrors.studio]\nkind = \"altair\"\nurl = \"{}\"\nspace = \"simulated\"\n\
             client_id = \"client-simulated\"\nclient_secret = \"{secret}\"\ndevices = [\"*\"]\n",
            cloud.altair_url()
        ));
        let (found, all) = found(folder.path(), "mirror studio");
        assert_eq!(found, verdict, "{all}");
        assert!(all.contains(words), "{all}");
    }
}

#[test]
fn a_machine_that_does_not_fit_is_found() {
    let folder = folder(
        "[gateway]\ndata_dir = \"data\"\n[store]\nmax_size = \"4096TiB\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sources.called]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"l\"\n\
         password_file = \"password\"\ncallback_token = \"t\"\n",
    );
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.path().join("password"), "p").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (_, findings, all) = doctor(folder.path());
    for (check, verdict, words) in [
        ("disk", "warn", "lower it, or make room"),
        ("data directory", "warn", "is open to everybody on this machine: chmod 0750"),
        ("callbacks", "warn", "is heard on this machine only: a reverse proxy or tunnel must hand it to"),
        ("configuration", "warn", "password is a secret that others on this machine may read"),
        ("source called", "fail", "look whether this machine reaches http://127.0.0.1:9"),
    ] {
        assert!(findings.contains(&(check.to_owned(), verdict.to_owned())), "{check}\n{all}");
        assert!(all.contains(words), "{words}\n{all}");
    }
}

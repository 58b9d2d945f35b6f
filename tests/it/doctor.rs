//! `init` and `doctor` against a simulated cloud and a real broker.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use sigfox2mqtt::simulate::{DeviceType, Options, Running, Simulator, World};

use crate::support::mosquitto::Mosquitto;

const LOGIN: &str = "5f0000000000000000000a91";
const PASSWORD: &str = "simulated";

async fn cloud() -> Running {
    let world = World::new(7)
        .with_type(DeviceType::new("5f0000000000000000000001", "tank").grammar("level::uint:16"))
        .with_type(DeviceType::new("5f0000000000000000000002", "valve"));
    Simulator::start(world, Options { rate_limits: false, ..Options::default() }).await.unwrap()
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sigfox2mqtt"));
    let command = command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The verdicts by what was looked at, and all messages.
pub(crate) fn doctor(folder: &Path) -> (Option<i32>, Vec<(String, String)>, String) {
    let (code, out, _) = run(folder, &["--config", "config.toml", "doctor", "--json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = json["findings"].as_array().unwrap();
    (code, findings.iter().map(|one| (word(one, "check"), word(one, "verdict"))).collect(), out)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_passes_the_doctor() {
    let (cloud, broker, folder) = (cloud().await, Mosquitto::start().await, tempfile::tempdir().unwrap());
    let secret = folder.path().join("password");
    fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let (url, broker_url) = (cloud.sigfox_v2_url(), broker.url());
    let init = [
        "--config",
        "config.toml",
        "init",
        "--kind",
        "sigfox",
        "--url",
        &url,
        "--login",
        LOGIN,
        "--password-file",
        "password",
        "--device-type",
        "tank",
        "--mqtt-url",
        &broker_url,
        "--gateway-id",
        "gw1",
    ];
    let (code, out, err) = run(folder.path(), &init);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let file = folder.path().join("config.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("# Ids or names of the device types that are taken"), "the comments are gone");

    let (code, out, err) = run(folder.path(), &init);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("never overwrites"), "{err}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);

    // Beside the file, so that the data directory of this machine is left alone.
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(&file, written.replace("#data_dir = \"/var/lib/sigfox2mqtt\"", "data_dir = \"data\"")).unwrap();
    let (code, findings, all) = doctor(folder.path());
    for check in ["configuration", "clock", "data directory", "source sigfox", "broker"] {
        assert!(findings.contains(&(check.to_owned(), "pass".to_owned())), "{check}\n{all}");
    }
    assert_eq!(code, Some(0), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let (cloud, folder) = (cloud().await, tempfile::tempdir().unwrap());
    fs::write(folder.path().join("data"), "").unwrap();
    let configuration = format!(
        "version = 1\n[gateway]\ndata_dir = \"missing\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n\
         [sources.wrong]\nkind = \"sigfox\"\nurl = \"{url}\"\nlogin = \"{LOGIN}\"\npassword = \"no\"\n\
         [sources.gone]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"l\"\npassword = \"p\"\n\
         [sources.odd]\nkind = \"sigfox\"\nurl = \"{url}\"\nlogin = \"{LOGIN}\"\npassword = \"{PASSWORD}\"\n\
         device_types = [\"pump\"]\ncallback_token = \"t\"\n",
        url = cloud.sigfox_v2_url(),
    );
    let file = folder.path().join("config.toml");
    fs::write(&file, configuration).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, findings, all) = doctor(folder.path());
    assert_eq!(code, Some(1), "{all}");
    for (check, verdict, words) in [
        ("configuration", "fail", "others may read"),
        ("data directory", "warn", "not there yet"),
        ("source wrong", "fail", "put right `login` and `password` of sources.wrong"),
        ("source gone", "fail", "look whether this machine reaches http://127.0.0.1:9"),
        ("source odd", "warn", "`device_types` takes none of what is there: tank, valve"),
        ("broker", "fail", "nothing listens there"),
        ("callbacks", "fail", "add [http]"),
    ] {
        assert!(findings.contains(&(check.to_owned(), verdict.to_owned())), "{check}\n{all}");
        assert!(all.contains(words), "{words}\n{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_nothing_that_does_not_work() {
    let (cloud, folder) = (cloud().await, tempfile::tempdir().unwrap());
    fs::write(folder.path().join("password"), "no").unwrap();
    let url = cloud.sigfox_v2_url();
    let flags = ["--config", "c.toml", "init", "--url", &url, "--login", LOGIN];
    assert_eq!(run(folder.path(), &flags).0, Some(2));
    let flags = [&flags[..], &["--password-file", "password"]].concat();
    let (code, _, err) = run(folder.path(), &flags);
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing is written") && err.contains("refuses the credentials"), "{err}");
    assert!(!folder.path().join("c.toml").exists());
    assert_eq!(run(folder.path(), &[&flags[..], &["--no-test"]].concat()).0, Some(0));
    assert!(folder.path().join("c.toml").exists());
    for wrong in [&["--source", "No Name"][..], &["--gateway-id", "No Name"], &["--mqtt-url", "http://x"]] {
        let flags = [&["--config", "d.toml"], &flags[2..], &["--no-test"], wrong].concat();
        let code = run(folder.path(), &flags).0;
        assert!(matches!(code, Some(2 | 78)), "{wrong:?}: {code:?}");
        assert!(!folder.path().join("d.toml").exists());
    }
}

//! `init` at a terminal: a person answers questions, and the gateway's first configuration is there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sigfox2mqtt::simulate::{Device, DeviceType, Options, Running, Simulator, World};

use crate::support::mosquitto::Mosquitto;

async fn cloud() -> Running {
    let mut world = World::new(7)
        .with_type(DeviceType::new("5f0000000000000000000001", "tank"))
        .with_type(DeviceType::new("5f0000000000000000000002", "valve"));
    for (id, name) in [("3D", "East"), ("4E", "West")] {
        world.add_device(Device::new(id.parse().unwrap(), "5f0000000000000000000002").name(name));
    }
    for (id, name) in [("1A2B3C", "North"), ("2C", "South")] {
        let device = Device::new(id.parse().unwrap(), "5f0000000000000000000001").name(name);
        world.add_device(device.soracom_only());
    }
    Simulator::start(world, Options { rate_limits: false, ..Options::default() }).await.unwrap()
}

/// Runs `init` at a terminal (that of util-linux's `script`), where these lines are typed; gives whether it went well
/// and what it showed.
fn at_terminal(folder: &Path, flags: &str, typed: &[&str]) -> (bool, String) {
    let program = env!("CARGO_BIN_EXE_sigfox2mqtt");
    let mut script = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--command",
            &format!("{program} --config c.toml init {flags}"),
            "/dev/null",
        ])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all((typed.join("\n") + "\n").as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_from_what_the_account_has() {
    let (cloud, broker) = (cloud().await, Mosquitto::start().await);
    let broker = broker.url();
    for (flags, typed, shown, written) in [
        (
            format!("--url {}", cloud.sigfox_v2_url()),
            vec!["1", "5f0000000000000000000a91", "simulated", "2", "2", &broker, ""],
            ["2  valve (5f0000000000000000000002)", "2  West (4E)", "Which devices?"],
            [
                "\ndevice_types = [\"5f0000000000000000000002\"]",
                "\ndevices = [\"4E\"]",
                "password = \"simulated\"",
            ],
        ),
        (
            format!("--url {} --listen 127.0.0.1:8080", cloud.soracom_url()),
            vec!["2", "keyId-simulated", "secret-simulated", "1,2", &broker, ""],
            ["  North (1A2B3C)", "  South (2C)", "Which devices?"],
            ["kind = \"soracom\"", "\ndevices = [\"", "\n[http]\nlisten = \"127.0.0.1:8080\""],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (is_done, seen) = at_terminal(folder.path(), &flags, &typed);
        assert!(is_done, "{seen}");
        for text in shown {
            assert!(seen.contains(text), "{text} in {seen}");
        }
        let file = folder.path().join("c.toml");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        for line in written {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_mistyped_is_asked_for_again() {
    let (cloud, broker, folder) = (cloud().await, Mosquitto::start().await, tempfile::tempdir().unwrap());
    let broker = broker.url().replace("mqtt://", "");
    let flags = format!("--url {} --device-type tank", cloud.sigfox_v2_url());
    let login = "5f0000000000000000000a91";
    let typed = ["7", "1", "", login, "wrong", login, "simulated", "no name", &broker, ""];
    let (is_done, seen) = at_terminal(folder.path(), &flags, &typed);
    assert!(is_done, "{seen}");
    for text in [
        "A number from 1 to 2 is needed.",
        "Something is needed here.",
        "the cloud refuses the credentials",
        "Once more:",
        "This `mqtt://no name` is no URL",
    ] {
        assert!(seen.contains(text), "{text} in {seen}");
    }
    let written = fs::read_to_string(folder.path().join("c.toml")).unwrap();
    assert!(written.contains(&format!("\nurl = \"mqtt://{broker}\"\n")), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_yet_costs_no_answers() {
    let cloud = cloud().await;
    let flags = format!("--url {} --device-type tank", cloud.sigfox_v2_url());
    for (answer, is_written) in [("", false), ("yes", true)] {
        let folder = tempfile::tempdir().unwrap();
        let login = "5f0000000000000000000a91";
        let typed = ["1", login, "simulated", "mqtt://127.0.0.1:9", "", answer];
        let (is_done, seen) = at_terminal(folder.path(), &flags, &typed);
        assert!(seen.contains("the broker was tried: no connection to 127.0.0.1:9"), "{seen}");
        assert!(seen.contains("Write it all the same? [no]"), "{seen}");
        assert_eq!((is_done, folder.path().join("c.toml").exists()), (is_written, is_written), "{seen}");
    }
}

#[test]
fn the_unedited_file_of_the_package_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sigfox2mqtt.toml");
    fs::copy(shipped, folder.path().join("c.toml")).unwrap();
    let (is_done, seen) = at_terminal(folder.path(), "", &[]);
    assert!(!is_done);
    assert!(
        seen.contains("is the package's own, and init never overwrites: move it away (`sudo mv "),
        "{seen}"
    );
}

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

/// Runs `init` at a terminal (that of util-linux's `script`), where these lines are typed; gives what it showed.
fn at_terminal(folder: &Path, flags: &str, typed: &[&str]) -> String {
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
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    shown
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
        let seen = at_terminal(folder.path(), &flags, &typed);
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

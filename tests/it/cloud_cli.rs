//! `cloud …` as a program: exit codes, sentences, and the three forms of an answer.

use std::process::Output;

use serde_json::{Value, json};

use crate::cloud_mock::{Fault, MockCloud, World, message};
use crate::cloud_soracom::{Account, MockSoracom, device};
use crate::support::daemon::{Gateway, command};

const TYPE: &str = "5f0000000000000000000001";

/// A gateway with a Sigfox and a Soracom source.
struct Clouds {
    sigfox: MockCloud,
    soracom: MockSoracom,
    gateway: Gateway,
}

impl Clouds {
    async fn start() -> Self {
        let messages =
            (0..250).map(|n| message("1A2B", 1_789_000_000_000 + i64::from(n), n, "0102")).collect();
        let sigfox = MockCloud::start(World {
            types: vec![
                json!({ "id": TYPE, "name": "tank", "payloadType": 3, "payloadConfig": "a::uint:8" }),
            ],
            devices: vec![
                json!({ "id": "1A2B", "name": "Tank 3", "deviceType": { "id": TYPE }, "state": 0 }),
            ],
            messages: [(TYPE.to_owned(), messages)].into(),
            ..World::default()
        })
        .await;
        let account = Account { devices: vec![device("7BFD29", None)], ..Account::default() };
        let soracom = MockSoracom::start(account).await;
        let gateway = Gateway::new(&format!(
            "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n\
             [sources.factory]\nkind = \"sigfox\"\nurl = \"{}\"\nlogin = \"login\"\npassword = \"secret\"\n\
             [sources.japan]\nkind = \"soracom\"\nurl = \"{}\"\nauth_key_id = \"keyId-1\"\nauth_key = \"secret\"\n",
            sigfox.url(),
            soracom.url()
        ));
        Self { sigfox, soracom, gateway }
    }

    async fn call(&self, line: &str) -> Output {
        let mut command = command(&self.gateway.configuration());
        command.arg("cloud").args(line.split(' '));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn json(&self, line: &str) -> Value {
        let output = self.call(line).await;
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_a_hundred_rows_or_as_many_as_are_wanted() {
    let clouds = Clouds::start().await;
    let line = format!("sigfox device-types messages {TYPE}");
    for (options, rows) in
        [(" --json", 100), (" --json --limit 7", 7), (" --json --all", 250), (" --raw --all", 250)]
    {
        let listed = clouds.json(&format!("{line}{options}")).await;
        // A border of pages brings a row twice rather than never.
        let unique: std::collections::BTreeSet<String> =
            listed.as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(unique.len(), rows, "{options}");
    }
    let table = clouds.call(&format!("{line} --limit 1")).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("DEVICE") && table.contains("1A2B") && table.lines().count() == 2, "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_form_is_typed_and_the_raw_one_is_the_clouds() {
    let clouds = Clouds::start().await;
    let ours = clouds.json("sigfox device-types list --json").await;
    assert_eq!(ours.pointer("/0/payload/grammar"), Some(&json!("a::uint:8")));
    let raw = clouds.json("sigfox device-types list --raw").await;
    assert_eq!(raw.pointer("/0/payloadConfig"), Some(&json!("a::uint:8")));
    let soracom = clouds.json("soracom devices get 7BFD29 --json").await;
    assert_eq!(soracom.pointer("/name"), Some(&json!("device 7BFD29")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_one_sentence_that_names_what_was_asked_for() {
    let clouds = Clouds::start().await;
    for (line, sentence) in [
        ("sigfox devices get FFFF", "sigfox2mqtt: device FFFF not found\n"),
        ("soracom devices get FFFF", "sigfox2mqtt: device FFFF not found\n"),
        (
            "sigfox devices network-state 1A2B",
            "sigfox2mqtt: devices network-state does not exist in the Sigfox API v2; \
             `devices get --raw` tells `state` and `comState`\n",
        ),
        (
            "soracom devices terminate 7BFD29",
            "sigfox2mqtt: terminating device 7BFD29 cannot be undone: say --yes to do it without being asked\n",
        ),
        (
            "sigfox groups list --source japan",
            "sigfox2mqtt: the configuration has no source `japan` of kind sigfox\n",
        ),
    ] {
        let output = clouds.call(line).await;
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr)),
            (Some(1), sentence.into()),
            "{line}"
        );
        assert!(output.stdout.is_empty(), "{line}");
    }
    clouds.sigfox.change(|world| world.faults = vec![("/device-types", Fault::Status(401))]);
    let output = clouds.call("sigfox device-types list").await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("login and password") && !said.contains("secret"),
        "{said}"
    );
    assert_eq!(clouds.soracom.count("terminate"), 0);
    assert_eq!(clouds.call("sigfox devices get XYZ").await.status.code(), Some(2));
}

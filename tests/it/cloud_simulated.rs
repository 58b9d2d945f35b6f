//! Every call of the tables in `docs/cloud-api.md` that the Sigfox clouds and Soracom have, against the simulated ones:
//! each is answered, and its answer is read.

use std::process::Output;

use sigfox2mqtt::clock;
use sigfox2mqtt::simulate::{Callback, CallbackKind, Device, DeviceType, Options, Simulator, Uplink, World};

use crate::cloud_calls::{IDENTIFIERS, table};
use crate::support::daemon::{Gateway, command};

const TYPE: &str = "5f0000000000000000000001";
const CALLBACK: &str = "5f00000000000000000000c1";
const DEVICE: &str = "1A2B3C";
/// A callback as both versions take it.
const JSON: &str = r#"{"channel":"URL","callbackType":0,"callbackSubtype":2,"enabled":true,"url":"http://127.0.0.1:9/x","httpMethod":"POST"}"#;

/// What must have been done before a call is permitted.
const BEFORE: [(&str, &str); 2] = [
    ("soracom devices terminate", "soracom devices enable-termination ID"),
    ("soracom devices delete-tag", "soracom devices put-tags ID TAG=x"),
];

fn world() -> World {
    let callback = Callback::post(CALLBACK, CallbackKind::Bidir, "http://127.0.0.1:9/", None);
    let now = clock::now();
    let id = DEVICE.parse().unwrap();
    World::new(1)
        .with_type(DeviceType::new(TYPE, "tank").callback(callback))
        .with_device(Device::new(id, TYPE).soracom())
        .with_uplink(Uplink::new(id, now, 7, "0102".parse().unwrap()))
}

/// A line of the tables with the identifiers of this world.
fn spelled(line: &str, secret: &str) -> String {
    // A device is registered that is not there yet.
    let line = line.replace("register ID", "register 7BFFFF").replace("JSON", JSON);
    let line = IDENTIFIERS.iter().fold(line, |line, (name, value)| line.replace(name, value));
    line.replace("FILE", secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_tables_is_answered_by_the_simulated_clouds() {
    let options = Options { rate_limits: false, ..Options::default() };
    let cloud = Simulator::start(world(), options).await.unwrap();
    let sigfox = "kind = \"sigfox\"\nlogin = \"5f0000000000000000000a91\"\npassword = \"simulated\"";
    let gateway = Gateway::new(&format!(
        "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n\
         [sources.new]\n{sigfox}\nurl = \"{}\"\n[sources.old]\n{sigfox}\napi = \"v1\"\nurl = \"{}\"\n\
         [sources.japan]\nkind = \"soracom\"\nauth_key_id = \"keyId-simulated\"\nauth_key = \"secret-simulated\"\nurl = \"{}\"\n",
        cloud.sigfox_v2_url(),
        cloud.sigfox_v1_url(),
        cloud.soracom_url(),
    ));
    let secret = gateway.data().parent().unwrap().join("secret");
    std::fs::write(&secret, "PAC").unwrap();
    let run = |line: &str| {
        let mut command = command(&gateway.configuration());
        let line = spelled(line, secret.to_str().unwrap());
        command.arg("cloud").args(line.split(' ')).args(["--yes", "--json"]);
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let sigfox = table("API v2");
    let versions = [("new", 1), ("old", 2)];
    let of_sigfox = sigfox.iter().flat_map(|row| {
        let has = |(_, column): &(&str, usize)| row[*column] != "–";
        versions.into_iter().filter(has).map(|(source, _)| format!("sigfox {} --source {source}", row[0]))
    });
    let of_soracom = table("request").into_iter().map(|row| format!("soracom {}", row[0]));
    let mut called = 0;
    for line in of_sigfox.chain(of_soracom) {
        cloud.world(|fresh| *fresh = world());
        for (_, first) in BEFORE.iter().filter(|(call, _)| line.starts_with(call)) {
            assert!(run(first).await.status.success(), "{first}");
        }
        let Output { status, stdout, stderr } = run(&line).await;
        assert!(status.success(), "{line}: {}", String::from_utf8_lossy(&stderr));
        let is_json = serde_json::from_slice::<serde_json::Value>(&stdout).is_ok();
        assert!(is_json || stdout.starts_with(b"done"), "{line}: {}", String::from_utf8_lossy(&stdout));
        called += 1;
    }
    assert!(called > 70, "{called}");
}

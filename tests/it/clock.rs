//! A machine without a clock of its own: nothing is judged by it before it is set.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::daemon::{Gateway, command};
use crate::support::eventually;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::subscriber::Subscriber;

/// Where Debian's package `faketime` keeps what a program is told the time by.
const FAKE: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The program by a clock that stands where a Raspberry Pi's begins.
fn unset(configuration: &Path) -> Command {
    let mut command = command(configuration);
    command.env("LD_PRELOAD", FAKE).env("FAKETIME", "@1970-01-01 00:00:10");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_or_taken_before_the_clock_is_set() {
    if !Path::new(FAKE).exists() {
        return;
    }
    let broker = Mosquitto::start().await;
    let watch = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let gateway = Gateway::new(&format!(
        "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{}\"\n[sources.a]\nkind = \"sigfox\"\n\
         url = \"http://127.0.0.1:{}\"\nlogin = \"l\"\npassword = \"p\"\npoll = \"1s\"\n[devices.2C]\nname = \"a\"\n",
        broker.url(),
        free_port()
    ));
    let daemon = gateway.start_as(unset(&gateway.configuration()));
    daemon.logged("the clock is not set").await;
    daemon.logged("gateway ready").await;
    watch.publish("sigfox2mqtt/device/2C/downlink/push", r#"{"id":"x","data":"0123456789abcdef"}"#);
    eventually("the refusal", || {
        let events = watch.on("/event/downlink");
        events.iter().any(|event| event.json()["reason"].to_string().contains("clock_not_set"))
    })
    .await;
    let source = watch.until("bridge/sources/a", 1).await;
    assert_eq!(source.last().unwrap().json()["requests"], json!(0));
    let waits = |text: &str| text.contains("waiting until it is set");
    eventually("what the source says", || {
        watch.on("bridge/sources/a").last().is_some_and(|source| waits(&source.json()["error"].to_string()))
    })
    .await;
    assert_eq!(daemon.terminate().await.code(), Some(0));

    let doctor = unset(&gateway.configuration()).arg("doctor").output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("FAIL  clock") && said.contains("timedatectl set-ntp true"), "{said}");
}

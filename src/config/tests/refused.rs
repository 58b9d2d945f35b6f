//! What is refused, and what is said about it.

use std::fs;

use proptest::prelude::{Strategy, prop, proptest};

use super::{HEAD, environment, parse_with, problems};
use crate::config::Config;

const BROKEN: &str = r#"version = 1
colour = "red"

[gateway]
id = "My Gateway"

[mqtt]
url = "htp://broker"
protocol = 6
pasword = "hunter2"
password = 5
max_inflight = "many"
base = "a//b"
cert_file = "client.pem"
requests = ["helth"]

[mqtt.discovery]
mode = "maybe"

[sources.Factory]
kind = "sigfox"
api = "v3"
password = "hunter2"
password_file = "gone"
poll = "soon"
locations = "61 * * * * *"
rate = "fast"
auth_key_id = "keyId-1"
devices = ["1A2B3C", "XYZ"]
downlink = "callback"

[sources.japan]
kind = "soracom"
auth_key_id = "keyId-1"
downlink = "direct"

[devices.XYZ]
name = ""

[devices.1A2B3C]
[devices.001a2b3c]

[decoders.level]
dialect = "soracom"

[decoders.both]
format = "a::uint:8"
builtin = "text"

[store]
keep = 400
max_size = "1KB"

[http]
listen = "0.0.0.0:8080"
tls_cert_file = "/etc/hostname"

[sparkplug]
group = "a/b"
"#;

#[test]
fn all_problems_come_out_at_once_each_with_its_place_and_what_would_be_right() {
    insta::assert_snapshot!(problems(BROKEN).join("\n"));
}

#[test]
fn single_faults_are_said_in_words() {
    for (text, said) in [
        ("", "c.toml:1:1: version: is missing, expected `version = 1`"),
        (
            "version = 2\nnew = 1\n",
            "c.toml:1:11: version: 2 is newer than this program, which reads version 1: upgrade sigfox2mqtt",
        ),
        ("version = \"1\"\n[sources]\n", "c.toml:1:11: version: is text, expected a whole number from 0 on"),
        (
            "version = 1\n",
            "c.toml:1:1: sources: is missing, expected at least one table such as [sources.factory]",
        ),
        ("version = 1\nsources = 3\n", "c.toml:2:1: sources: is a value, expected a table"),
        ("version = 1\n[mqqt]\n", "c.toml:2:2: mqqt: is not a known key, did you mean `mqtt`?"),
    ] {
        let problems = problems(text);
        assert!(problems.iter().any(|line| line == said), "{problems:#?}");
    }
}

#[test]
fn what_the_decoders_find_wrong_has_its_place_too() {
    let text = format!(
        "{HEAD}[device_types.\"Tank v1.2\"]\ndecoder = \"levle\"\n[decoders.level]\nformat = \"level::uint:65\"\n\
         [decoders.\"v1.2\"]\nbuiltin = \"nothing\"\n"
    );
    let problems = problems(&text);
    for (line, place) in problems.iter().zip([
        "c.toml:7:11: device_types.\"Tank v1.2\".decoder: ",
        "c.toml:9:10: decoders.level.format: ",
        "c.toml:11:11: decoders.\"v1.2\".builtin: ",
    ]) {
        assert!(line.starts_with(place), "{problems:#?}");
    }
    assert_eq!(problems.len(), 3, "{problems:#?}");
}

#[test]
fn a_problem_of_a_variable_names_the_variable() {
    for (variable, value, said) in [
        (
            "SIGFOX2MQTT__MQTT__PROTOCOL",
            "3",
            "SIGFOX2MQTT__MQTT__PROTOCOL: mqtt.protocol: 3 is out of range, expected 4 or 5",
        ),
        (
            "SIGFOX2MQTT__MQTT__ULR",
            "x",
            "SIGFOX2MQTT__MQTT__ULR: mqtt.ulr: is not a known key, did you mean `url`?",
        ),
        (
            "SIGFOX2MQTT__MQTT",
            "x",
            "SIGFOX2MQTT__MQTT: mqtt: is a table, expected the variable to name a key of it",
        ),
    ] {
        let problems = parse_with(HEAD, &[(variable, value)]).unwrap_err();
        assert!(problems.lines().any(|line| line == said), "{problems}");
    }
}

#[test]
fn a_fault_of_syntax_calls_nothing_missing() {
    let problems = problems("version = 1\n[sources.a\nkind = \"sigfox\"\n");
    assert!(!problems.is_empty() && problems.iter().all(|line| line.contains(": syntax: ")), "{problems:#?}");
}

#[test]
fn files_that_are_no_configuration_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("large"), vec![b'#'; 10_000_000]).unwrap();
    fs::write(path("binary"), b"version = 1\n# \xFF").unwrap();
    for (name, said) in [
        ("large", "large: is larger than 1 MiB"),
        ("binary", "binary:2:3: syntax: this is no UTF-8"),
        ("missing", "missing: is not there"),
        (".", "/.: cannot be read"),
    ] {
        let problems = Config::load(&path(name), &environment(&[])).unwrap_err().to_string();
        assert!(problems.contains(said), "{problems}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop::collection::vec(line(), 0..12)) {
        let text = text.join("\n");
        if let Err(problems) = parse_with(&text, &[]) {
            assert!(!problems.is_empty(), "{text}");
        }
    }

    #[test]
    fn no_variable_makes_it_panic(name in "[A-Z_]{0,20}", value in ".{0,20}") {
        let variable = format!("SIGFOX2MQTT__{name}");
        if let Err(problems) = parse_with(HEAD, &[(&variable, &value)]) {
            assert!(problems.lines().all(|line| line.starts_with(&variable)), "{problems}");
        }
    }
}

/// Lines that look like a configuration's, with anything as values.
fn line() -> impl Strategy<Value = String> {
    let key = "(version|url|kind|api|login|password|poll|rate|listen|format|devices|x\\.y)";
    let table =
        "(sources\\.a|mqtt|mqtt\\.discovery|http|devices\\.1A|decoders\\.d|sparkplug|mirrors\\.m|store|zzz)";
    let value = "(1|2|true|\"sigfox\"|\"soracom\"|\"v2\"|\"30s\"|\"1/s\"|\\[\\]|\\[\"a\"\\]|\\{a=1\\}|\"[^\"\\\\]{0,8}\"|.{0,8})";
    proptest::prop_oneof![
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        table.prop_map(|table| format!("[{table}]")),
        ".{0,20}".prop_map(|text| text),
    ]
}

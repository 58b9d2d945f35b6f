//! `check`, `config` and the exit codes of the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const GOOD: &str = "version = 1\n[mqtt]\nusername = \"u\"\npassword = \"hunter2\"\n[sources.factory]\nkind = \"sigfox\"\nlogin = \"l\"\npassword_file = \"factory-password\"\n";

const BAD: &str = "version = 1\n[mqtt]\nprotocol = 6\npasword = \"hunter2\"\n[sources.factory]\nkind = \"sigfox\"\npassword = 12345\n";

/// A folder with a configuration and the password file that the good one names.
fn folder(configuration: &str, mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, configuration).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let secret = folder.path().join("factory-password");
    fs::write(&secret, "hunter3\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// The program in a folder; nothing of the tests' own environment reaches it but what a shell needs.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sigfox2mqtt"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    said(&program(folder, arguments).output().unwrap())
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let folder = folder(GOOD, 0o600);
    let (code, out, err) = run(folder.path(), &["--config", "config.toml", "check"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("config.toml: good"), "{out}");
}

#[test]
fn every_problem_is_one_line_with_its_place_and_the_exit_code_is_78() {
    let folder = folder(BAD, 0o600);
    for command in ["check", "config", "run"] {
        let (code, out, err) = run(folder.path(), &["--config", "config.toml", command]);
        assert_eq!((code, out.as_str()), (Some(78), ""), "{command}: {err}");
        let expected = [
            "config.toml:3:12: mqtt.protocol: 6 is out of range, expected 4 or 5",
            "config.toml:4:1: mqtt.pasword: is not a known key, did you mean `password`?",
            "config.toml:5:10: sources.factory.login: is missing, expected the login of the API's user",
            "config.toml:7:12: sources.factory.password: is a number, expected text in quotes",
        ];
        assert_eq!(err.lines().collect::<Vec<_>>(), expected, "{command}");
    }
}

#[test]
fn problems_are_also_to_be_had_as_json() {
    let folder = folder(BAD, 0o600);
    let (code, out, err) = run(folder.path(), &["check", "--json", "config.toml"]);
    assert_eq!((code, err.as_str()), (Some(78), ""));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["problems"][0]["line"], 3);
    assert_eq!(json["problems"][0]["column"], 12);
    assert_eq!(json["problems"][0]["key"], "mqtt.protocol");
}

#[test]
fn a_secret_that_others_may_read_is_warned_about() {
    let folder = folder(GOOD, 0o644);
    let (code, _, err) = run(folder.path(), &["check", "config.toml"]);
    assert_eq!(code, Some(0));
    assert!(err.starts_with("config.toml:4:12: mqtt.password: warning: "), "{err}");
}

#[test]
fn a_file_with_a_secret_that_others_may_read_is_warned_about() {
    let folder = folder(GOOD, 0o600);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let secret = folder.path().join("factory-password");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, err) = run(folder.path(), &["check", "config.toml"]);
    assert_eq!(code, Some(0));
    assert!(err.starts_with("config.toml:8:17: sources.factory.password_file: warning: "), "{err}");
}

#[test]
fn a_secret_that_others_may_read_is_refused_by_the_daemon() {
    let folder = folder(GOOD, 0o644);
    let (code, _, err) = run(folder.path(), &["--config", "config.toml", "run"]);
    assert_eq!(code, Some(78));
    assert!(
        err.starts_with("config.toml:4:12: mqtt.password: is a secret in a file that others may read"),
        "{err}"
    );
}

#[test]
fn the_configuration_is_found_by_option_variable_and_default() {
    let folder = folder(GOOD, 0o600);
    let with_variable =
        program(folder.path(), &["check"]).env("SIGFOX2MQTT_CONFIG", "config.toml").output().unwrap();
    assert_eq!(with_variable.status.code(), Some(0));
    let (code, _, err) = run(folder.path(), &["--config", "missing.toml", "check"]);
    assert_eq!(code, Some(78));
    assert!(err.starts_with("missing.toml: is not there"), "{err}");
}

#[test]
fn a_variable_of_the_environment_sets_a_key() {
    let folder = folder(GOOD, 0o600);
    let mut command = program(folder.path(), &["--config", "config.toml", "config", "--json"]);
    let (code, out, err) =
        said(&command.env("SIGFOX2MQTT__MQTT__URL", "mqtts://broker:8883").output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["mqtt"]["url"], "mqtts://broker:8883");
    assert_eq!(json["mqtt"]["password"], "***");
    assert_eq!(json["sources"]["factory"]["poll"], "30s");
    let mut command = program(folder.path(), &["--config", "config.toml", "check"]);
    let (code, _, err) = said(&command.env("SIGFOX2MQTT__MQTT__URL", "htp://broker").output().unwrap());
    assert_eq!(code, Some(78));
    assert!(err.starts_with("SIGFOX2MQTT__MQTT__URL: mqtt.url: "), "{err}");
}

#[test]
fn no_command_prints_a_secret() {
    for configuration in [GOOD, BAD] {
        let folder = folder(configuration, 0o644);
        for arguments in [&["check"][..], &["check", "--json"], &["config"], &["config", "--json"]] {
            let mut arguments = arguments.to_vec();
            arguments.extend(["--config", "config.toml"]);
            let (_, out, err) = run(folder.path(), &arguments);
            for secret in ["hunter2", "hunter3", "12345"] {
                assert!(!out.contains(secret) && !err.contains(secret), "{arguments:?}\n{out}{err}");
            }
        }
    }
}

#[test]
fn wrong_usage_ends_with_2_and_help_and_version_with_0() {
    let folder = folder(GOOD, 0o600);
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["help", "check"], 0),
        (&["config", "schema"], 0),
        (&[], 2),
        (&["chekc"], 2),
        (&["check", "--jsno"], 2),
        (&["--config"], 2),
    ] {
        assert_eq!(run(folder.path(), arguments).0, Some(code), "{arguments:?}");
    }
}

#[test]
fn help_on_every_level_has_an_example() {
    let folder = folder(GOOD, 0o600);
    let mut levels = vec![Vec::new()];
    while let Some(level) = levels.pop() {
        let mut arguments: Vec<&str> = level.iter().map(String::as_str).collect();
        arguments.push("--help");
        let (code, out, _) = run(folder.path(), &arguments);
        assert_eq!(code, Some(0), "{level:?}");
        assert!(out.contains("Example"), "{level:?}\n{out}");
        let commands =
            out.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        for command in commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let name = command.split_whitespace().next().unwrap().to_owned();
            if name != "help" {
                levels.push(level.iter().cloned().chain([name]).collect());
            }
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = folder(GOOD, 0o600);
    let mut child = program(folder.path(), &["config", "schema"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

//! `decode` as people type it, and every example of its guide.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

const GUIDE: &str = include_str!("../../docs/decoders.md");

fn sigfox2mqtt(arguments: &[String], config: &Path) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_sigfox2mqtt")).args(arguments).env("SIGFOX2MQTT_CONFIG", config).output()
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

/// A command of the guide: words between blanks, quoted with `'` where they hold blanks.
fn split(command: &str) -> Vec<String> {
    let pieces = command.split('\'').zip([false, true].into_iter().cycle());
    let words = pieces
        .flat_map(|(piece, quoted)| if quoted { vec![piece] } else { piece.split_whitespace().collect() });
    words.map(str::to_owned).collect()
}

/// The blocks of the guide that are marked so.
fn blocks(mark: &str) -> Vec<String> {
    let parts = GUIDE.split("```").collect::<Vec<_>>();
    let marked = parts.iter().filter_map(|part| part.strip_prefix(mark)?.strip_prefix('\n'));
    marked.map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_guide_prints_what_the_guide_says() {
    let nowhere = Path::new("/nonexistent/config.toml");
    let consoles = blocks("console");
    assert!(consoles.len() >= 6);
    for block in consoles {
        let (command, expected) = block.split_once('\n').unwrap();
        let arguments = split(command.strip_prefix("$ sigfox2mqtt ").expect(command));
        let output = sigfox2mqtt(&arguments, nowhere).unwrap();
        let printed = [output.stdout, output.stderr].concat();
        assert_eq!(String::from_utf8_lossy(&printed), expected, "{command}");
    }
}

#[test]
fn every_configuration_of_the_guide_is_good_and_its_vectors_hold() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vendor.js"), "function decodeUplink(i) { return { data: {} } }").unwrap();
    let tomls = blocks("toml");
    assert!(tomls.len() >= 5);
    for block in tomls {
        let file = folder.path().join("file.toml");
        let arguments = if block.contains("[[uplink]]") {
            fs::write(&file, &block).unwrap();
            words(&["decode", "test", file.to_str().unwrap()])
        } else {
            let source = "version = 1\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n";
            fs::write(&file, format!("{source}{block}")).unwrap();
            words(&["check", file.to_str().unwrap()])
        };
        let output = sigfox2mqtt(&arguments, &file).unwrap();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_wrong_ends_with_the_right_code() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.toml");
    fs::write(&wrong, "[[uplink]]\nformat = \"a::uint:8\"\ndata = \"01\"\nfields = { a = 2 }\n").unwrap();
    let nowhere = folder.path().join("config.toml");
    for (arguments, code, said) in [
        (vec!["decode", "--format", "a::uint:8", "01"], 0, "a      1"),
        (vec!["decode", "--format", "a::uint:8", ""], 0, "error: `a` is missing"),
        (vec!["decode", "--format", "a::uint:65", "01"], 1, "column 9: `65`"),
        (vec!["decode", "--format", "a::uint:8", "0g"], 1, "column 2: `g`"),
        (vec!["decode", "--format", "a::uint:8", "010"], 1, "half a byte at column 3"),
        (vec!["decode", "--decoder", "nobodys", "01"], 1, "there is no decoder `nobodys`"),
        (vec!["decode", "--format", "a::uint:8"], 2, "<HEX>"),
        (vec!["decode", "01"], 2, "--format"),
        (vec!["decode", "--format", "a::uint:8", "--decoder", "hex", "01"], 2, "cannot be used"),
        (vec!["decode", "--device", "1A2B3C", "01"], 78, "config.toml"),
        (vec!["decode", "test", wrong.to_str().unwrap()], 1, "`a` is 1 (expected 2)"),
    ] {
        let output = sigfox2mqtt(&words(&arguments), &nowhere).unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(printed.contains(said), "{arguments:?}: {printed}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
    }
}

#[test]
fn a_device_is_decoded_by_its_own_decoder() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let text = format!(
        "version = 1\n[gateway]\ndata_dir = {:?}\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n\
         [decoders.level]\nformat = \"level::uint:16:/100\"\n[devices.1A2B3C]\ndecoder = \"level\"\n",
        folder.path().join("data")
    );
    fs::write(&config, text).unwrap();
    let output = sigfox2mqtt(&words(&["decode", "--device", "1a2b3c", "--json", "007b"]), &config).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"fields\":{\"level\":1.23},\"errors\":[]}\n");
    let output = sigfox2mqtt(&words(&["decode", "--device", "FF", "007b"]), &config).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

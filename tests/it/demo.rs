//! `demo` and `simulate` as a person runs them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A command whose output is read line by line; killed when dropped.
struct Shown {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Shown {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sigfox2mqtt"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first line from here on that holds all of these.
    fn line_with(&mut self, parts: &[&str]) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
            assert!(Instant::now() < until, "waited in vain for a line with {parts:?}");
        }
        panic!("the output ended before a line with {parts:?}");
    }

    /// Its exit code after SIGTERM.
    fn terminated(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _no_zombie = self.child.wait();
    }
}

/// The command of the demo's text that begins so, as its words; quotes as a shell takes them.
fn command(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.trim().chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

#[test]
fn the_demo_shows_decoded_values_sends_a_downlink_by_its_own_words_and_ends_with_zero() {
    let mut demo = Shown::start(&["demo"]);
    let push = command(&demo.line_with(&["mosquitto_pub", "/downlink/push"]));
    assert!(demo.line_with(&["http://127.0.0.1:"]).trim().ends_with("/readyz"));
    demo.line_with(&["temperature ", "battery_voltage "]);
    assert!(Command::new(&push[0]).args(&push[1..]).status().unwrap().success(), "{push:?}");
    for state in ["queued", "armed", "sent"] {
        demo.line_with(&["downlink", "0123456789abcdef", state]);
    }
    demo.line_with(&["housing ", "light "]);
    assert_eq!(demo.terminated(), Some(0));
}

#[test]
fn the_simulator_prints_sources_that_check_accepts() {
    let mut simulator = Shown::start(&["simulate", "--listen", "127.0.0.1:0", "--devices", "3"]);
    let mut text = "version = 1\n".to_owned();
    while !text.contains("client_secret =") {
        text.push_str(&simulator.line_with(&[]));
        text.push('\n');
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let checked = crate::support::daemon::command(&file).arg("check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert_eq!(simulator.terminated(), Some(0));
}

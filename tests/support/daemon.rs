//! The release or debug binary as a process, with its configuration and data in a temporary folder.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::eventually;

/// A gateway on this machine: its folder outlives its process, so that it can be started again.
pub(crate) struct Gateway {
    folder: TempDir,
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Gateway {
    /// A gateway with this configuration; `{data}` in it stands for its data folder.
    pub(crate) fn new(configuration: &str) -> Self {
        let gateway = Self { folder: tempfile::tempdir().unwrap() };
        gateway.configure(configuration);
        gateway
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, configuration: &str) {
        let text = configuration.replace("{data}", self.data().to_str().unwrap());
        let file = self.configuration();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the daemon. Its log begins anew.
    pub(crate) fn start(&self) -> Daemon {
        self.start_as(command(&self.configuration()))
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_with(&self, environment: &[(&str, &Path)]) -> Daemon {
        let mut command = command(&self.configuration());
        command.envs(environment.iter().copied());
        self.start_as(command)
    }

    /// Starts the daemon by a command of the test's own.
    pub(crate) fn start_as(&self, mut command: Command) -> Daemon {
        let log = self.folder.path().join("log");
        let child = command
            .args(["--log", "warn,sigfox2mqtt=debug", "run"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Daemon { child, log }
    }
}

/// The program with a configuration, as a person would call it.
pub(crate) fn command(configuration: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sigfox2mqtt"));
    command.arg("--config").arg(configuration).env("NO_COLOR", "1");
    command
}

/// The address that a daemon says in its log that it listens on.
pub(crate) fn address_in(log: &str) -> SocketAddr {
    let line = log.lines().find(|line| line.contains("listening for http")).unwrap();
    let (_, rest) = line.split_once("address=").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

impl Daemon {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a text in its log.
    pub(crate) async fn logged(&self, text: &str) {
        let limit = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(text) {
            assert!(Instant::now() < limit, "waited in vain for `{text}` in the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The address that it listens on, which it logs as `address=…` when it does.
    pub(crate) async fn address(&self) -> SocketAddr {
        self.logged("listening for http").await;
        address_in(&self.log())
    }

    /// Ends it like a loss of power ends a process.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to read its configuration again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal("-TERM");
        let mut status = None;
        eventually("the daemon's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already ended is as good as killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

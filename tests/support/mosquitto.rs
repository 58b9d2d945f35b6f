//! A real mosquitto on a free port, with a configuration of its own, ended with its test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;

/// A broker; killed when dropped.
pub(crate) struct Mosquitto {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// A broker that lets everybody in and keeps nothing over a restart.
    pub(crate) async fn start() -> Self {
        Self::with("allow_anonymous true\n").await
    }

    /// A broker with these lines in its configuration; `{folder}` in them is a folder of its own.
    pub(crate) async fn with(lines: &str) -> Self {
        Self::with_files(lines, &[]).await
    }

    /// A broker with these lines in its configuration, and these files in its folder.
    pub(crate) async fn with_files(lines: &str, files: &[(&str, &str)]) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let lines = lines.replace("{folder}", folder.path().to_str().unwrap());
        // As whoever runs the test: as root it would change to a user that cannot read the folder.
        let text = format!("user root\nlistener {port} 127.0.0.1\nmax_queued_messages 100000\n{lines}");
        fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Self { folder, port, child: None };
        broker.begin().await;
        broker
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Kills it: sessions and whatever was not saved are gone, clients see the connection break.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, on the same port.
    pub(crate) async fn begin(&mut self) {
        // Debian keeps it where only root's PATH looks.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new("mosquitto")
            .env("PATH", path)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let port = self.port;
        eventually("mosquitto to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).await;
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of loopback that nobody has; somebody could take it before it is used, which has not been seen.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

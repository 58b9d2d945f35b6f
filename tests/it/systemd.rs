//! What the service manager is told, by a socket of the test's, and what the journal gets.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::daemon::{Gateway, command};
use crate::support::mosquitto::{Mosquitto, free_port};

/// A gateway that runs as a service would.
struct Service {
    gateway: Gateway,
    notices: UnixDatagram,
    child: Child,
    _folder: TempDir,
}

impl Service {
    /// Starts it with this broker, a source whose cloud is away, and a watchdog of so many milliseconds.
    fn start(broker: &str, watchdog_ms: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let notices = UnixDatagram::bind(&socket).unwrap();
        notices.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let gateway = Gateway::new(&format!(
            "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{broker}\"\n[sources.a]\n\
             kind = \"sigfox\"\nurl = \"http://127.0.0.1:{}\"\nlogin = \"l\"\npassword = \"p\"\n\
             poll = \"*/30 * * * * *\"\n",
            free_port()
        ));
        let child = command(&gateway.configuration())
            .arg("run")
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", (watchdog_ms * 1000).to_string())
            .env("JOURNAL_STREAM", "1:2")
            .stdin(Stdio::null())
            .stderr(File::create(gateway.configuration().with_file_name("log")).unwrap())
            .spawn()
            .unwrap();
        Self { gateway, notices, child, _folder: folder }
    }

    /// The next notice, but for those that feed the watchdog.
    fn notice(&self) -> String {
        loop {
            let notice = self.any_notice();
            if notice != "WATCHDOG=1" {
                return notice;
            }
        }
    }

    fn any_notice(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.notices.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.gateway.configuration().with_file_name("log")).unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Already ended is as good as killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_of_every_turn() {
    let broker = Mosquitto::start().await;
    let mut service = Service::start(&broker.url(), 2_000);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    assert!(service.log().contains("connected to the broker"), "{}", service.log());
    for _ in 0..3 {
        assert_eq!(service.any_notice(), "WATCHDOG=1");
    }
    service.signal("-HUP");
    let reloading = service.notice();
    let (first, at) = reloading.split_once("\nMONOTONIC_USEC=").unwrap();
    assert!(first == "RELOADING=1" && at.parse::<u64>().is_ok(), "{reloading}");
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    service.signal("-TERM");
    assert_eq!(service.notice(), "STOPPING=1\nSTATUS=stopping");
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    for line in service.log().lines() {
        let priority = line.get(..3).unwrap_or_default();
        assert!(["<3>", "<4>", "<6>"].contains(&priority), "no priority: {line}");
    }
}

#[tokio::test]
async fn a_broker_that_is_away_does_not_hold_up_the_start_once_that_is_known() {
    let service = Service::start(&format!("mqtt://127.0.0.1:{}", free_port()), 60_000);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    assert!(service.log().contains("no connection to the broker"), "{}", service.log());
}

#[tokio::test]
async fn nothing_is_ready_while_nobody_knows_whether_the_broker_is_there() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start(&format!("mqtt://{}", silent.local_addr().unwrap()), 60_000);
    let (client, _) = silent.accept().unwrap();
    assert!(service.log().contains("gateway begins") && !service.log().contains("gateway ready"));
    drop(client);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    assert!(service.log().contains("no connection to the broker"), "{}", service.log());
}

//! What the service manager is told, by a socket of the test's, and what the journal gets.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::daemon::{Gateway, address_in, command};
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::shim::{Shim, Step};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// As often the watchdog wants to be fed where a part is held still; that is noticed after five seconds.
const WATCHDOG: Duration = Duration::from_millis(500);

/// A gateway that runs as a service would.
struct Service {
    gateway: Gateway,
    shim: Shim,
    cloud: u16,
    notices: UnixDatagram,
    child: Child,
    _folder: TempDir,
}

impl Service {
    /// Starts it with this broker, a source whose cloud is away, and this watchdog. The source's
    /// password is a credential.
    fn start(broker: &str, watchdog: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let notices = UnixDatagram::bind(&socket).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        fs::write(folder.path().join("cloud-password"), "p\n").unwrap();
        let cloud = free_port();
        let gateway = Gateway::new(&format!(
            "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[mqtt]\nurl = \"{broker}\"\n[sources.a]\n\
             kind = \"sigfox\"\nurl = \"http://127.0.0.1:{cloud}\"\nlogin = \"l\"\n\
             password_file = \"cloud-password\"\npoll = \"*/2 * * * * *\"\ncallback_token = \"token\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n",
        ));
        let shim = Shim::new(&gateway.data());
        let child = command(&gateway.configuration())
            .arg("run")
            .envs(shim.environment())
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .env("CREDENTIALS_DIRECTORY", folder.path())
            .env("JOURNAL_STREAM", "1:2")
            // A part that is held still takes a thread with it.
            .env("TOKIO_WORKER_THREADS", "4")
            .stdin(Stdio::null())
            .stderr(File::create(gateway.configuration().with_file_name("log")).unwrap())
            .spawn()
            .unwrap();
        Self { gateway, shim, cloud, notices, child, _folder: folder }
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

    /// Waits until the watchdog was not fed for twenty times as long as it may be.
    fn starves(&self, watchdog: Duration) {
        self.notices.set_read_timeout(Some(20 * watchdog)).unwrap();
        let begin = Instant::now();
        let mut buffer = [0; 64];
        while self.notices.recv(&mut buffer).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "fed all the time: {}", self.log());
        }
        self.notices.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// Waits until the watchdog is fed again.
    fn is_fed(&self) {
        assert_eq!(self.any_notice(), "WATCHDOG=1");
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
    let mut service = Service::start(&broker.url(), Duration::from_secs(2));
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    assert!(service.log().contains("connected to the broker"), "{}", service.log());
    for _ in 0..3 {
        service.is_fed();
    }
    let before = monotonic_us();
    service.signal("-HUP");
    let reloading = service.notice();
    let (first, at) = reloading.split_once("\nMONOTONIC_USEC=").unwrap();
    assert_eq!(first, "RELOADING=1");
    assert!((before..=monotonic_us()).contains(&at.parse().unwrap()), "{reloading}");
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    service.signal("-TERM");
    assert_eq!(service.notice(), "STOPPING=1\nSTATUS=stopping");
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    for line in service.log().lines() {
        let priority = line.get(..3).unwrap_or_default();
        assert!(["<3>", "<4>", "<6>"].contains(&priority), "no priority: {line}");
    }
}

/// What systemd compares `MONOTONIC_USEC` with (`sd_notify(3)`).
fn monotonic_us() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_ends_the_feeding_until_it_does() {
    let broker = Mosquitto::start().await;
    let service = Service::start(&broker.url(), WATCHDOG);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    service.is_fed();
    service.shim.hold(Step::Sync);
    let url = format!("http://{}/callback/a/uplink", address_in(&service.log()));
    let uplink = r#"{"device":"4D9A83","data":"17","time":1789000000,"seqNumber":1}"#;
    drop(rustls::crypto::ring::default_provider().install_default());
    let callback = reqwest::Client::new().post(url).bearer_auth("token").body(uplink);
    let mut asking = JoinSet::new();
    asking.spawn(callback.send());
    service.starves(WATCHDOG);
    if let Some(answer) = asking.try_join_next() {
        let status = answer.unwrap().unwrap().status();
        assert!(status.is_server_error(), "{status}: what is not on the disk is not acknowledged");
    }
    service.shim.disk(0, 0);
    service.is_fed();
}

#[tokio::test]
async fn a_connection_to_the_broker_that_stands_still_ends_the_feeding() {
    let port = free_port();
    let service = Service::start(&format!("mqtt://127.0.0.1:{port}"), WATCHDOG);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    service.is_fed();
    service.shim.hold_connects(port);
    service.starves(WATCHDOG);
    service.shim.hold_connects(0);
    service.is_fed();
}

#[tokio::test]
async fn a_source_that_stands_still_ends_the_feeding() {
    let broker = Mosquitto::start().await;
    let service = Service::start(&broker.url(), WATCHDOG);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    service.is_fed();
    service.shim.hold_connects(service.cloud);
    service.starves(WATCHDOG);
    service.shim.hold_connects(0);
    service.is_fed();
}

#[tokio::test]
async fn a_broker_that_is_away_does_not_hold_up_the_start_once_that_is_known() {
    let service = Service::start(&format!("mqtt://127.0.0.1:{}", free_port()), PATIENCE);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    assert!(service.log().contains("no connection to the broker"), "{}", service.log());
}

#[tokio::test]
async fn nothing_is_ready_while_nobody_knows_whether_the_broker_is_there() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start(&format!("mqtt://{}", silent.local_addr().unwrap()), PATIENCE);
    let (client, _) = silent.accept().unwrap();
    assert!(service.log().contains("gateway begins") && !service.log().contains("gateway ready"));
    drop(client);
    assert_eq!(service.notice(), "READY=1\nSTATUS=running");
    assert!(service.log().contains("no connection to the broker"), "{}", service.log());
}

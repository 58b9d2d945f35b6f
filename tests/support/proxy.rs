//! A TCP proxy that a test can make cruel: it cuts connections, swallows what goes through, or meddles with MQTT's
//! packets.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::io::{ErrorKind, Read as _, Write as _};

use super::puback::{Filter, Meddling};

/// A proxy to one address; closed when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    rules: Arc<Rules>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the proxy does to connections.
#[derive(Default)]
struct Rules {
    /// Connections are cut after so many milliseconds, more or less; 0: never.
    cut_after_ms: AtomicU64,
    cuts: AtomicU32,
    connections: AtomicU32,
    /// What the broker says is swallowed.
    is_deaf: AtomicBool,
    /// Nobody is let in any more.
    is_shut: AtomicBool,
    /// Whether what goes through is MQTT without TLS, to be meddled with.
    is_mqtt: bool,
    meddling: Meddling,
    /// What is lost, of requests with this text, and how often it was since.
    lost: Mutex<(Option<(Part, String)>, usize)>,
    is_closed: AtomicBool,
}

/// What is lost of an exchange over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Request,
    Answer,
}

/// When a connection is cut: its time runs from the broker's first word on, so that on a slow machine as well each
/// connection comes about before it is lost.
struct End {
    after: Option<Duration>,
    spoke: OnceLock<Instant>,
    /// Whether the request that is to be lost came over it.
    struck: AtomicBool,
}

impl Rules {
    /// Whether these bytes of a connection are lost.
    fn loses(&self, end: &End, bytes: &[u8], to_client: bool) -> bool {
        let (lost, count) = &mut *self.lost.lock().unwrap();
        let is_struck = || end.struck.load(Ordering::SeqCst);
        let of_exchange = match lost {
            Some((part, text)) => {
                if !to_client && bytes.windows(text.len()).any(|found| found == text.as_bytes()) {
                    end.struck.store(true, Ordering::SeqCst);
                }
                is_struck() && (*part == Part::Request || to_client)
            }
            None => is_struck(),
        };
        let is_lost = of_exchange || to_client && self.is_deaf.load(Ordering::SeqCst);
        *count += usize::from(is_lost);
        is_lost
    }
}

impl End {
    fn draw(mean_ms: u64) -> Self {
        let after = (mean_ms > 0).then(|| Duration::from_millis(mean_ms / 2 + fastrand::u64(0..=mean_ms)));
        Self { after, spoke: OnceLock::new(), struck: AtomicBool::new(false) }
    }

    fn has_come(&self) -> bool {
        self.after.zip(self.spoke.get()).is_some_and(|(after, spoke)| spoke.elapsed() > after)
    }
}

impl Proxy {
    pub(crate) fn start(target: u16) -> Self {
        Self::with(target, Rules::default())
    }

    /// A proxy that can meddle with acknowledgements.
    pub(crate) fn start_for_mqtt(target: u16) -> Self {
        Self::with(target, Rules { is_mqtt: true, ..Rules::default() })
    }

    fn with(target: u16, rules: Rules) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Arc::new(rules);
        let acceptor = std::thread::spawn({
            let rules = Arc::clone(&rules);
            move || {
                let mut pumps = Vec::new();
                for client in listener.incoming() {
                    if rules.is_closed.load(Ordering::SeqCst) {
                        break;
                    }
                    if rules.is_shut.load(Ordering::SeqCst) {
                        continue;
                    }
                    let (Ok(client), Ok(server)) =
                        (client, TcpStream::connect((Ipv4Addr::LOCALHOST, target)))
                    else {
                        continue;
                    };
                    rules.connections.fetch_add(1, Ordering::SeqCst);
                    let end = Arc::new(End::draw(rules.cut_after_ms.load(Ordering::SeqCst)));
                    for (from, to, to_client) in [(&client, &server, false), (&server, &client, true)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        let (rules, end) = (Arc::clone(&rules), Arc::clone(&end));
                        pumps.push(std::thread::spawn(move || pump(from, to, &end, to_client, &rules)));
                    }
                }
                for pump in pumps {
                    pump.join().unwrap();
                }
            }
        });
        Self { address, rules, acceptor: Some(acceptor) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a broker behind it.
    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Cuts each new connection after about so long; nothing: never.
    pub(crate) fn cut_after(&self, mean: Option<Duration>) {
        let milliseconds = mean.map_or(0, |mean| u64::try_from(mean.as_millis()).unwrap());
        self.rules.cut_after_ms.store(milliseconds, Ordering::SeqCst);
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> u32 {
        self.rules.connections.load(Ordering::SeqCst)
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> u32 {
        self.rules.cuts.load(Ordering::SeqCst)
    }

    /// What becomes of acknowledgements.
    pub(crate) fn meddling(&self) -> &Meddling {
        &self.rules.meddling
    }

    /// From now on requests with this text are lost, or the answers to them, and all that follows on their connections.
    pub(crate) fn lose(&self, part: Part, text: &str) {
        *self.rules.lost.lock().unwrap() = (Some((part, text.to_owned())), 0);
    }

    /// From now on nothing more is lost.
    pub(crate) fn lose_nothing(&self) {
        self.rules.lost.lock().unwrap().0 = None;
    }

    /// How often something was lost since, or swallowed.
    pub(crate) fn lost(&self) -> usize {
        self.rules.lost.lock().unwrap().1
    }

    /// Whether nobody is let in any more. So a gateway cannot be back at its broker before those who are to see that.
    pub(crate) fn shut(&self, shut: bool) {
        self.rules.is_shut.store(shut, Ordering::SeqCst);
    }

    /// Whether what the broker says is swallowed.
    pub(crate) fn deaf(&self, deaf: bool) {
        self.rules.is_deaf.store(deaf, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.rules.is_closed.store(true, Ordering::SeqCst);
        // Wakes the acceptor; pumps look for the flag by themselves.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, end: &End, to_client: bool, rules: &Rules) {
    from.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut filter = rules.is_mqtt.then(Filter::default);
    let mut buffer = [0; 16 * 1024];
    loop {
        if end.has_come() {
            if to_client {
                rules.cuts.fetch_add(1, Ordering::SeqCst);
            }
            break;
        }
        if rules.is_closed.load(Ordering::SeqCst) {
            break;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if to_client {
                    end.spoke.get_or_init(Instant::now);
                }
                let swallowed = rules.loses(end, &buffer[..count], to_client);
                let on = match &mut filter {
                    Some(filter) => &filter.pass(&rules.meddling, &buffer[..count], to_client),
                    None => &buffer[..count],
                };
                if !swallowed && to.write_all(on).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let due = filter.as_mut().map(|filter| filter.pass(&rules.meddling, &[], to_client));
                if due.is_some_and(|due| to.write_all(&due).is_err()) {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

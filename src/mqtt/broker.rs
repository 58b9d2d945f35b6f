//! The built-in broker: rumqttd behind one address for MQTT 3.1.1 and 5.
//!
//! For `demo` and for gateways without a broker of their own. It keeps nothing over a restart and knows no rights
//! by topic; of a subscription with QoS 1 or 2 to more than 100 retained messages only the first 100 arrive.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use rumqttd::{ConnectionSettings, RouterConfig, ServerSettings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::options::LARGEST_PACKET;

/// Messages of one filter that a slow or absent subscriber may be behind, in all 4 MiB.
const SEGMENT_BYTES: usize = 1024 * 1024;
const SEGMENTS: usize = 4;

/// How many messages may be on their way to one subscriber; retained ones beyond it would be dropped.
const OUTGOING: u16 = 10_000;

const MOST_CONNECTIONS: usize = 1_000;

/// A client that has not said CONNECT after so long is let go.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long rumqttd may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The built-in broker, listening; `run` lets clients in.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    address: SocketAddr,
    inner: Inner,
}

/// Where rumqttd listens for each version of the protocol, on loopback.
#[derive(Debug, Clone, Copy)]
struct Inner {
    v4: SocketAddr,
    v5: SocketAddr,
}

impl Broker {
    /// Starts the broker on an address; port 0 takes a free one. With a login, nobody else is let in.
    ///
    /// rumqttd cannot be ended: its threads live as long as the process, but nobody can reach it after `run`.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn start(listen: SocketAddr, login: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let inner = Inner { v4: free_address()?, v5: free_address()? };
        let mut broker = rumqttd::Broker::new(settings(inner, login));
        std::thread::Builder::new().name("rumqttd".to_owned()).spawn(move || {
            if let Err(error) = broker.start() {
                tracing::error!(%error, "built-in broker ended");
            }
        })?;
        for address in [inner.v4, inner.v5] {
            wait_for(address).await?;
        }
        tracing::info!(%address, "built-in broker listens");
        Ok(Self { listener, address, inner })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients in until told to stop.
    ///
    /// # Errors
    /// None today; a client that misbehaves costs only itself.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_ended) = clients.join_next() => {}
                accepted = self.listener.accept(), if clients.len() < MOST_CONNECTIONS => match accepted {
                    Ok((client, _from)) => {
                        clients.spawn(serve(client, self.inner));
                    }
                    // Out of file descriptors, most likely: those who are connected go on.
                    Err(error) => {
                        tracing::warn!(%error, "built-in broker cannot let a client in");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        clients.shutdown().await;
        Ok(())
    }
}

/// One client: its CONNECT says which port of rumqttd is meant, then bytes go both ways.
async fn serve(mut client: TcpStream, inner: Inner) {
    let Ok(Ok((level, head))) = timeout(CONNECT_TIMEOUT, connect_head(&mut client)).await else { return };
    let address = if level >= 5 { inner.v5 } else { inner.v4 };
    let Ok(mut broker) = TcpStream::connect(address).await else { return };
    // Acknowledgements are small packets that should not wait for each other; a failure only costs time.
    let _either_way_it_works = (client.set_nodelay(true), broker.set_nodelay(true));
    if broker.write_all(&head).await.is_ok() {
        // Either side may end as it likes; there is nobody to tell.
        drop(tokio::io::copy_bidirectional(&mut client, &mut broker).await);
    }
}

/// The bytes of a CONNECT up to its protocol level (MQTT 3.1.1, section 3.1.2.2), and that level.
async fn connect_head(client: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let not_mqtt = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut head = vec![client.read_u8().await?];
    if head != [0x10] {
        return Err(not_mqtt());
    }
    for _ in 0..4 {
        let byte = client.read_u8().await?;
        head.push(byte);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let name_length = client.read_u16().await?;
    if name_length > 6 {
        return Err(not_mqtt());
    }
    head.extend(name_length.to_be_bytes());
    let mut name = vec![0; usize::from(name_length)];
    client.read_exact(&mut name).await?;
    head.append(&mut name);
    let level = client.read_u8().await?;
    head.push(level);
    Ok((level, head))
}

fn settings(inner: Inner, login: Option<(&str, &str)>) -> rumqttd::Config {
    let server = |name: &str, listen| {
        let auth = login.map(|(user, password)| HashMap::from([(user.to_owned(), password.to_owned())]));
        let settings = ServerSettings {
            name: name.to_owned(),
            listen,
            tls: None,
            next_connection_delay_ms: 0,
            connections: ConnectionSettings {
                connection_timeout_ms: 10_000,
                max_payload_size: LARGEST_PACKET,
                max_inflight_count: usize::from(OUTGOING),
                auth,
                external_auth: None,
                dynamic_filters: true,
            },
        };
        Some(HashMap::from([(name.to_owned(), settings)]))
    };
    rumqttd::Config {
        id: 0,
        router: RouterConfig {
            max_connections: MOST_CONNECTIONS,
            max_outgoing_packet_count: u64::from(OUTGOING),
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        },
        v4: server("v4", inner.v4),
        v5: server("v5", inner.v5),
        ..rumqttd::Config::default()
    }
}

/// A free port of loopback. Somebody could take it before rumqttd does; then `wait_for` ends in an error.
fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// rumqttd does not tell when it listens: asking is the only way to learn it.
async fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Err(error) = TcpStream::connect(address).await {
        if begun.elapsed() > START_TIMEOUT {
            return Err(error).context("built-in broker did not start");
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

//! The built-in broker: rumqttd behind one address for MQTT 3.1.1 and 5.
//!
//! For `demo` and for gateways without a broker of their own. It keeps nothing over a restart and knows no rights
//! by topic. Of a remembered session's subscription to more than 100 retained messages only 100 arrive.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use rumqttd::protocol::v5::V5;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

mod front;
mod packet;

use super::options::LARGEST_OUTGOING;

/// Messages of one filter that a slow or absent subscriber may be behind, in all 4 MiB.
const SEGMENT_BYTES: usize = 1024 * 1024;
const SEGMENTS: usize = 4;

/// How many messages may be on their way to one subscriber; retained ones beyond it would be dropped.
const OUTGOING: u16 = 10_000;

const MOST_CONNECTIONS: usize = 1_000;

/// How long rumqttd may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The built-in broker, listening; `run` lets clients in.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    address: SocketAddr,
    /// Where rumqttd listens, on loopback, for MQTT 5.
    inner: SocketAddr,
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
        let inner = free_address()?;
        // Its own `Broker` would do this as well, and bring a console, an exporter and a bridge that nobody asked for.
        let router = Router::new(0, limits()).spawn();
        let mut server = Server::new(settings(inner, login), router, V5);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("rumqttd".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(server.start(LinkType::Remote)) {
                tracing::error!(%error, "built-in broker ended");
            }
        })?;
        wait_for(inner).await?;
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
                        clients.spawn(front::serve(client, self.inner));
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

fn settings(listen: SocketAddr, login: Option<(&str, &str)>) -> ServerSettings {
    ServerSettings {
        name: "mqtt".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: LARGEST_OUTGOING,
            max_inflight_count: usize::from(OUTGOING),
            auth: login.map(|(user, password)| HashMap::from([(user.to_owned(), password.to_owned())])),
            external_auth: None,
            dynamic_filters: true,
        },
    }
}

fn limits() -> RouterConfig {
    RouterConfig {
        max_connections: MOST_CONNECTIONS,
        max_outgoing_packet_count: u64::from(OUTGOING),
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: SEGMENTS,
        ..RouterConfig::default()
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

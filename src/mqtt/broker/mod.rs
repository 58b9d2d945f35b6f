//! The built-in broker: MQTT 3.1.1 and 5 on one address, for `demo` and for gateways without a broker of their own.
//!
//! It keeps nothing over a restart and knows no rights by topic; messages are told with QoS 1 at most. Memory is
//! bounded: by client, by topic, and for all messages together. Nothing that a client sends ends more than its own
//! connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

mod client;
mod connect;
mod filter;
mod hub;
mod message;
mod packet;
mod property;
mod retained;
mod session;
#[cfg(test)]
mod tests;

use client::House;

const MOST_CONNECTIONS: usize = 1_000;

/// How often it is looked for testaments that wait, and sessions that end.
const TICK: Duration = Duration::from_secs(1);

/// Each so many ticks all retained messages are looked at.
const TICKS_A_SWEEP: u64 = 60;

/// How long clients have to be told that the broker ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The built-in broker, listening; `run` lets clients in.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    address: SocketAddr,
    house: House,
}

impl Broker {
    /// Starts the broker on an address; port 0 takes a free one. With a login, nobody else is let in.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn start(listen: SocketAddr, login: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "built-in broker listens");
        Ok(Self { listener, address, house: House::new(login) })
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
        let mut ticks = interval(TICK);
        let mut passed = 0_u64;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_ended) = clients.join_next() => {}
                _now = ticks.tick() => {
                    passed += 1;
                    let (mut hub, now) = (self.house.hub(), Instant::now());
                    hub.tick(now);
                    if passed % TICKS_A_SWEEP == 0 {
                        hub.drop_expired(now);
                    }
                }
                accepted = self.listener.accept(), if clients.len() < MOST_CONNECTIONS => match accepted {
                    Ok((client, _from)) => {
                        clients.spawn(self.house.clone().serve(client));
                    }
                    // Out of file descriptors, most likely: those who are connected go on.
                    Err(error) => {
                        tracing::warn!(%error, "built-in broker cannot let a client in");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        self.house.close();
        let all = async { while clients.join_next().await.is_some() {} };
        if timeout(GOODBYE_TIMEOUT, all).await.is_err() {
            clients.shutdown().await;
        }
        Ok(())
    }
}

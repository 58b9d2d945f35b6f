//! The listener: callbacks of the clouds, health. The only room that names axum.
//!
//! Takes requests apart, hands them to the store and to the queues of downlinks, and answers 2xx only after what
//! they brought is durable. Knows neither MQTT nor the clouds' APIs.

mod answer;
mod callback;
mod counter;
mod guard;
mod health;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::routing::{any, get};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use callback::batch_pattern_fault;
pub use counter::{Counters, Counts};
pub use health::{Health, Part};

use self::socket::Socket;
use crate::config::{Config, Http};
use crate::downlink::Queues;
use crate::store::Store;

/// The listener, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    address: SocketAddr,
    router: Router,
    counters: Arc<Counters>,
}

impl Server {
    /// Binds the address of the configuration; port 0 takes a free one.
    pub async fn bind(
        settings: &Http,
        config: &Config,
        store: Store,
        queues: Queues,
        health: Health,
    ) -> anyhow::Result<Self> {
        let counters = Arc::new(Counters::default());
        let callbacks = callback::Receiver::new(config, store.clone(), queues, Arc::clone(&counters))?;
        let tls = settings.tls.as_ref().map(|(chain, key)| socket::tls(chain, key)).transpose()?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("http.listen: cannot listen on {}", settings.listen))?;
        let address = listener.local_addr().context("http.listen: the listener has no address")?;
        let router = Router::new()
            .route("/callback/{source}/{kind}", any(callback::receive))
            .with_state(Arc::new(callbacks))
            .merge(
                Router::new()
                    .route("/healthz", get(health::healthz))
                    .route("/readyz", get(health::readyz))
                    .with_state(health::Probe { health, store }),
            )
            .fallback(answer::no_such_page)
            .method_not_allowed_fallback(answer::no_such_method);
        Ok(Self { listener, tls, address, router, counters })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Serves until told to stop; requests that are being answered are answered to their end.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        tracing::info!(address = %self.address, tls = self.tls.is_some(), "listening for http");
        axum::serve(Socket::new(self.listener, self.tls), self.router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .context("the http listener failed")
    }
}

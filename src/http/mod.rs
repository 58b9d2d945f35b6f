//! The listener: callbacks of the clouds, health, the API. The only room that names axum.
//!
//! Takes requests apart, hands them to the rooms that know, and answers 2xx to what changes something only after that
//! is durable. Who may do what stands in `access`. Knows neither MQTT nor the clouds' APIs.

mod access;
mod answer;
mod api;
mod callback;
mod counter;
mod guard;
mod health;
mod metrics;
mod page;
mod series;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use axum::{Router, middleware};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

pub(crate) use callback::batch_pattern_fault;
pub use counter::{Counters, Counts};

use self::access::Access;
use self::guard::Brake;
use self::metrics::Metrics;
use self::socket::Socket;
use crate::command::Rooms;
use crate::config::Http;

/// The largest body of a request that is no callback.
const LARGEST_BODY: usize = 64 * 1024;

/// The listener, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    address: SocketAddr,
    router: Router,
    counters: Arc<Counters>,
    /// Ends the answers that would go on for as long as the asker listens.
    closing: CancellationToken,
}

impl Server {
    /// Binds the address of the configuration; port 0 takes a free one.
    pub async fn bind(settings: &Http, rooms: Rooms) -> anyhow::Result<Self> {
        let closing = CancellationToken::new();
        let counters = Arc::new(Counters::default());
        let brake = Arc::<Brake>::default();
        let callbacks = callback::Receiver::new(&rooms, Arc::clone(&counters), Arc::clone(&brake))?;
        let access = Arc::new(Access::new(settings, &rooms.config.gateway.id, brake, Arc::clone(&counters)));
        let tls = settings.tls.as_ref().map(|(chain, key)| socket::tls(chain, key)).transpose()?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("http.listen: cannot listen on {}", settings.listen))?;
        let address = listener.local_addr().context("http.listen: the listener has no address")?;
        let router = router(settings, rooms, callbacks, access, &counters, &closing);
        Ok(Self { listener, tls, address, router, counters, closing })
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
        let closing = self.closing;
        let stop = async move {
            stop.cancelled().await;
            closing.cancel();
        };
        axum::serve(Socket::new(self.listener, self.tls), self.router)
            .with_graceful_shutdown(stop)
            .await
            .context("the http listener failed")
    }
}

/// Every path, with who may take it.
fn router(
    settings: &Http,
    rooms: Rooms,
    callbacks: callback::Receiver,
    access: Arc<Access>,
    counters: &Arc<Counters>,
    closing: &CancellationToken,
) -> Router {
    let open = Router::new()
        .route("/callback/{source}/{kind}", any(callback::receive))
        .with_state(Arc::new(callbacks))
        .route("/login", post(access::log_in))
        .route("/logout", post(access::log_out))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::clone(&access));
    let probes = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(rooms.clone());
    let metrics = if settings.metrics {
        let metrics = Metrics { rooms: rooms.clone(), counters: Arc::clone(counters) };
        let admit = middleware::from_fn_with_state(Arc::clone(&access), access::admit_metrics);
        Router::new().route("/metrics", get(metrics::show)).route_layer(admit).with_state(metrics)
    } else {
        Router::new()
    };
    let pages = page::router(&rooms, closing.clone()).layer(DefaultBodyLimit::max(LARGEST_BODY));
    let login = page::open_router(&rooms.config);
    // Around the nest: inside it the path has lost its beginning.
    let shown = pages
        .nest("/api/v1", api::router(rooms, closing.clone()))
        .layer(middleware::from_fn_with_state(access, access::admit));
    open.merge(probes)
        .merge(metrics)
        .merge(shown)
        .merge(login)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(counters), access::shield))
}

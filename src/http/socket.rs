//! The listening socket: plain or TLS, so many connections at once, none of them idle for long.
//!
//! Knows nothing of HTTP.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How many connections may be open at once. Those beyond wait in the kernel's queue.
const CONNECTIONS: usize = 256;

/// How long a connection may be silent in both directions.
const IDLE: Duration = Duration::from_secs(30);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long accepting waits when the process has no file descriptor left.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// A listening socket.
pub(super) struct Socket {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    handshakes: JoinSet<Option<(Connection, SocketAddr)>>,
}

impl Socket {
    pub(super) fn new(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        Self {
            listener,
            tls: tls.map(TlsAcceptor::from),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            handshakes: JoinSet::new(),
        }
    }
}

impl axum::serve::Listener for Socket {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // Whichever branch loses, nothing is lost: what was not accepted yet stays in the kernel's queue, a
            // handshake in its set.
            let accepted = tokio::select! {
                Some(shaken) = self.handshakes.join_next() => match shaken {
                    Ok(Some(connection)) => return connection,
                    _ => continue,
                },
                accepted = next(&self.listener, &self.connections) => accepted,
            };
            match (accepted, self.tls.clone()) {
                (Ok((stream, address, permit)), None) => {
                    return (Connection::new(Stream::Plain(stream), permit), address);
                }
                (Ok((stream, address, permit)), Some(tls)) => {
                    self.handshakes.spawn(async move {
                        let stream = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await.ok()?.ok()?;
                        Some((Connection::new(Stream::Tls(Box::new(stream)), permit), address))
                    });
                }
                (Err(error), _) => {
                    tracing::debug!(%error, "connection not accepted");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn next(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address, permit))
}

/// The server's side of TLS by a chain of certificates and its key, both in PEM.
pub(super) fn tls(chain: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let wrong = || format!("http.tls_cert_file: {} holds no certificate in PEM", chain.display());
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain).with_context(wrong)?.collect();
    let certificates = certificates.with_context(wrong)?;
    anyhow::ensure!(!certificates.is_empty(), wrong());
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("http.tls_key_file: {} holds no private key in PEM", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .context("http.tls_cert_file and http.tls_key_file do not belong together")?;
    Ok(Arc::new(config))
}

/// A connection that ends when it has been silent for too long; its place is free again when it is dropped.
pub(super) struct Connection {
    stream: Stream,
    silence: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn new(stream: Stream, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, silence: Box::pin(tokio::time::sleep(IDLE)), _permit: permit }
    }

    /// Passes on what came of reading or writing; where nothing did, only as long as the silence is not too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.silence.as_mut().reset(Instant::now() + IDLE);
            return outcome;
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        self.watched(context, outcome)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.watched(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

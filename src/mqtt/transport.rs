//! The stream that carries a connection's packets: TCP, TLS over it, WebSocket over either.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use async_tungstenite::tungstenite::client::IntoClientRequest as _;
use async_tungstenite::tungstenite::http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use ws_stream_tungstenite::WsStream;

use super::fault::Fault;

/// The WebSocket subprotocol of MQTT, which both sides must name (MQTT 5, section 6).
const SUBPROTOCOL: (&str, &str) = ("Sec-WebSocket-Protocol", "mqtt");

/// What can be read and written as one stream.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) type Stream = Box<dyn Duplex>;

/// The socket below a stream.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Has the system tell the other side at once that all has come. It would wait for 40 ms for something to send along,
    /// and a broker whose system gathers small packets (mosquitto's, unless it is told otherwise) sends us no further
    /// acknowledgement for so long. It holds for what has come only.
    pub(super) fn confirm(&self) {
        // What is not a socket any more has nothing to confirm.
        rustix::net::sockopt::set_tcp_quickack(&self.0, true).ok();
    }
}

/// Where a broker is and what lies between.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    /// A name or an address, IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The URL of its WebSocket, without credentials.
    pub(super) websocket: Option<String>,
}

impl Transport {
    pub(super) async fn open(&self) -> Result<(Stream, Socket), Fault> {
        let tcp =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| Fault::of(&error))?;
        // Packets are gathered before they are written, so nothing is won by letting the system wait for more.
        tcp.set_nodelay(true).map_err(|error| Fault::of(&error))?;
        let socket = tcp.as_fd().try_clone_to_owned().map_err(|error| Fault::of(&error))?;
        let stream: Stream = match &self.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|error| Fault::of(&error))?;
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name, tcp).await.map_err(|error| Fault::of(&error))?)
            }
        };
        let stream = match &self.websocket {
            None => stream,
            Some(url) => websocket(url, stream).await?,
        };
        Ok((stream, Socket(socket)))
    }

    /// Where it goes, without credentials.
    pub(super) fn place(&self) -> String {
        match &self.websocket {
            Some(url) => url.clone(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

async fn websocket(url: &str, stream: Stream) -> Result<Stream, Fault> {
    let mut request = url.into_client_request().map_err(|error| Fault::of(&error))?;
    let (name, mqtt) = SUBPROTOCOL;
    request.headers_mut().insert(name, HeaderValue::from_static(mqtt));
    let (socket, answer) =
        async_tungstenite::tokio::client_async(request, stream).await.map_err(|error| Fault::of(&error))?;
    let chosen = answer.headers().get(name).and_then(|value| value.to_str().ok());
    if chosen.map(str::trim) != Some(mqtt) {
        return Err(Fault::Refused("what listens there has a WebSocket, but no MQTT behind it".to_owned()));
    }
    Ok(Box::new(WsStream::new(socket)))
}

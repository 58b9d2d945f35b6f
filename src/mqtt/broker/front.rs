//! One client of the built-in broker: bytes from it and to it, translated where it speaks MQTT 3.1.1.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::packet::{Dialect, Malformed, Packet};
use crate::mqtt::options::LARGEST_OUTGOING;

/// A client that has not said CONNECT after so long is let go.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a client until either side ends. A client that sends nonsense costs only itself.
pub(super) async fn serve(mut client: TcpStream, broker: SocketAddr) {
    if let Err(error) = connection(&mut client, broker).await {
        tracing::debug!(%error, "client of the built-in broker ended");
    }
}

async fn connection(client: &mut TcpStream, broker: SocketAddr) -> io::Result<()> {
    let mut broker = TcpStream::connect(broker).await?;
    // Acknowledgements are small packets that should not wait for each other.
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (client_reader, mut client_writer) = client.split();
    let (broker_reader, mut broker_writer) = broker.split();
    let mut from_client = Packets::new(client_reader);
    let mut from_broker = Packets::new(broker_reader);

    let connect = timeout(CONNECT_TIMEOUT, from_client.next()).await??.ok_or(io::ErrorKind::UnexpectedEof)?;
    let (dialect, connect) = Dialect::of(&connect)?;
    broker_writer.write_all(&connect.encode()).await?;
    match from_broker.next().await {
        Ok(Some(connack)) => forward(&mut client_writer, dialect.to_client(connack)?).await?,
        // rumqttd closes without a word on whom it does not let in.
        _ => return client_writer.write_all(dialect.turned_away()).await,
    }
    let to_broker = async {
        while let Some(packet) = from_client.next().await? {
            let packet = dialect.to_broker(packet)?;
            broker_writer.write_all(&packet.encode()).await?;
            if packet.is_goodbye() {
                break;
            }
        }
        Ok(())
    };
    let to_client = async {
        while let Some(packet) = from_broker.next().await? {
            forward(&mut client_writer, dialect.to_client(packet)?).await?;
        }
        Ok(())
    };
    // The first end is the end of both; dropping the sockets tells the other side.
    tokio::select! {
        ended = to_broker => ended,
        ended = to_client => ended,
    }
}

/// Sends a packet on; a goodbye that the client does not know is the end of the connection.
async fn forward(client: &mut WriteHalf<'_>, packet: Option<Packet>) -> io::Result<()> {
    match packet {
        Some(packet) => client.write_all(&packet.encode()).await,
        None => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// The packets of one direction.
struct Packets<'a> {
    reader: ReadHalf<'a>,
    read: BytesMut,
}

impl<'a> Packets<'a> {
    fn new(reader: ReadHalf<'a>) -> Self {
        Self { reader, read: BytesMut::new() }
    }

    /// The next packet; none at the end.
    async fn next(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some(packet) = Packet::take(&mut self.read, LARGEST_OUTGOING)? {
                return Ok(Some(packet));
            }
            if self.reader.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

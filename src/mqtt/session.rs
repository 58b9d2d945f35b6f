//! One connection of either version of the protocol: its bytes in and out, and what it tells.
//!
//! rumqttc reads and writes the packets; the loop is ours, because its own writes each publish by itself and hands over
//! what an earlier connection left (docs/decisions/0026). A session is used for one connection only.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::fault::Fault;
use super::options::{CONNECT_TIMEOUT, KEEP_ALIVE_S, Options};
use super::outgoing::{Load, Outgoing};
use super::packets::{self, Packet, Packets};
use super::transport::{Socket, Stream};
use super::window::Verdict;

/// So much is read at once, where so much is there.
const READ: usize = 8 * 1024;

/// What a connection told.
#[derive(Debug)]
pub(super) enum Step {
    /// The broker let us in.
    Connected(Connected),
    /// So many publishes more have been written.
    Written(u64),
    /// The broker has answered this packet.
    Acked(u16, Verdict),
    /// A message came in.
    Message(Incoming),
    /// How many of the subscriptions the broker refused.
    Subscribed { refused: usize },
    /// Our goodbye was written.
    Disconnected,
}

/// What the broker said when it let us in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connected {
    pub(super) session_present: bool,
    pub(super) receive_maximum: Option<u16>,
    pub(super) largest_packet: Option<u32>,
    pub(super) retain_available: bool,
    /// How long it waits for a sign of life, if it wants another time than we said.
    pub(super) keep_alive_s: Option<u16>,
}

/// A message as it came in; `packet` is 0 for QoS 0.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) packet: u16,
    pub(super) response_topic: Option<String>,
    pub(super) correlation: Option<Bytes>,
}

/// One connection, polled by one task.
pub(super) struct Session {
    options: Options,
    packets: &'static dyn Packets,
    outgoing: Arc<Outgoing>,
    wire: Option<Wire>,
    steps: VecDeque<Step>,
    /// Why it ended, for who has not taken all steps before that.
    ended: Option<Fault>,
}

/// The stream and what is half read and half written of it.
struct Wire {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    socket: Socket,
    input: BytesMut,
    output: BytesMut,
    /// What is being written; none while nothing is.
    load: Option<Load>,
    ping: Interval,
    awaits_pong: bool,
}

impl Session {
    /// A connection that is made by the first poll, and what can be asked of it.
    pub(super) fn new(options: &Options) -> (Arc<Outgoing>, Self) {
        let packets = packets::of(options.protocol);
        let outgoing = Arc::new(Outgoing::new(packets));
        let session = Self {
            options: options.clone(),
            packets,
            outgoing: Arc::clone(&outgoing),
            wire: None,
            steps: VecDeque::new(),
            ended: None,
        };
        (outgoing, session)
    }

    /// Does the next thing; what came of it, also of one that failed, is in [`Self::steps`]. May be dropped and called
    /// again once it is connected.
    pub(super) async fn poll(&mut self) -> Result<(), Fault> {
        match &mut self.wire {
            Some(wire) => wire.turn(&self.outgoing, self.packets, &mut self.steps).await,
            None => {
                let opened = timeout(CONNECT_TIMEOUT, Wire::open(&self.options, self.packets)).await;
                let (wire, connected) = opened.map_err(|_elapsed| Fault::timeout())??;
                self.wire = Some(wire);
                self.steps.push_back(Step::Connected(connected));
                Ok(())
            }
        }
    }

    /// What the connection has told since this was asked last.
    pub(super) fn steps(&mut self) -> VecDeque<Step> {
        std::mem::take(&mut self.steps)
    }

    /// The next step, for who wants them one by one.
    pub(super) async fn next(&mut self) -> Result<Step, Fault> {
        loop {
            match (self.steps.pop_front(), &self.ended) {
                (Some(step), _) => return Ok(step),
                (None, Some(fault)) => return Err(fault.clone()),
                (None, None) => self.ended = self.poll().await.err(),
            }
        }
    }
}

impl Wire {
    async fn open(options: &Options, packets: &dyn Packets) -> Result<(Self, Connected), Fault> {
        let (mut stream, socket) = options.transport.open().await?;
        let (mut input, mut output) = (BytesMut::with_capacity(READ), BytesMut::new());
        packets.connect(options, &mut output).map_err(|_unwritable| Fault::unwritable())?;
        while !write(&mut stream, &mut output).await? {}
        let connected = loop {
            match packets.read(&mut input)? {
                Some(Packet::Connected(connected)) => break connected,
                Some(_) => return Err(Fault::unexpected()),
                None => read(&mut stream, &mut input).await?,
            }
        };
        // A broker that wants no pings says 0; we go on wanting to know whether it is there.
        let keep_alive = connected.keep_alive_s.filter(|seconds| *seconds > 0).unwrap_or(KEEP_ALIVE_S);
        let keep_alive = Duration::from_secs(keep_alive.into());
        let mut ping = interval_at(Instant::now() + keep_alive, keep_alive);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (reader, writer) = split(stream);
        Ok((Self { reader, writer, socket, input, output, load: None, ping, awaits_pong: false }, connected))
    }

    /// Waits for what comes first and does it. Each thing that it waits for may be dropped.
    async fn turn(
        &mut self,
        outgoing: &Outgoing,
        packets: &dyn Packets,
        steps: &mut VecDeque<Step>,
    ) -> Result<(), Fault> {
        // What came with the broker's first answer is read before anything is waited for.
        while let Some(packet) = packets.read(&mut self.input)? {
            self.awaits_pong &= !matches!(packet, Packet::Pong);
            steps.extend(step(packet)?);
        }
        if !steps.is_empty() {
            return Ok(());
        }
        if self.load.is_none() {
            self.load = outgoing.take(&mut self.output);
        }
        let has_load = self.load.is_some();
        tokio::select! {
            came = read(&mut self.reader, &mut self.input) => came.map(|()| self.socket.confirm()),
            is_out = write(&mut self.writer, &mut self.output), if has_load => {
                if is_out? {
                    let load = self.load.take().unwrap_or_default();
                    steps.extend((load.publishes > 0).then_some(Step::Written(load.publishes)));
                    steps.extend(load.goodbye.then_some(Step::Disconnected));
                }
                Ok(())
            }
            () = outgoing.more(), if !has_load => Ok(()),
            _ = self.ping.tick() => {
                if self.awaits_pong {
                    return Err(Fault::timeout());
                }
                self.awaits_pong = outgoing.ping();
                Ok(())
            }
        }
    }
}

/// What a packet tells; nothing where only the connection itself cares.
fn step(packet: Packet) -> Result<Option<Step>, Fault> {
    Ok(match packet {
        Packet::Acked(packet, verdict) => Some(Step::Acked(packet, verdict)),
        Packet::Message(message) => Some(Step::Message(message)),
        Packet::Subscribed { refused } => Some(Step::Subscribed { refused }),
        Packet::Pong => None,
        Packet::Connected(_) => return Err(Fault::unexpected()),
    })
}

async fn read(stream: &mut (impl AsyncRead + Unpin), into: &mut BytesMut) -> Result<(), Fault> {
    into.reserve(READ);
    match stream.read_buf(into).await {
        Ok(0) => Err(Fault::closed()),
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::of(&error)),
    }
}

/// Writes some more, or else sees to it that all of it is on its way, and says whether it is. May be dropped.
async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &mut BytesMut) -> Result<bool, Fault> {
    let written = if bytes.is_empty() {
        stream.flush().await.map(|()| true)
    } else {
        stream.write_buf(bytes).await.and_then(|count| match count {
            0 => Err(ErrorKind::WriteZero.into()),
            _ => Ok(false),
        })
    };
    written.map_err(|error| Fault::of(&error))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;
    use crate::config::Protocol;
    use crate::mqtt::message::{Properties, Publish};
    use crate::mqtt::transport::Transport;

    fn options(protocol: Protocol, port: u16) -> Options {
        let transport = Transport { host: "127.0.0.1".to_owned(), port, tls: None, websocket: None };
        let client_id = "test".to_owned();
        Options { protocol, client_id, transport, credentials: None, will: None, clean: true }
    }

    async fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[tokio::test]
    async fn acknowledgements_are_read_while_the_broker_reads_nothing() {
        let (listener, port) = listen().await;
        let mut broker = JoinSet::new();
        broker.spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"\x20\x02\0\0").await.unwrap();
            for packet in 1..=20 {
                sleep(Duration::from_millis(5)).await;
                // In two pieces.
                socket.write_all(&[0x40, 2]).await.unwrap();
                socket.flush().await.unwrap();
                socket.write_all(&[0, packet]).await.unwrap();
            }
            socket
        });
        let (outgoing, mut session) = Session::new(&options(Protocol::V4, port));
        assert!(matches!(session.next().await, Ok(Step::Connected(_))));
        let payload = Bytes::from(vec![b'x'; 1 << 20]);
        for packet in 1..=20 {
            let (topic, payload) = ("a/b".to_owned(), payload.clone());
            let publish = Publish { topic, payload, retain: false, properties: Properties::default() };
            assert!(outgoing.publish(&publish, packet));
        }
        for packet in 1..=20 {
            let step = session.next().await;
            assert!(
                matches!(step, Ok(Step::Acked(it, Verdict::Taken)) if it == packet),
                "{packet}: {step:?}"
            );
        }
        drop(broker.join_next().await.unwrap().unwrap());
        assert_eq!(session.next().await.unwrap_err(), Fault::closed());
        assert_eq!(session.next().await.unwrap_err(), Fault::closed(), "it stays ended");
    }

    #[tokio::test]
    async fn a_broker_that_answers_no_ping_is_given_up() {
        let (listener, port) = listen().await;
        let mut broker = JoinSet::new();
        broker.spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            // It wants a sign of life every second.
            socket.write_all(b"\x20\x06\0\0\x03\x13\0\x01").await.unwrap();
            let mut heard = Vec::new();
            socket.read_to_end(&mut heard).await.ok();
            heard
        });
        let (_outgoing, mut session) = Session::new(&options(Protocol::V5, port));
        assert!(matches!(session.next().await, Ok(Step::Connected(_))));
        assert_eq!(session.next().await.unwrap_err(), Fault::timeout());
        drop(session);
        assert!(broker.join_next().await.unwrap().unwrap().ends_with(b"\xC0\0"));
    }

    #[tokio::test]
    async fn what_listens_there_and_is_no_broker_is_told_so() {
        for (answer, fault) in [(&b"\xD0\0"[..], Fault::unexpected()), (b"", Fault::closed())] {
            let (listener, port) = listen().await;
            let mut broker = JoinSet::new();
            broker.spawn(async move {
                let (mut socket, _) = listener.accept().await.unwrap();
                socket.write_all(answer).await.unwrap();
                let mut asked = [0; 2];
                socket.read_exact(&mut asked).await.unwrap();
                asked
            });
            let (_outgoing, mut session) = Session::new(&options(Protocol::V4, port));
            let ended = session.next().await.unwrap_err();
            assert_eq!(broker.join_next().await.unwrap().unwrap()[0], 0x10);
            assert_eq!(ended, fault);
        }
    }
}

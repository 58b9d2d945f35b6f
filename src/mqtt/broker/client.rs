//! The connection of one client of the built-in broker: its packets, and what it is answered and told.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connect::{Connect, Goodbye, subscribe, unsubscribe};
use super::hub::{Hub, Seat};
use super::message::{Publish, acknowledged};
use super::packet::{self, Packet, Refusal, put_packet, put_text, put_variable};
use super::property::{ASSIGNED_CLIENT_ID, LARGEST_PACKET, SHARED_AVAILABLE};
use crate::mqtt::options::LARGEST_OUTGOING;

/// A client that has not said CONNECT after so long is let go.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Client id, will, user and password, each as long as it may be.
const LARGEST_CONNECT: usize = 5 * 65_536;

/// A client that takes nothing for so long is let go.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a wrong password is thought about.
const LOGIN_PAUSE: Duration = Duration::from_secs(1);

/// Answers that wait to be written; a client that reads none of them is not read from any more.
const MOST_ANSWERS: usize = 100;

/// What all connections share.
#[derive(Debug, Clone)]
pub(super) struct House {
    hub: Arc<Mutex<Hub>>,
    login: Option<(Arc<str>, Arc<str>)>,
    stop: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("said goodbye")]
    Goodbye(Goodbye),
    #[error("went without a word")]
    Gone,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl House {
    /// With a login, nobody else is let in.
    pub(super) fn new(login: Option<(&str, &str)>) -> Self {
        let login = login.map(|(user, password)| (Arc::from(user), Arc::from(password)));
        Self { hub: Arc::default(), login, stop: CancellationToken::new() }
    }

    /// Tells all clients to go.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    pub(super) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a client until either side ends. One that sends nonsense costs only itself.
    pub(super) async fn serve(self, mut client: TcpStream) {
        if let Err(end) = self.connection(&mut client).await {
            tracing::debug!(%end, "client of the built-in broker ended");
        }
    }

    async fn connection(&self, client: &mut TcpStream) -> Result<(), End> {
        // Acknowledgements are small packets that should not wait for each other.
        client.set_nodelay(true)?;
        let (reader, mut writer) = client.split();
        let mut packets = Packets { reader, read: BytesMut::new() };
        let first = timeout(CONNECT_TIMEOUT, packets.next(LARGEST_CONNECT)).await;
        let first = first.map_err(|_elapsed| Refusal::Silence)??;
        let connect = match self.admit(&first) {
            Ok(connect) => connect,
            Err((refusal, is_v5)) => {
                if refusal == Refusal::Login {
                    sleep(LOGIN_PAUSE).await;
                }
                writer.write_all(&turned_away(refusal, is_v5)).await?;
                return Err(refusal.into());
            }
        };
        let is_v5 = connect.is_v5;
        let silence = Duration::from_millis(u64::from(connect.keep_alive) * 1_500);
        let made = connect.client.is_empty().then(|| format!("auto-{}", uuid::Uuid::new_v4().simple()));
        let name = made.clone().unwrap_or_else(|| connect.client.clone());
        let (seat, present) = self.hub().seat(name, connect, Instant::now());
        let ended = async {
            writer.write_all(&welcome(present, is_v5, made.as_deref())).await?;
            let (answers, from_reader) = mpsc::channel(MOST_ANSWERS);
            tokio::select! {
                end = self.hear(&seat, &mut packets, silence, answers) => end,
                end = self.tell(&seat, &mut writer, from_reader) => end,
                () = seat.line.taken_over.cancelled() => Err(Refusal::TakenOver.into()),
                () = self.stop.cancelled() => Err(Refusal::Ending.into()),
            }
        };
        let ended = ended.await;
        let goodbye = match &ended {
            Err(End::Goodbye(goodbye)) => Some(*goodbye),
            _ => None,
        };
        self.hub().leave(&seat, goodbye, Instant::now());
        if let (Err(End::Refused(refusal)), true) = (&ended, is_v5) {
            let mut out = BytesMut::new();
            put_packet(&mut out, packet::DISCONNECT, 0, &[refusal.reason(), 0]);
            writer.write_all(&out).await?;
        }
        ended
    }

    /// Reads a CONNECT and looks at its login.
    fn admit(&self, first: &Packet) -> Result<Connect, (Refusal, bool)> {
        let connect = Connect::read(first, Instant::now())?;
        let is_known = self.login.as_ref().is_none_or(|(user, password)| {
            connect.user.as_deref() == Some(user) && connect.password.as_deref() == Some(password.as_bytes())
        });
        if is_known { Ok(connect) } else { Err((Refusal::Login, connect.is_v5)) }
    }

    /// Does what the client asks for. It is read no faster than it takes its answers.
    async fn hear(
        &self,
        seat: &Seat,
        packets: &mut Packets<'_>,
        silence: Duration,
        answers: mpsc::Sender<Bytes>,
    ) -> Result<(), End> {
        loop {
            let next = packets.next(LARGEST_OUTGOING);
            let packet = if silence.is_zero() {
                next.await?
            } else {
                timeout(silence, next).await.map_err(|_elapsed| Refusal::Silence)??
            };
            if packet.kind() == packet::DISCONNECT {
                return Err(End::Goodbye(Goodbye::read(&packet, seat.line.is_v5)?));
            }
            if let Some(answer) = self.answer(seat, &packet)? {
                // The other half ends with the connection only.
                answers.send(answer).await.map_err(|_closed| End::Gone)?;
            }
            // Retained messages follow the answer to their subscription.
            if packet.kind() == packet::SUBSCRIBE {
                seat.line.bell.notify_one();
            }
        }
    }

    fn answer(&self, seat: &Seat, packet: &Packet) -> Result<Option<Bytes>, Refusal> {
        let is_v5 = seat.line.is_v5;
        let (kind, id, reasons) = match packet.kind() {
            packet::PUBLISH => {
                let publish = Publish::read(packet, is_v5, Instant::now())?;
                let (id, qos) = (publish.id, publish.message.qos);
                let mut hub = self.hub();
                let is_new = qos < 2 || hub.received(seat, id);
                let told = if is_new { hub.publish(&seat.client, publish.message) } else { Ok(()) };
                let reason = told.map_or_else(Refusal::reason, |()| 0);
                match qos {
                    0 => return Ok(None),
                    1 => (packet::PUBACK, id, vec![reason]),
                    _ => (packet::PUBREC, id, vec![reason]),
                }
            }
            packet::PUBREL if packet.flags() == 2 => {
                let id = acknowledged(packet, is_v5)?;
                let is_known = self.hub().released(seat, id);
                // 0x92: packet id not found.
                (packet::PUBCOMP, id, vec![if is_known { 0 } else { 0x92 }])
            }
            packet::PUBACK if packet.flags() == 0 => {
                self.hub().acked(seat, acknowledged(packet, is_v5)?);
                return Ok(None);
            }
            packet::SUBSCRIBE => {
                let (id, wanted) = subscribe(packet, is_v5)?;
                (packet::SUBACK, id, self.hub().subscribe(seat, wanted))
            }
            packet::UNSUBSCRIBE => {
                let (id, filters) = unsubscribe(packet, is_v5)?;
                let mut hub = self.hub();
                let reason = |filter: &Option<_>| match filter {
                    // 0x11: there was no such subscription; 0x8f: no filter.
                    Some(filter) if hub.unsubscribe(seat, filter) => 0,
                    Some(_) => 0x11,
                    None => 0x8f,
                };
                (packet::UNSUBACK, id, filters.iter().map(reason).collect())
            }
            packet::PINGREQ if packet.fields().is_empty() => {
                let mut out = BytesMut::new();
                put_packet(&mut out, packet::PINGRESP, 0, &[]);
                return Ok(Some(out.freeze()));
            }
            _ => return Err(Refusal::NotAllowed),
        };
        Ok(Some(acknowledgement(kind, id, &reasons, is_v5)))
    }

    /// Writes answers and what is due, in batches.
    async fn tell(
        &self,
        seat: &Seat,
        writer: &mut WriteHalf<'_>,
        mut answers: mpsc::Receiver<Bytes>,
    ) -> Result<(), End> {
        let mut out = BytesMut::new();
        loop {
            tokio::select! {
                Some(answer) = answers.recv() => out.extend_from_slice(&answer),
                () = seat.line.bell.notified() => {}
            }
            let mut has_more = true;
            while has_more {
                while let Ok(answer) = answers.try_recv() {
                    out.extend_from_slice(&answer);
                }
                has_more = self.hub().take(seat, &mut out, Instant::now());
                timeout(WRITE_TIMEOUT, writer.write_all(&out)).await.map_err(|_elapsed| End::Gone)??;
                out.clear();
            }
        }
    }
}

/// The packets of a client.
struct Packets<'a> {
    reader: ReadHalf<'a>,
    read: BytesMut,
}

impl Packets<'_> {
    async fn next(&mut self, largest: usize) -> Result<Packet, End> {
        loop {
            if let Some(packet) = Packet::take(&mut self.read, largest)? {
                return Ok(packet);
            }
            if self.reader.read_buf(&mut self.read).await? == 0 {
                return Err(End::Gone);
            }
        }
    }
}

fn welcome(present: bool, is_v5: bool, made: Option<&str>) -> Bytes {
    let mut body = BytesMut::from(&[u8::from(present), 0][..]);
    if is_v5 {
        let mut properties = BytesMut::new();
        properties.put_u8(LARGEST_PACKET);
        properties.put_u32(u32::try_from(LARGEST_OUTGOING).unwrap_or(u32::MAX));
        properties.extend_from_slice(&[SHARED_AVAILABLE, 0]);
        if let Some(made) = made {
            properties.put_u8(ASSIGNED_CLIENT_ID);
            put_text(&mut properties, made);
        }
        put_variable(&mut body, u32::try_from(properties.len()).unwrap_or(0));
        body.extend_from_slice(&properties);
    }
    let mut out = BytesMut::new();
    put_packet(&mut out, packet::CONNACK, 0, &body);
    out.freeze()
}

fn turned_away(refusal: Refusal, is_v5: bool) -> Bytes {
    let mut out = BytesMut::new();
    let (v4, v5) = ([0, refusal.return_code()], [0, refusal.reason(), 0]);
    put_packet(&mut out, packet::CONNACK, 0, if is_v5 { &v5 } else { &v4 });
    out.freeze()
}

/// An acknowledgement with a reason for each thing that was asked; what 3.1.1 does not know of it is left out.
fn acknowledgement(kind: u8, id: u16, reasons: &[u8], is_v5: bool) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u16(id);
    match kind {
        packet::SUBACK if is_v5 => {
            body.put_u8(0);
            body.extend_from_slice(reasons);
        }
        packet::SUBACK => body.extend(reasons.iter().map(|reason| (*reason).min(0x80))),
        packet::UNSUBACK if is_v5 => {
            body.put_u8(0);
            body.extend_from_slice(reasons);
        }
        // Without properties the reason ends the packet, and 0 is left out.
        packet::PUBACK | packet::PUBREC | packet::PUBCOMP if is_v5 && reasons != [0] => {
            body.extend_from_slice(reasons);
        }
        _ => {}
    }
    let mut out = BytesMut::new();
    put_packet(&mut out, kind, 0, &body);
    out.freeze()
}

//! What a client says first, and what it may ask for afterwards: CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT. Pure.

use bytes::Bytes;
use tokio::time::Instant;

use super::filter::Filter;
use super::message::Message;
use super::packet::{CONNECT, Packet, Refusal};
use super::property::{
    LARGEST_PACKET, METHOD, OF_CONNECT, OF_DISCONNECT, OF_SUBSCRIBE, OF_UNSUBSCRIBE, OF_WILL,
    RECEIVE_MAXIMUM, SESSION_EXPIRY, SUBSCRIPTION_ID, WILL_DELAY, number, properties,
};

/// Messages on their way to a client of 3.1.1, which cannot say how many it takes.
const WINDOW_V4: u16 = 100;

/// A session that is kept for ever (MQTT 5, section 3.1.2.11.2).
pub(super) const FOR_EVER: u32 = u32::MAX;

/// A client's CONNECT.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) is_v5: bool,
    /// Whether what is remembered of an earlier session is forgotten first.
    pub(super) is_clean: bool,
    /// How long it may be silent in seconds; 0: for ever.
    pub(super) keep_alive: u16,
    /// Empty: one is to be made.
    pub(super) client: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<Bytes>,
    pub(super) will: Option<Will>,
    /// For how many seconds the session is remembered after the connection.
    pub(super) remembered_s: u32,
    /// How many messages may be on their way to it.
    pub(super) window: u16,
    /// The largest packet that it takes.
    pub(super) largest: usize,
}

/// What is published for a client that is gone without a goodbye.
#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) message: Message,
    pub(super) delay_s: u32,
}

/// One filter of a SUBSCRIBE; none where it is not well formed.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) filter: Option<Filter>,
    pub(super) options: Subscription,
    /// When retained messages are told: 0 always, 1 if the subscription is new, 2 never.
    pub(super) retain_handling: u8,
}

/// How a filter is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subscription {
    /// 0 or 1.
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) id: Option<u32>,
}

impl Connect {
    /// Reads a client's first packet. A version that is not spoken here is told in that version's own words by
    /// the second half of the error: whether it is later than 3.1.1.
    pub(super) fn read(packet: &Packet, now: Instant) -> Result<Self, (Refusal, bool)> {
        if packet.kind() != CONNECT || packet.flags() != 0 {
            return Err((Refusal::Malformed, false));
        }
        let mut fields = packet.fields();
        let name = fields.text().map_err(|refusal| (refusal, false))?;
        let level = fields.u8().map_err(|refusal| (refusal, false))?;
        match (name.as_str(), level) {
            ("MQTT", 4 | 5) => {}
            ("MQTT", 6..) => return Err((Refusal::Version, true)),
            _ => return Err((Refusal::Version, false)),
        }
        let is_v5 = level == 5;
        Self::rest(fields, is_v5, now).map_err(|refusal| (refusal, is_v5))
    }

    fn rest(mut fields: super::packet::Fields, is_v5: bool, now: Instant) -> Result<Self, Refusal> {
        let flags = fields.u8()?;
        let will_qos = flags >> 3 & 0x03;
        let has_will = flags & 0x04 != 0;
        let is_clean = flags & 0x02 != 0;
        if flags & 0x01 != 0 || will_qos > 2 || !has_will && flags & 0x38 != 0 {
            return Err(Refusal::Malformed);
        }
        let keep_alive = fields.u16()?;
        let asked = if is_v5 { properties(&mut fields, OF_CONNECT)? } else { Vec::new() };
        if asked.iter().any(|property| property.id == METHOD) {
            return Err(Refusal::Method);
        }
        let client = fields.text()?;
        if client.is_empty() && !is_v5 && !is_clean {
            return Err(Refusal::ClientId);
        }
        let mut will = None;
        if has_will {
            let told = if is_v5 { properties(&mut fields, OF_WILL)? } else { Vec::new() };
            let delay_s = number(&told, WILL_DELAY).unwrap_or(0);
            let (topic, payload) = (fields.text()?, fields.binary()?);
            // Its expiry begins when it is published.
            let message = Message::new(topic, &payload, (will_qos, flags & 0x20 != 0), &told, now)?;
            will = Some(Will { message, delay_s });
        }
        let user = if flags & 0x80 != 0 { Some(fields.text()?) } else { None };
        let password = if flags & 0x40 != 0 { Some(fields.binary()?) } else { None };
        if !fields.is_empty() || !is_v5 && user.is_none() && password.is_some() {
            return Err(Refusal::Malformed);
        }
        let remembered_s = match (is_v5, is_clean) {
            (true, _) => number(&asked, SESSION_EXPIRY).unwrap_or(0),
            (false, true) => 0,
            (false, false) => FOR_EVER,
        };
        let window = number(&asked, RECEIVE_MAXIMUM).and_then(|number| u16::try_from(number).ok());
        let largest = number(&asked, LARGEST_PACKET).and_then(|number| usize::try_from(number).ok());
        Ok(Self {
            is_v5,
            is_clean,
            keep_alive,
            client,
            user,
            password,
            will,
            remembered_s,
            window: window.unwrap_or(if is_v5 { u16::MAX } else { WINDOW_V4 }).min(1_000),
            largest: largest.unwrap_or(usize::MAX),
        })
    }
}

/// Reads a SUBSCRIBE: its packet id and what is wanted.
pub(super) fn subscribe(packet: &Packet, is_v5: bool) -> Result<(u16, Vec<Wanted>), Refusal> {
    if packet.flags() != 2 {
        return Err(Refusal::Malformed);
    }
    let mut fields = packet.fields();
    let id = fields.id()?;
    let asked = if is_v5 { properties(&mut fields, OF_SUBSCRIBE)? } else { Vec::new() };
    let mut wanted = Vec::new();
    while !fields.is_empty() {
        let (filter, options) = (fields.text()?, fields.u8()?);
        let (qos, retain_handling) = (options & 0x03, options >> 4 & 0x03);
        if qos > 2 || retain_handling > 2 || options & 0xc0 != 0 || !is_v5 && options > 2 {
            return Err(Refusal::Malformed);
        }
        let options = Subscription {
            qos: qos.min(1),
            no_local: options & 0x04 != 0,
            retain_as_published: options & 0x08 != 0,
            id: number(&asked, SUBSCRIPTION_ID),
        };
        wanted.push(Wanted { filter: Filter::new(filter), options, retain_handling });
    }
    if wanted.is_empty() { Err(Refusal::NotAllowed) } else { Ok((id, wanted)) }
}

/// Reads an UNSUBSCRIBE: its packet id and the filters; none for one that is not well formed.
pub(super) fn unsubscribe(packet: &Packet, is_v5: bool) -> Result<(u16, Vec<Option<Filter>>), Refusal> {
    if packet.flags() != 2 {
        return Err(Refusal::Malformed);
    }
    let mut fields = packet.fields();
    let id = fields.id()?;
    if is_v5 {
        properties(&mut fields, OF_UNSUBSCRIBE)?;
    }
    let mut filters = Vec::new();
    while !fields.is_empty() {
        filters.push(Filter::new(fields.text()?));
    }
    if filters.is_empty() { Err(Refusal::NotAllowed) } else { Ok((id, filters)) }
}

/// A goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Goodbye {
    /// Whether the will is to be published all the same.
    pub(super) with_will: bool,
    /// For how long the session is remembered, where that is another time than the CONNECT said.
    pub(super) remembered_s: Option<u32>,
}

impl Goodbye {
    pub(super) fn read(packet: &Packet, is_v5: bool) -> Result<Self, Refusal> {
        let mut fields = packet.fields();
        let mut goodbye = Self { with_will: false, remembered_s: None };
        if is_v5 && !fields.is_empty() {
            goodbye.with_will = fields.u8()? != 0;
        }
        if is_v5 && !fields.is_empty() {
            goodbye.remembered_s = number(&properties(&mut fields, OF_DISCONNECT)?, SESSION_EXPIRY);
        }
        if packet.flags() != 0 || !fields.is_empty() { Err(Refusal::Malformed) } else { Ok(goodbye) }
    }
}

//! MQTT 3.1.1 spoken to a broker of MQTT 5, packet by packet. Pure.
//!
//! rumqttd breaks when a message with properties is for a client of 3.1.1, so to rumqttd every client speaks 5.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// Session expiry of a client of 3.1.1 that wants to be remembered: never (MQTT 5, section 3.1.2.11.2).
const REMEMBERED: [u8; 6] = [5, 0x11, 0xff, 0xff, 0xff, 0xff];

/// A packet as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    first: u8,
    body: Bytes,
}

/// A packet that no client, or no broker, may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet")]
pub(super) struct Malformed;

/// How one client speaks, as its CONNECT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Whether it speaks MQTT 5 itself.
    pub(super) is_v5: bool,
    /// Whether the broker forgets it when it leaves.
    transient: bool,
}

impl Packet {
    /// Takes the first whole packet of what was read; none while it is not whole.
    pub(super) fn take(read: &mut BytesMut, largest: usize) -> Result<Option<Self>, Malformed> {
        let Some(&first) = read.first() else { return Ok(None) };
        let Some((length, header)) = variable_length(read.get(1..).unwrap_or_default())? else {
            return Ok(None);
        };
        if length > largest {
            return Err(Malformed);
        }
        if read.len() < 1 + header + length {
            return Ok(None);
        }
        read.advance(1 + header);
        Ok(Some(Self { first, body: read.split_to(length).freeze() }))
    }

    /// The packet as bytes.
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.body.len() + 5);
        bytes.put_u8(self.first);
        put_variable_length(&mut bytes, self.body.len());
        bytes.extend_from_slice(&self.body);
        bytes.freeze()
    }

    /// Whether the client says that it leaves.
    pub(super) fn is_goodbye(&self) -> bool {
        self.kind() == DISCONNECT
    }

    fn kind(&self) -> u8 {
        self.first >> 4
    }

    fn with_body(&self, body: BytesMut) -> Self {
        Self { first: self.first, body: body.freeze() }
    }
}

impl Dialect {
    /// Reads a client's first packet: how it speaks, and what the broker is told instead.
    pub(super) fn of(connect: &Packet) -> Result<(Self, Packet), Malformed> {
        if connect.first != CONNECT << 4 {
            return Err(Malformed);
        }
        let mut rest = connect.body.clone();
        let name = text(&mut rest)?;
        if name != "MQTT" || rest.len() < 4 {
            return Err(Malformed);
        }
        let (level, flags, keep_alive) = (rest.get_u8(), rest.get_u8(), rest.get_u16());
        let dialect = Self { is_v5: level == 5, transient: flags & 0x02 != 0 };
        let mut body = BytesMut::from(&b"\x00\x04MQTT\x05"[..]);
        body.put_u8(flags);
        // rumqttd takes no client that never pings; it may ping every 18 hours.
        body.put_u16(if keep_alive == 0 { u16::MAX } else { keep_alive });
        match level {
            5 => body.extend_from_slice(&rest),
            4 => {
                body.extend_from_slice(if dialect.transient { &[0] } else { &REMEMBERED });
                put_text(&mut body, &text(&mut rest)?);
                if flags & 0x04 != 0 {
                    // The properties of the will.
                    body.put_u8(0);
                }
                body.extend_from_slice(&rest);
            }
            _ => return Err(Malformed),
        }
        Ok((dialect, connect.with_body(body)))
    }

    /// What the broker is told when the client sends this.
    pub(super) fn to_broker(self, packet: Packet) -> Result<Packet, Malformed> {
        match packet.kind() {
            PUBLISH if !self.is_v5 => {
                let (before, payload) = split_publish(&packet)?;
                let mut body = BytesMut::from(&before[..]);
                body.put_u8(0);
                body.extend_from_slice(&payload);
                Ok(packet.with_body(body))
            }
            SUBSCRIBE => self.subscribe(&packet),
            UNSUBSCRIBE if !self.is_v5 => {
                let mut rest = packet.body.clone();
                let mut body = BytesMut::new();
                body.put_u16(id(&mut rest)?);
                body.put_u8(0);
                body.extend_from_slice(&rest);
                Ok(packet.with_body(body))
            }
            PINGREQ if packet.body.is_empty() => Ok(packet),
            PUBLISH..=7 | UNSUBSCRIBE | DISCONNECT => Ok(packet),
            _ => Err(Malformed),
        }
    }

    /// A subscription; who is forgotten when it leaves is granted QoS 0, which over one connection loses nothing:
    /// rumqttd drops all but 100 retained messages of a subscription with more.
    fn subscribe(self, packet: &Packet) -> Result<Packet, Malformed> {
        let mut rest = packet.body.clone();
        let mut body = BytesMut::new();
        body.put_u16(id(&mut rest)?);
        if self.is_v5 {
            let (length, header) = variable_length(&rest)?.ok_or(Malformed)?;
            body.extend_from_slice(&cut(&mut rest, header + length)?);
        } else {
            body.put_u8(0);
        }
        while !rest.is_empty() {
            put_text(&mut body, &text(&mut rest)?);
            let options = cut(&mut rest, 1)?.get_u8();
            body.put_u8(if self.transient { options & !0x03 } else { options });
        }
        Ok(packet.with_body(body))
    }

    /// What the client is told when the broker sends this; none where 3.1.1 has no such packet.
    pub(super) fn to_client(self, packet: Packet) -> Result<Option<Packet>, Malformed> {
        if self.is_v5 {
            return Ok(Some(packet));
        }
        let mut rest = packet.body.clone();
        let mut body = BytesMut::new();
        match packet.kind() {
            CONNACK => {
                let mut head = cut(&mut rest, 2)?;
                body.put_u8(head.get_u8());
                body.put_u8(return_code(head.get_u8()));
            }
            PUBLISH => {
                let (before, mut payload) = split_publish(&packet)?;
                let (length, header) = variable_length(&payload)?.ok_or(Malformed)?;
                cut(&mut payload, header + length)?;
                body.extend_from_slice(&before);
                body.extend_from_slice(&payload);
            }
            SUBACK => {
                body.put_u16(id(&mut rest)?);
                let (length, header) = variable_length(&rest)?.ok_or(Malformed)?;
                cut(&mut rest, header + length)?;
                body.extend(rest.iter().map(|code| if *code >= 0x80 { 0x80 } else { *code }));
            }
            4..=7 | UNSUBACK => body.put_u16(id(&mut rest)?),
            DISCONNECT => return Ok(None),
            _ => return Ok(Some(packet)),
        }
        Ok(Some(packet.with_body(body)))
    }

    /// What a client is told that the broker turned away without a word: not authorised.
    pub(super) fn turned_away(self) -> &'static [u8] {
        if self.is_v5 { &[0x20, 3, 0, 0x87, 0] } else { &[0x20, 2, 0, 5] }
    }
}

/// A reason of MQTT 5 as 3.1.1 knows it (MQTT 3.1.1, section 3.2.2.3).
fn return_code(reason: u8) -> u8 {
    match reason {
        0 => 0,
        0x84 => 1,
        0x85 => 2,
        0x86 => 4,
        0x87 | 0x8a => 5,
        _ => 3,
    }
}

/// A PUBLISH up to its packet id, and what follows.
fn split_publish(packet: &Packet) -> Result<(Bytes, Bytes), Malformed> {
    let mut rest = packet.body.clone();
    let topic = usize::from(id(&mut rest)?);
    let has_id = packet.first & 0x06 != 0;
    let length = 2 + topic + if has_id { 2 } else { 0 };
    if packet.body.len() < length {
        return Err(Malformed);
    }
    Ok((packet.body.slice(..length), packet.body.slice(length..)))
}

fn id(rest: &mut Bytes) -> Result<u16, Malformed> {
    Ok(cut(rest, 2)?.get_u16())
}

fn text(rest: &mut Bytes) -> Result<String, Malformed> {
    let length = usize::from(id(rest)?);
    String::from_utf8(cut(rest, length)?.to_vec()).ok().ok_or(Malformed)
}

fn put_text(body: &mut BytesMut, text: &str) {
    body.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    body.extend_from_slice(text.as_bytes());
}

fn cut(rest: &mut Bytes, length: usize) -> Result<Bytes, Malformed> {
    if rest.len() < length { Err(Malformed) } else { Ok(rest.split_to(length)) }
}

/// A number of one to four bytes (MQTT 3.1.1, section 2.2.3) and how many they are; none while it is not whole.
fn variable_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((length, place + 1)));
        }
    }
    if bytes.len() >= 4 { Err(Malformed) } else { Ok(None) }
}

fn put_variable_length(bytes: &mut BytesMut, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        bytes.put_u8(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: Dialect = Dialect { is_v5: false, transient: false };
    const V4_CLEAN: Dialect = Dialect { is_v5: false, transient: true };
    const V5_CLEAN: Dialect = Dialect { is_v5: true, transient: true };

    fn packet(hex: &str) -> Packet {
        let mut read = BytesMut::from(&hex::decode(hex).unwrap()[..]);
        let packet = Packet::take(&mut read, 1 << 20).unwrap().unwrap();
        assert!(read.is_empty());
        packet
    }

    fn printed(packet: &Packet) -> String {
        hex::encode(packet.encode())
    }

    #[test]
    fn a_connect_of_either_version_becomes_one_of_5() {
        for (sent, told, is_v5) in [
            // Clean session, client "a".
            ("100d00044d51545404 02 003c 0001 61", "100e00044d51545405 02 003c 00 0001 61", false),
            // Remembered, keep alive 0.
            ("100d00044d51545404 00 0000 0001 61", "101300044d51545405 00 ffff 0511ffffffff 0001 61", false),
            // A will.
            (
                "101300044d51545404 06 003c 0001 61 0001 74 0001 6d",
                "101500044d51545405 06 003c 00 0001 61 00 0001 74 0001 6d",
                false,
            ),
            ("100e00044d51545405 02 003c 00 0001 61", "100e00044d51545405 02 003c 00 0001 61", true),
        ] {
            let (dialect, connect) = Dialect::of(&packet(&sent.replace(' ', ""))).unwrap();
            assert_eq!((printed(&connect), dialect.is_v5), (told.replace(' ', ""), is_v5), "{sent}");
        }
        for wrong in ["100c00064d514973647003", "c000", "100200", "1009000448545450040200"] {
            let mut read = BytesMut::from(&hex::decode(wrong).unwrap()[..]);
            if let Ok(Some(packet)) = Packet::take(&mut read, 1 << 20) {
                assert_eq!(Dialect::of(&packet), Err(Malformed), "{wrong}");
            }
        }
    }

    #[test]
    fn packets_of_a_client_of_3_1_1_gain_what_5_wants() {
        for (dialect, sent, told) in [
            (V4, "3205 0001 74 0007", "3206 0001 74 0007 00"),
            (V4, "3004 0001 74 70", "3005 0001 74 00 70"),
            (V4, "8206 0001 0001 74 01", "8207 0001 00 0001 74 01"),
            (V4_CLEAN, "8206 0001 0001 74 01", "8207 0001 00 0001 74 00"),
            (V5_CLEAN, "8207 0001 00 0001 74 2d", "8207 0001 00 0001 74 2c"),
            (V4, "a205 0001 0001 74", "a206 0001 00 0001 74"),
            (V4, "4002 0001", "4002 0001"),
            (V4, "c000", "c000"),
            (V4, "e000", "e000"),
        ] {
            let got = dialect.to_broker(packet(&sent.replace(' ', ""))).unwrap();
            assert_eq!(printed(&got), told.replace(' ', ""), "{sent}");
        }
        for wrong in ["c00100", "f000", "2002 0000", "3001 00", "8203 0001 00"] {
            assert!(V4.to_broker(packet(&wrong.replace(' ', ""))).is_err(), "{wrong}");
        }
    }

    #[test]
    fn packets_for_a_client_of_3_1_1_lose_what_it_does_not_know() {
        for (sent, told) in [
            ("2003 01 00 00", Some("2002 01 00")),
            ("2003 00 86 00", Some("2002 00 04")),
            ("3009 0001 74 03 010101 7071", Some("3005 0001 74 7071")),
            ("9005 0001 00 01 87", Some("9004 0001 01 80")),
            ("4004 0001 00 00", Some("4002 0001")),
            ("b004 0001 00 00", Some("b002 0001")),
            ("d000", Some("d000")),
            ("e001 8e", None),
        ] {
            let got = V4.to_client(packet(&sent.replace(' ', ""))).unwrap();
            assert_eq!(got.as_ref().map(printed), told.map(|told| told.replace(' ', "")), "{sent}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_translated_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            is_v5 in any::<bool>(),
            transient in any::<bool>(),
        ) {
            let dialect = Dialect { is_v5, transient };
            let mut read = BytesMut::from(&bytes[..]);
            while let Ok(Some(packet)) = Packet::take(&mut read, 1000) {
                drop(Dialect::of(&packet));
                drop(dialect.to_broker(packet.clone()));
                drop(dialect.to_client(packet));
            }
        }

        #[test]
        fn a_message_goes_through_the_broker_unchanged(
            topic in "[a-z/]{1,20}",
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            qos in 0_u8..3,
        ) {
            let mut body = BytesMut::new();
            put_text(&mut body, &topic);
            if qos > 0 {
                body.put_u16(7);
            }
            body.extend_from_slice(&payload);
            let sent = Packet { first: PUBLISH << 4 | qos << 1, body: body.freeze() };
            let there = V4.to_broker(sent.clone()).unwrap();
            prop_assert_eq!(V4.to_client(there).unwrap(), Some(sent));
        }
    }
}

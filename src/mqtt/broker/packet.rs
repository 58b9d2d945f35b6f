//! MQTT packets as they travel: framing, numbers, texts, and why one is refused. Pure.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

pub(super) const CONNECT: u8 = 1;
pub(super) const CONNACK: u8 = 2;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const UNSUBACK: u8 = 11;
pub(super) const PINGREQ: u8 = 12;
pub(super) const PINGRESP: u8 = 13;
pub(super) const DISCONNECT: u8 = 14;

/// Why a client is turned away or let go, with its reason of MQTT 5 (section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(super) enum Refusal {
    #[error("malformed packet")]
    Malformed = 0x81,
    #[error("packet that is not allowed here")]
    NotAllowed = 0x82,
    #[error("a version of the protocol other than 3.1.1 and 5")]
    Version = 0x84,
    #[error("client id that is empty in a session to be remembered")]
    ClientId = 0x85,
    #[error("wrong user or password")]
    Login = 0x86,
    #[error("the broker ends")]
    Ending = 0x8b,
    #[error("an authentication method that is not known")]
    Method = 0x8c,
    #[error("nothing heard for too long")]
    Silence = 0x8d,
    #[error("another client has the same id")]
    TakenOver = 0x8e,
    #[error("topic with wildcards, or none")]
    Topic = 0x90,
    #[error("topic alias")]
    Alias = 0x94,
    #[error("packet that is too large")]
    TooLarge = 0x95,
    #[error("no room")]
    NoRoom = 0x97,
}

impl Refusal {
    /// As MQTT 5 says it.
    pub(super) fn reason(self) -> u8 {
        self as u8
    }

    /// As the CONNACK of 3.1.1 says it (section 3.2.2.3).
    pub(super) fn return_code(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::ClientId => 2,
            Self::Login | Self::Method => 5,
            _ => 3,
        }
    }
}

/// A packet without its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    first: u8,
    body: Bytes,
}

impl Packet {
    /// Takes the first whole packet of what was read; none while it is not whole.
    pub(super) fn take(read: &mut BytesMut, largest: usize) -> Result<Option<Self>, Refusal> {
        let Some(&first) = read.first() else { return Ok(None) };
        let Some((length, header)) = variable_length(read.get(1..).unwrap_or_default())? else {
            return Ok(None);
        };
        if length > largest {
            return Err(Refusal::TooLarge);
        }
        if read.len() < 1 + header + length {
            // Room for all of it at once, instead of by doubling.
            read.reserve(1 + header + length - read.len());
            return Ok(None);
        }
        read.advance(1 + header);
        Ok(Some(Self { first, body: read.split_to(length).freeze() }))
    }

    pub(super) fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The four bits beside the kind.
    pub(super) fn flags(&self) -> u8 {
        self.first & 0x0f
    }

    pub(super) fn fields(&self) -> Fields {
        Fields(self.body.clone())
    }
}

/// Appends a packet.
pub(super) fn put_packet(out: &mut BytesMut, kind: u8, flags: u8, body: &[u8]) {
    out.put_u8(kind << 4 | flags);
    put_variable(out, u32::try_from(body.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(body);
}

/// What of a packet is not read yet.
#[derive(Debug, Clone)]
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> Result<u8, Refusal> {
        Ok(self.cut(1)?.get_u8())
    }

    pub(super) fn u16(&mut self) -> Result<u16, Refusal> {
        Ok(self.cut(2)?.get_u16())
    }

    pub(super) fn u32(&mut self) -> Result<u32, Refusal> {
        Ok(self.cut(4)?.get_u32())
    }

    /// A packet id, which is never 0.
    pub(super) fn id(&mut self) -> Result<u16, Refusal> {
        match self.u16()? {
            0 => Err(Refusal::Malformed),
            id => Ok(id),
        }
    }

    /// A number of one to four bytes.
    pub(super) fn variable(&mut self) -> Result<u32, Refusal> {
        let (number, length) = variable_length(&self.0)?.ok_or(Refusal::Malformed)?;
        self.0.advance(length);
        u32::try_from(number).ok().ok_or(Refusal::Malformed)
    }

    pub(super) fn binary(&mut self) -> Result<Bytes, Refusal> {
        let length = usize::from(self.u16()?);
        self.cut(length)
    }

    /// A text; U+0000 has no place in one (section 1.5.4).
    pub(super) fn text(&mut self) -> Result<String, Refusal> {
        let text = String::from_utf8(self.binary()?.to_vec()).ok().ok_or(Refusal::Malformed)?;
        if text.contains('\0') { Err(Refusal::Malformed) } else { Ok(text) }
    }

    /// The next so many bytes as fields of their own.
    pub(super) fn part(&mut self, length: usize) -> Result<Self, Refusal> {
        self.cut(length).map(Self)
    }

    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// What has been read since the fields were like this.
    pub(super) fn since(&self, before: &Self) -> Bytes {
        before.0.slice(..before.0.len().saturating_sub(self.0.len()))
    }

    fn cut(&mut self, length: usize) -> Result<Bytes, Refusal> {
        if self.0.len() < length { Err(Refusal::Malformed) } else { Ok(self.0.split_to(length)) }
    }
}

impl From<Bytes> for Fields {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

/// A number of one to four bytes (MQTT 3.1.1, section 2.2.3) and how many they are; none while it is not whole.
fn variable_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Refusal> {
    let mut length = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((length, place + 1)));
        }
    }
    if bytes.len() >= 4 { Err(Refusal::Malformed) } else { Ok(None) }
}

pub(super) fn put_variable(out: &mut BytesMut, mut number: u32) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        out.put_u8(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return;
        }
    }
}

pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    // Every text that is sent came in as one, or is a client id made here: its length fits.
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_one_by_one_and_only_whole() {
        let mut read = BytesMut::from(&[0xc0, 0x00, 0x32, 0x03, 0x01][..]);
        let ping = Packet::take(&mut read, 10).unwrap().unwrap();
        assert_eq!((ping.kind(), ping.flags(), ping.fields().is_empty()), (PINGREQ, 0, true));
        assert_eq!(Packet::take(&mut read, 10), Ok(None));
        read.extend_from_slice(&[2, 3]);
        let publish = Packet::take(&mut read, 10).unwrap().unwrap();
        assert_eq!(
            (publish.kind(), publish.flags(), publish.fields().rest().to_vec()),
            (3, 2, vec![1, 2, 3])
        );
        assert_eq!(Packet::take(&mut BytesMut::from(&[0x30, 11][..]), 10), Err(Refusal::TooLarge));
        let endless = Packet::take(&mut BytesMut::from(&[0x30, 0x80, 0x80, 0x80, 0x80][..]), 10);
        assert_eq!(endless, Err(Refusal::Malformed));
    }

    #[test]
    fn numbers_of_any_length_are_read_as_they_were_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut out = BytesMut::new();
            put_variable(&mut out, number);
            assert_eq!(Fields(out.freeze()).variable(), Ok(number));
        }
    }
}

//! A message from the PUBLISH that brought it to the PUBLISH that takes it on, in either version. Pure.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::time::Instant;

use super::filter::is_topic;
use super::packet::{Fields, PUBLISH, Packet, Refusal, put_packet, put_text, put_variable};
use super::property::{ALIAS, EXPIRY, OF_PUBLISH, Property, SUBSCRIPTION_ID, WILL_DELAY, number, properties};

/// What somebody published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// When nobody is to have it any more.
    pub(super) expires: Option<Instant>,
    /// Those of MQTT 5 that are passed on unchanged, as they travel.
    properties: Bytes,
}

/// A PUBLISH of a client; `id` is 0 for QoS 0.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) id: u16,
    pub(super) message: Message,
}

/// How a message is told to one client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) is_v5: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Whether it may have been told before.
    pub(super) again: bool,
    /// 0 for QoS 0.
    pub(super) id: u16,
    /// The identifiers of the subscriptions that asked for it.
    pub(super) subscriptions: &'a [u32],
}

impl Publish {
    pub(super) fn read(packet: &Packet, is_v5: bool, now: Instant) -> Result<Self, Refusal> {
        let (flags, mut fields) = (packet.flags(), packet.fields());
        let qos = flags >> 1 & 0x03;
        if qos > 2 || qos == 0 && flags & 0x08 != 0 {
            return Err(Refusal::Malformed);
        }
        let topic = fields.text()?;
        let id = if qos > 0 { fields.id()? } else { 0 };
        let properties = if is_v5 { properties(&mut fields, OF_PUBLISH)? } else { Vec::new() };
        // None were offered.
        if number(&properties, ALIAS).is_some() {
            return Err(Refusal::Alias);
        }
        let message = Message::new(topic, &fields.rest(), (qos, flags & 0x01 != 0), &properties, now)?;
        Ok(Self { id, message })
    }
}

impl Message {
    /// A message with its QoS and whether it is retained.
    pub(super) fn new(
        topic: String,
        payload: &[u8],
        (qos, retain): (u8, bool),
        properties: &[Property],
        now: Instant,
    ) -> Result<Self, Refusal> {
        if !is_topic(&topic) {
            return Err(Refusal::Topic);
        }
        let expiry = number(properties, EXPIRY).map(|seconds| Duration::from_secs(seconds.into()));
        let kept = properties.iter().filter(|property| ![EXPIRY, WILL_DELAY].contains(&property.id));
        let mut raw = BytesMut::new();
        for property in kept {
            raw.extend_from_slice(&property.raw);
        }
        let expires = expiry.and_then(|expiry| now.checked_add(expiry));
        // A copy: what is kept must not hold on to the buffer that it was read into.
        let payload = Bytes::copy_from_slice(payload);
        Ok(Self { topic, payload, qos, retain, expires, properties: raw.freeze() })
    }

    /// How much memory it takes, about.
    pub(super) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + 100
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Appends the PUBLISH that tells it.
    pub(super) fn put(&self, out: &mut BytesMut, telling: Telling<'_>, now: Instant) {
        let mut body = BytesMut::with_capacity(self.size());
        put_text(&mut body, &self.topic);
        if telling.qos > 0 {
            body.put_u16(telling.id);
        }
        if telling.is_v5 {
            let mut properties = BytesMut::new();
            if let Some(expires) = self.expires {
                let left = expires.saturating_duration_since(now).as_secs();
                properties.put_u8(EXPIRY);
                properties.put_u32(u32::try_from(left).unwrap_or(u32::MAX).max(1));
            }
            for subscription in telling.subscriptions {
                properties.put_u8(SUBSCRIPTION_ID);
                put_variable(&mut properties, *subscription);
            }
            properties.extend_from_slice(&self.properties);
            put_variable(&mut body, u32::try_from(properties.len()).unwrap_or(u32::MAX));
            body.extend_from_slice(&properties);
        }
        body.extend_from_slice(&self.payload);
        let flags = u8::from(telling.again) << 3 | telling.qos << 1 | u8::from(telling.retain);
        put_packet(out, PUBLISH, flags, &body);
    }
}

/// The packet id of an acknowledgement, whatever else it says.
pub(super) fn acknowledged(packet: &Packet, is_v5: bool) -> Result<u16, Refusal> {
    let mut fields: Fields = packet.fields();
    let id = fields.id()?;
    if !is_v5 && !fields.is_empty() {
        return Err(Refusal::Malformed);
    }
    if !fields.is_empty() {
        fields.u8()?;
    }
    if !fields.is_empty() {
        properties(&mut fields, super::property::OF_ACKNOWLEDGEMENT)?;
    }
    if fields.is_empty() { Ok(id) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(hex: &str) -> Packet {
        let mut read = BytesMut::from(&hex::decode(hex.replace(' ', "")).unwrap()[..]);
        Packet::take(&mut read, 1 << 20).unwrap().unwrap()
    }

    fn told(message: &Message, telling: Telling<'_>, now: Instant) -> String {
        let mut out = BytesMut::new();
        message.put(&mut out, telling, now);
        hex::encode(out)
    }

    #[test]
    fn a_message_is_told_in_either_version_with_what_the_version_knows() {
        let now = Instant::now();
        let sent = "33 14 0001 74 0007 0c 02 00000009 03 0002 6a73 01 01 7071";
        let publish = Publish::read(&packet(sent), true, now).unwrap();
        assert_eq!((publish.id, publish.message.qos, publish.message.retain), (7, 1, true));
        let as_v4 = Telling { is_v5: false, qos: 1, retain: false, again: true, id: 3, subscriptions: &[] };
        assert_eq!(told(&publish.message, as_v4, now), "3a0700017400037071");
        let as_v5 = Telling { is_v5: true, qos: 0, retain: true, again: false, id: 0, subscriptions: &[5] };
        let later = now + Duration::from_secs(4);
        assert_eq!(told(&publish.message, as_v5, later), "31140001740e02000000050b050300026a7301017071");
        assert!(
            !publish.message.is_expired(later) && publish.message.is_expired(now + Duration::from_secs(9))
        );
    }

    #[test]
    fn publishes_that_are_none_are_refused() {
        for (hex, is_v5, refusal) in [
            ("36 05 0001 74 0007", false, Refusal::Malformed),
            ("38 03 0001 74", false, Refusal::Malformed),
            ("32 05 0001 74 0000", false, Refusal::Malformed),
            ("30 02 0000", false, Refusal::Topic),
            ("30 03 0001 2b", false, Refusal::Topic),
            ("30 03 0001 00", false, Refusal::Malformed),
            ("30 03 0001 ff", false, Refusal::Malformed),
            ("30 07 0001 74 03 23 0001", true, Refusal::Alias),
            ("30 06 0001 74 02 0b 01", true, Refusal::NotAllowed),
            ("30 03 0001 74", true, Refusal::Malformed),
            ("30 01 00", true, Refusal::Malformed),
        ] {
            let read = Publish::read(&packet(hex), is_v5, Instant::now());
            assert_eq!(read.err(), Some(refusal), "{hex}");
        }
    }

    #[test]
    fn acknowledgements_name_a_packet() {
        for (hex, is_v5, expected) in [
            ("40 02 0007", false, Ok(7)),
            ("40 03 0007 10", true, Ok(7)),
            ("40 08 0007 87 04 1f 0001 61", true, Ok(7)),
            ("40 02 0000", true, Err(Refusal::Malformed)),
            ("40 03 0007 10", false, Err(Refusal::Malformed)),
            ("40 01 00", true, Err(Refusal::Malformed)),
        ] {
            assert_eq!(acknowledged(&packet(hex), is_v5), expected, "{hex}");
        }
    }
}

//! How one version of the protocol writes and reads its packets, by rumqttc's codecs.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::fault::Fault;
use super::message::Publish;
use super::options::Options;
use super::session::{Connected, Incoming};
use super::window::Verdict;
use super::{v4, v5};
use crate::config::Protocol;

/// A packet that could not be written; whatever stands of it is to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unwritable;

/// What came in.
#[derive(Debug)]
pub(super) enum Packet {
    /// The broker let us in.
    Connected(Connected),
    /// It has answered this publish.
    Acked(u16, Verdict),
    /// A message.
    Message(Incoming),
    /// How many of the subscriptions it refused.
    Subscribed { refused: usize },
    /// The answer to a ping.
    Pong,
}

/// One version of the protocol.
pub(super) trait Packets: fmt::Debug + Send + Sync {
    fn connect(&self, options: &Options, into: &mut BytesMut) -> Result<(), Unwritable>;
    /// With QoS 1.
    fn publish(&self, publish: &Publish, packet: u16, into: &mut BytesMut) -> Result<(), Unwritable>;
    fn publish_at_most_once(
        &self,
        topic: &str,
        payload: Bytes,
        into: &mut BytesMut,
    ) -> Result<(), Unwritable>;
    fn acknowledge(&self, packet: u16, into: &mut BytesMut) -> Result<(), Unwritable>;
    fn subscribe(&self, packet: u16, filters: &[String], into: &mut BytesMut) -> Result<(), Unwritable>;
    fn ping(&self, into: &mut BytesMut) -> Result<(), Unwritable>;
    fn disconnect(&self, into: &mut BytesMut) -> Result<(), Unwritable>;
    /// Takes the next whole packet out of what came in; none while there is none.
    fn read(&self, from: &mut BytesMut) -> Result<Option<Packet>, Fault>;
}

/// What a codec of rumqttc's says of what it wrote.
pub(super) fn written<E>(result: Result<usize, E>) -> Result<(), Unwritable> {
    result.map(drop).map_err(|_error| Unwritable)
}

pub(super) fn of(protocol: Protocol) -> &'static dyn Packets {
    match protocol {
        Protocol::V4 => &v4::V4,
        Protocol::V5 => &v5::V5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::message::Properties;

    fn publish(payload: &[u8]) -> Publish {
        Publish {
            topic: "sigfox2mqtt/device/1A2B3C/event/up".to_owned(),
            payload: Bytes::copy_from_slice(payload),
            retain: true,
            properties: Properties {
                content_type: Some("application/json"),
                user: vec![("uplink", "1A2B3C-1789000000-251".to_owned())],
                ..Properties::default()
            },
        }
    }

    #[test]
    fn no_packet_is_larger_than_was_reckoned() {
        for protocol in [Protocol::V4, Protocol::V5] {
            for length in [0, 1, 100, 200, 20_000, 3_000_000] {
                let (mut bytes, publish) = (BytesMut::new(), publish(&vec![b'x'; length]));
                of(protocol).publish(&publish, 7, &mut bytes).unwrap();
                assert!(bytes.len() <= publish.packet_size(), "{protocol:?} {length}");
            }
        }
    }

    #[test]
    fn packets_that_come_in_pieces_are_read_when_they_are_whole() {
        for (protocol, bytes) in [
            // PUBACK of 7 and of 8, PINGRESP.
            (Protocol::V4, &[0x40, 2, 0, 7, 0x40, 2, 0, 8, 0xD0, 0][..]),
            (Protocol::V5, &[0x40, 2, 0, 7, 0x40, 3, 0, 8, 0, 0xD0, 0][..]),
        ] {
            for cut in 0..bytes.len() {
                let (mut from, mut read) = (BytesMut::new(), Vec::new());
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    from.extend_from_slice(piece);
                    while let Some(packet) = of(protocol).read(&mut from).unwrap() {
                        read.push(packet);
                    }
                }
                assert!(
                    matches!(
                        read[..],
                        [Packet::Acked(7, Verdict::Taken), Packet::Acked(8, Verdict::Taken), Packet::Pong]
                    ),
                    "{protocol:?} {cut}: {read:?}"
                );
            }
        }
    }

    #[test]
    fn what_no_broker_sends_ends_the_connection() {
        for protocol in [Protocol::V4, Protocol::V5] {
            // PUBREC (of QoS 2, which we never use), CONNECT, a remaining length that does not end, a type that does not exist.
            for bytes in
                [&[0x50, 2, 0, 7][..], &[0x10, 2, 0, 0], &[0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &[0x00, 0]]
            {
                let read = of(protocol).read(&mut BytesMut::from(bytes));
                assert!(read.is_err(), "{protocol:?} {bytes:?}: {read:?}");
            }
        }
    }
}

//! The packets of MQTT 3.1.1.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::Error;
use rumqttc::{
    Connect, ConnectReturnCode, Disconnect, LastWill, Packet as Read, PingReq, PubAck, Publish as Written,
    QoS, Subscribe, SubscribeFilter, SubscribeReasonCode,
};
use secrecy::ExposeSecret as _;

use super::fault::Fault;
use super::message::Publish;
use super::options::{KEEP_ALIVE_S, LARGEST_INCOMING, Options};
use super::packets::{Packet, Packets, Unwritable, written};
use super::session::{Connected, Incoming};
use super::window::Verdict;

#[derive(Debug)]
pub(super) struct V4;

impl Packets for V4 {
    fn connect(&self, options: &Options, into: &mut BytesMut) -> Result<(), Unwritable> {
        let mut connect = Connect::new(&options.client_id);
        connect.keep_alive = KEEP_ALIVE_S;
        connect.clean_session = options.clean;
        if let Some((user, password)) = &options.credentials {
            connect.set_login(user, password.expose_secret());
        }
        connect.last_will = options
            .will
            .as_ref()
            .map(|will| LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, will.retain));
        written(connect.write(into))
    }

    fn publish(&self, publish: &Publish, packet: u16, into: &mut BytesMut) -> Result<(), Unwritable> {
        let mut written_as = Written::from_bytes(&publish.topic, QoS::AtLeastOnce, publish.payload.clone());
        (written_as.pkid, written_as.retain) = (packet, publish.retain);
        written(written_as.write(into))
    }

    fn publish_at_most_once(
        &self,
        topic: &str,
        payload: Bytes,
        into: &mut BytesMut,
    ) -> Result<(), Unwritable> {
        written(Written::from_bytes(topic, QoS::AtMostOnce, payload).write(into))
    }

    fn acknowledge(&self, packet: u16, into: &mut BytesMut) -> Result<(), Unwritable> {
        written(PubAck::new(packet).write(into))
    }

    fn subscribe(&self, packet: u16, filters: &[String], into: &mut BytesMut) -> Result<(), Unwritable> {
        let filters = filters.iter().map(|path| SubscribeFilter::new(path.clone(), QoS::AtLeastOnce));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = packet;
        written(subscribe.write(into))
    }

    fn ping(&self, into: &mut BytesMut) -> Result<(), Unwritable> {
        written(PingReq.write(into))
    }

    fn disconnect(&self, into: &mut BytesMut) -> Result<(), Unwritable> {
        written(Disconnect.write(into))
    }

    fn read(&self, from: &mut BytesMut) -> Result<Option<Packet>, Fault> {
        let packet = match Read::read(from, LARGEST_INCOMING) {
            Err(Error::InsufficientBytes(_)) => return Ok(None),
            Err(Error::PayloadSizeLimitExceeded(_)) => return Err(Fault::TooLargeForUs),
            Err(error) => return Err(Fault::of(&error)),
            Ok(packet) => packet,
        };
        Ok(Some(match packet {
            Read::ConnAck(connack) if connack.code == ConnectReturnCode::Success => {
                Packet::Connected(Connected {
                    session_present: connack.session_present,
                    receive_maximum: None,
                    largest_packet: None,
                    retain_available: true,
                    keep_alive_s: None,
                })
            }
            Read::ConnAck(connack) => return Err(refusal(connack.code)),
            Read::PubAck(puback) => Packet::Acked(puback.pkid, Verdict::Taken),
            Read::Publish(publish) if publish.qos != QoS::ExactlyOnce => Packet::Message(Incoming {
                topic: publish.topic,
                payload: publish.payload,
                retain: publish.retain,
                dup: publish.dup,
                packet: publish.pkid,
                response_topic: None,
                correlation: None,
            }),
            Read::SubAck(suback) => {
                let is_refused = |code: &&SubscribeReasonCode| **code == SubscribeReasonCode::Failure;
                Packet::Subscribed { refused: suback.return_codes.iter().filter(is_refused).count() }
            }
            Read::PingResp => Packet::Pong,
            _ => return Err(Fault::unexpected()),
        }))
    }
}

fn refusal(code: ConnectReturnCode) -> Fault {
    match code {
        ConnectReturnCode::BadUserNamePassword => Fault::bad_password(),
        ConnectReturnCode::NotAuthorized => Fault::not_authorised(),
        ConnectReturnCode::BadClientId => Fault::bad_client_id(),
        ConnectReturnCode::RefusedProtocolVersion => Fault::wrong_protocol("3.1.1"),
        other => Fault::Lost(format!("the broker turns us away ({other:?})")),
    }
}

//! The packets of MQTT 5.

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Filter, LastWill,
    LastWillProperties, Login, Packet as Read, PingReq, PubAck, PubAckReason, Publish as Written,
    PublishProperties, Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use secrecy::ExposeSecret as _;

use super::INBOX;
use super::fault::Fault;
use super::message::{Properties, Publish};
use super::options::{KEEP_ALIVE_S, LARGEST_INCOMING, Options, SESSION_EXPIRY_S, Will};
use super::packets::{Packet, Packets, Unwritable, written};
use super::session::{Connected, Incoming};
use super::window::Verdict;

#[derive(Debug)]
pub(super) struct V5;

impl Packets for V5 {
    fn connect(&self, options: &Options, into: &mut BytesMut) -> Result<(), Unwritable> {
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(SESSION_EXPIRY_S);
        properties.receive_maximum = Some(INBOX);
        properties.max_packet_size = u32::try_from(LARGEST_INCOMING).ok();
        let connect = Connect {
            keep_alive: KEEP_ALIVE_S,
            client_id: options.client_id.clone(),
            clean_start: options.clean,
            properties: Some(properties),
        };
        let login = options.credentials.as_ref();
        let login = login.map(|(user, password)| Login::new(user, password.expose_secret()));
        written(connect.write(&options.will.as_ref().map(testament), &login, into))
    }

    fn publish(&self, publish: &Publish, packet: u16, into: &mut BytesMut) -> Result<(), Unwritable> {
        let packet = Written {
            qos: QoS::AtLeastOnce,
            retain: publish.retain,
            topic: Bytes::copy_from_slice(publish.topic.as_bytes()),
            pkid: packet,
            payload: publish.payload.clone(),
            properties: Some(properties(&publish.properties)),
            ..Written::default()
        };
        written(packet.write(into))
    }

    fn publish_at_most_once(
        &self,
        topic: &str,
        payload: Bytes,
        into: &mut BytesMut,
    ) -> Result<(), Unwritable> {
        written(Written::new(topic, QoS::AtMostOnce, payload, None).write(into))
    }

    fn acknowledge(&self, packet: u16, into: &mut BytesMut) -> Result<(), Unwritable> {
        written(PubAck::new(packet, None).write(into))
    }

    fn subscribe(&self, packet: u16, filters: &[String], into: &mut BytesMut) -> Result<(), Unwritable> {
        let filters = filters.iter().map(|path| {
            let mut filter = Filter::new(path, QoS::AtLeastOnce);
            // "Retain as published": a retained command is known as one while it is new, too (MQTT 5, 3.8.3.1).
            filter.preserve_retain = true;
            filter
        });
        let subscribe = Subscribe { pkid: packet, ..Subscribe::new_many(filters, None) };
        written(subscribe.write(into))
    }

    fn ping(&self, into: &mut BytesMut) -> Result<(), Unwritable> {
        written(PingReq::write(into))
    }

    fn disconnect(&self, into: &mut BytesMut) -> Result<(), Unwritable> {
        written(Disconnect::new(DisconnectReasonCode::NormalDisconnection).write(into))
    }

    fn read(&self, from: &mut BytesMut) -> Result<Option<Packet>, Fault> {
        let packet = match Read::read(from, u32::try_from(LARGEST_INCOMING).ok()) {
            Err(Error::InsufficientBytes(_)) => return Ok(None),
            Err(Error::PayloadSizeLimitExceeded { .. }) => return Err(Fault::TooLargeForUs),
            Err(error) => return Err(Fault::of(&error)),
            Ok(packet) => packet,
        };
        Ok(Some(match packet {
            Read::ConnAck(connack) if connack.code == ConnectReturnCode::Success => {
                let properties = connack.properties.as_ref();
                Packet::Connected(Connected {
                    session_present: connack.session_present,
                    receive_maximum: properties.and_then(|said| said.receive_max),
                    largest_packet: properties.and_then(|said| said.max_packet_size),
                    retain_available: properties.and_then(|said| said.retain_available) != Some(0),
                    keep_alive_s: properties.and_then(|said| said.server_keep_alive),
                })
            }
            Read::ConnAck(connack) => return Err(refusal(connack.code)),
            Read::PubAck(puback) => {
                let said = puback.properties.as_ref().and_then(|said| said.reason_string.as_deref());
                Packet::Acked(puback.pkid, verdict(puback.reason, said))
            }
            Read::Publish(publish) if publish.qos != QoS::ExactlyOnce => {
                let properties = publish.properties.unwrap_or_default();
                Packet::Message(Incoming {
                    topic: String::from_utf8(publish.topic.into()).map_err(|_wrong| Fault::unexpected())?,
                    payload: publish.payload,
                    retain: publish.retain,
                    dup: publish.dup,
                    packet: publish.pkid,
                    response_topic: properties.response_topic,
                    correlation: properties.correlation_data,
                })
            }
            Read::SubAck(suback) => {
                let is_refused =
                    |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
                Packet::Subscribed { refused: suback.return_codes.iter().filter(is_refused).count() }
            }
            Read::PingResp(_) => Packet::Pong,
            Read::Disconnect(goodbye) => {
                let said = goodbye.properties.as_ref().and_then(|said| said.reason_string.as_deref());
                return Err(farewell(goodbye.reason_code, said));
            }
            _ => return Err(Fault::unexpected()),
        }))
    }
}

fn testament(will: &Will) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: None,
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: Some("application/json".to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, will.retain, Some(properties))
}

fn properties(properties: &Properties) -> PublishProperties {
    let expiry = |expiry: std::time::Duration| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX).max(1);
    let user = properties.user.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    PublishProperties {
        payload_format_indicator: properties.content_type.map(|_text| 1),
        message_expiry_interval: properties.expiry.map(expiry),
        content_type: properties.content_type.map(str::to_owned),
        user_properties: user.collect(),
        correlation_data: properties.correlation.clone(),
        ..PublishProperties::default()
    }
}

/// What a PUBACK says (MQTT 5, section 3.4.2.1).
fn verdict(reason: PubAckReason, said: Option<&str>) -> Verdict {
    let words = |what: &str| match said {
        Some(said) => format!("{what} ({})", said.chars().take(200).collect::<String>()),
        None => what.to_owned(),
    };
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Verdict::Taken,
        PubAckReason::QuotaExceeded => Verdict::Later(words("the broker's quota is exceeded")),
        PubAckReason::PacketIdentifierInUse => Verdict::Later(words("the packet id was in use")),
        PubAckReason::NotAuthorized => Verdict::Refused(words("not authorised to publish there")),
        PubAckReason::TopicNameInvalid => Verdict::Refused(words("the broker does not like the topic")),
        PubAckReason::PayloadFormatInvalid => Verdict::Refused(words("the broker does not like the payload")),
        PubAckReason::UnspecifiedError | PubAckReason::ImplementationSpecificError => {
            Verdict::Refused(words("the broker refuses it"))
        }
    }
}

fn refusal(code: ConnectReturnCode) -> Fault {
    match code {
        ConnectReturnCode::BadUserNamePassword => Fault::bad_password(),
        ConnectReturnCode::NotAuthorized | ConnectReturnCode::Banned => Fault::not_authorised(),
        ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
            Fault::bad_client_id()
        }
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion => {
            Fault::wrong_protocol("5")
        }
        ConnectReturnCode::QoSNotSupported | ConnectReturnCode::RetainNotSupported => {
            Fault::Refused("the broker has no QoS 1 or no retained messages, and both are needed".to_owned())
        }
        other => Fault::Lost(format!("the broker turns us away ({other:?})")),
    }
}

fn farewell(code: DisconnectReasonCode, said: Option<&str>) -> Fault {
    match code {
        DisconnectReasonCode::SessionTakenOver => Fault::taken_over(),
        DisconnectReasonCode::NotAuthorized => Fault::not_authorised(),
        _ => {
            let said = said.map(|said| format!(": {}", said.chars().take(200).collect::<String>()));
            Fault::Lost(format!("the broker says goodbye ({code:?}{})", said.unwrap_or_default()))
        }
    }
}

//! MQTT 5 by rumqttc.

use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Packet,
    PubAckReason, PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{NetworkOptions, Outgoing};
use secrecy::ExposeSecret as _;

use super::INBOX;
use super::fault::Fault;
use super::message::Publish;
use super::options::{CONNECT_TIMEOUT_S, KEEP_ALIVE, LARGEST_INCOMING, Options, SESSION_EXPIRY_S};
use super::session::{Connected, Incoming, Step};
use super::window::Verdict;

pub(super) struct Session {
    events: EventLoop,
}

impl Session {
    pub(super) fn new(options: &Options) -> (AsyncClient, Self) {
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(CONNECT_TIMEOUT_S).set_tcp_nodelay(true);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(SESSION_EXPIRY_S);
        properties.receive_maximum = Some(INBOX);
        properties.max_packet_size = u32::try_from(LARGEST_INCOMING).ok();
        let mut mqtt = MqttOptions::new(&options.client_id, &options.address, options.port);
        mqtt.set_transport(options.transport.clone())
            .set_network_options(network)
            .set_connection_timeout(CONNECT_TIMEOUT_S)
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(options.clean)
            .set_manual_acks(true)
            // Without this the client sets 14 MB aside for 65,535 publishes.
            .set_outgoing_inflight_upper_limit(options.max_inflight.saturating_add(1))
            .set_connect_properties(properties);
        if let Some((user, password)) = &options.credentials {
            mqtt.set_credentials(user, password.expose_secret());
        }
        if let Some(will) = &options.will {
            let properties = LastWillProperties {
                delay_interval: None,
                payload_format_indicator: None,
                message_expiry_interval: None,
                content_type: Some("application/json".to_owned()),
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            };
            mqtt.set_last_will(LastWill::new(
                &will.topic,
                will.payload.clone(),
                QoS::AtLeastOnce,
                will.retain,
                Some(properties),
            ));
        }
        let (client, events) = AsyncClient::new(mqtt, options.queue());
        (client, Self { events })
    }

    pub(super) async fn poll(&mut self) -> Result<Step, Fault> {
        match self.events.poll().await {
            Ok(event) => {
                if self.events.options.keep_alive().is_zero() {
                    // A broker that wants no pings says 0, which rumqttc takes for "always".
                    self.events.options.set_keep_alive(KEEP_ALIVE);
                }
                Ok(step(event))
            }
            Err(error) => Err(fault(&error)),
        }
    }

    pub(super) fn drain(&mut self) -> Vec<Step> {
        self.events.state.events.drain(..).map(step).collect()
    }
}

fn step(event: Event) -> Step {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => {
            let properties = connack.properties.as_ref();
            Step::Connected(Connected {
                session_present: connack.session_present,
                receive_maximum: properties.and_then(|said| said.receive_max),
                largest_packet: properties.and_then(|said| said.max_packet_size),
                retain_available: properties.and_then(|said| said.retain_available) != Some(0),
            })
        }
        Event::Outgoing(Outgoing::Publish(packet)) => Step::Sent(packet),
        Event::Incoming(Packet::PubAck(puback)) => {
            let said = puback.properties.as_ref().and_then(|properties| properties.reason_string.as_deref());
            Step::Acked(puback.pkid, verdict(puback.reason, said))
        }
        Event::Incoming(Packet::Publish(publish)) => {
            let properties = publish.properties.unwrap_or_default();
            match String::from_utf8(publish.topic.into()) {
                Ok(topic) => Step::Message(Incoming {
                    topic,
                    payload: publish.payload,
                    retain: publish.retain,
                    dup: publish.dup,
                    packet: publish.pkid,
                    response_topic: properties.response_topic,
                    correlation: properties.correlation_data,
                }),
                Err(_) => Step::Other,
            }
        }
        Event::Incoming(Packet::SubAck(suback)) => Step::Subscribed {
            refused: suback
                .return_codes
                .iter()
                .filter(|code| !matches!(code, SubscribeReasonCode::Success(_)))
                .count(),
        },
        Event::Outgoing(Outgoing::Disconnect) => Step::Disconnected,
        _ => Step::Other,
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

fn fault(error: &ConnectionError) -> Fault {
    match error {
        ConnectionError::ConnectionRefused(code) => refusal(*code),
        ConnectionError::Timeout(_) => Fault::timeout(),
        ConnectionError::MqttState(state) => match state {
            StateError::Deserialization(PacketError::PayloadSizeLimitExceeded { .. })
            | StateError::IncomingPacketTooLarge { .. } => Fault::TooLargeForUs,
            StateError::Deserialization(PacketError::Io(error)) => Fault::of(error),
            StateError::ConnectionAborted => Fault::closed(),
            StateError::ServerDisconnect { reason_code, reason_string } => {
                farewell(*reason_code, reason_string.as_deref())
            }
            other => Fault::of(other),
        },
        other => Fault::of(other),
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

pub(super) fn publish(client: &AsyncClient, publish: &Publish) -> bool {
    let properties = PublishProperties {
        payload_format_indicator: publish.properties.content_type.map(|_text| 1),
        message_expiry_interval: publish
            .properties
            .expiry
            .map(|expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX).max(1)),
        content_type: publish.properties.content_type.map(str::to_owned),
        user_properties: publish
            .properties
            .user
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        correlation_data: publish.properties.correlation.clone(),
        ..PublishProperties::default()
    };
    client
        .try_publish_with_properties(
            publish.topic.as_str(),
            QoS::AtLeastOnce,
            publish.retain,
            publish.payload.clone(),
            properties,
        )
        .is_ok()
}

pub(super) fn ack(client: &AsyncClient, packet: u16) -> bool {
    let publish = rumqttc::v5::mqttbytes::v5::Publish {
        qos: QoS::AtLeastOnce,
        pkid: packet,
        ..rumqttc::v5::mqttbytes::v5::Publish::default()
    };
    client.try_ack(&publish).is_ok()
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String]) -> bool {
    let filters = filters.iter().map(|path| {
        let mut filter = Filter::new(path, QoS::AtLeastOnce);
        // "Retain as published": a retained command is known as one while it is new, too (MQTT 5, 3.8.3.1).
        filter.preserve_retain = true;
        filter
    });
    client.try_subscribe_many(filters).is_ok()
}

//! MQTT 3.1.1 by rumqttc.

use bytes::Bytes;
use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions,
    Outgoing, Packet, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
};
use secrecy::ExposeSecret as _;

use super::fault::Fault;
use super::message::Publish;
use super::options::{CONNECT_TIMEOUT_S, KEEP_ALIVE, LARGEST_INCOMING, LARGEST_OUTGOING, Options};
use super::session::{Connected, Incoming, Step};
use super::window::Verdict;

pub(super) struct Session {
    events: EventLoop,
}

impl Session {
    pub(super) fn new(options: &Options) -> (AsyncClient, Self) {
        let mut mqtt = MqttOptions::new(&options.client_id, &options.address, options.port);
        mqtt.set_transport(options.transport.clone())
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_session(options.clean)
            .set_manual_acks(true)
            .set_inflight(options.max_inflight.saturating_add(1))
            .set_max_packet_size(LARGEST_INCOMING, LARGEST_OUTGOING);
        if let Some((user, password)) = &options.credentials {
            mqtt.set_credentials(user, password.expose_secret());
        }
        if let Some(will) = &options.will {
            mqtt.set_last_will(LastWill::new(
                &will.topic,
                will.payload.clone(),
                QoS::AtLeastOnce,
                will.retain,
            ));
        }
        let (client, mut events) = AsyncClient::new(mqtt, options.queue());
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(CONNECT_TIMEOUT_S).set_tcp_nodelay(true);
        events.set_network_options(network);
        (client, Self { events })
    }

    pub(super) async fn poll(&mut self) -> Result<Step, Fault> {
        self.events.poll().await.map(step).map_err(|error| fault(&error))
    }

    pub(super) fn drain(&mut self) -> Vec<Step> {
        self.events.state.events.drain(..).map(step).collect()
    }
}

fn step(event: Event) -> Step {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => Step::Connected(Connected {
            session_present: connack.session_present,
            receive_maximum: None,
            largest_packet: None,
            retain_available: true,
        }),
        Event::Outgoing(Outgoing::Publish(packet)) => Step::Sent(packet),
        Event::Incoming(Packet::PubAck(puback)) => Step::Acked(puback.pkid, Verdict::Taken),
        Event::Incoming(Packet::Publish(publish)) => Step::Message(Incoming {
            topic: publish.topic,
            payload: publish.payload,
            retain: publish.retain,
            dup: publish.dup,
            packet: publish.pkid,
            response_topic: None,
            correlation: None,
        }),
        Event::Incoming(Packet::SubAck(suback)) => Step::Subscribed {
            refused: suback.return_codes.iter().filter(|code| **code == SubscribeReasonCode::Failure).count(),
        },
        Event::Outgoing(Outgoing::Disconnect) => Step::Disconnected,
        _ => Step::Other,
    }
}

fn fault(error: &ConnectionError) -> Fault {
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword => Fault::bad_password(),
            ConnectReturnCode::NotAuthorized => Fault::not_authorised(),
            ConnectReturnCode::BadClientId => Fault::bad_client_id(),
            ConnectReturnCode::RefusedProtocolVersion => Fault::wrong_protocol("3.1.1"),
            other => Fault::Lost(format!("the broker turns us away ({other:?})")),
        },
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => Fault::timeout(),
        ConnectionError::MqttState(StateError::Deserialization(PacketError::PayloadSizeLimitExceeded(_))) => {
            Fault::TooLargeForUs
        }
        ConnectionError::MqttState(StateError::Deserialization(PacketError::Io(error))) => Fault::of(error),
        ConnectionError::MqttState(StateError::ConnectionAborted) => Fault::closed(),
        other => Fault::of(other),
    }
}

pub(super) fn publish(client: &AsyncClient, publish: &Publish) -> bool {
    client
        .try_publish(publish.topic.as_str(), QoS::AtLeastOnce, publish.retain, publish.payload.clone())
        .is_ok()
}

pub(super) fn ack(client: &AsyncClient, packet: u16) -> bool {
    let mut publish = rumqttc::Publish::new("", QoS::AtLeastOnce, Vec::new());
    publish.pkid = packet;
    client.try_ack(&publish).is_ok()
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String]) -> bool {
    let filters = filters.iter().map(|path| SubscribeFilter::new(path.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(filters).is_ok()
}

/// Publishes something that nobody acknowledges.
pub(super) fn publish_at_most_once(client: &AsyncClient, topic: &str, payload: Bytes) -> bool {
    client.try_publish(topic, QoS::AtMostOnce, false, payload).is_ok()
}

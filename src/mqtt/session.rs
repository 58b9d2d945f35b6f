//! One connection of either version of the protocol: what can be asked of it, and what it tells.
//!
//! A session is used for one connection only, because rumqttc would silently drop or reorder what it carries over.

use super::fault::Fault;
use super::message::Publish;
use super::options::Options;
use super::window::Verdict;
use super::{v4, v5};
use crate::config::Protocol;

/// What polling a connection told.
#[derive(Debug)]
pub(super) enum Step {
    /// The broker let us in.
    Connected(Connected),
    /// The oldest publish that was handed over has been written as this packet.
    Sent(u16),
    /// The broker has answered this packet.
    Acked(u16, Verdict),
    /// A message came in.
    Message(Incoming),
    /// How many of the subscriptions the broker refused.
    Subscribed { refused: usize },
    /// Our goodbye was written.
    Disconnected,
    /// Nothing that matters.
    Other,
}

/// What the broker said when it let us in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connected {
    pub(super) session_present: bool,
    pub(super) receive_maximum: Option<u16>,
    pub(super) largest_packet: Option<u32>,
    pub(super) retain_available: bool,
}

/// A message as it came in; `packet` is 0 for QoS 0.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) topic: String,
    pub(super) payload: bytes::Bytes,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) packet: u16,
    pub(super) response_topic: Option<String>,
    pub(super) correlation: Option<bytes::Bytes>,
}

/// One connection, polled by one task.
pub(super) enum Session {
    V4(Box<v4::Session>),
    V5(Box<v5::Session>),
}

impl Session {
    /// A connection that is made by the first poll.
    pub(super) fn new(options: &Options) -> (Handle, Self) {
        match options.protocol {
            Protocol::V4 => {
                let (client, session) = v4::Session::new(options);
                (Handle::V4(client), Self::V4(Box::new(session)))
            }
            Protocol::V5 => {
                let (client, session) = v5::Session::new(options);
                (Handle::V5(client), Self::V5(Box::new(session)))
            }
        }
    }

    /// Does the next thing. Must be polled to its end, or else the session be given up.
    pub(super) async fn poll(&mut self) -> Result<Step, Fault> {
        match self {
            Self::V4(session) => session.poll().await,
            Self::V5(session) => session.poll().await,
        }
    }

    /// What the connection had already told when it broke: acknowledgements that were read but not yet seen.
    pub(super) fn drain(&mut self) -> Vec<Step> {
        match self {
            Self::V4(session) => session.drain(),
            Self::V5(session) => session.drain(),
        }
    }
}

/// What can be asked of a connection; every call says whether the request was taken.
#[derive(Debug, Clone)]
pub(super) enum Handle {
    V4(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

impl Handle {
    pub(super) fn publish(&self, publish: &Publish) -> bool {
        match self {
            Self::V4(client) => v4::publish(client, publish),
            Self::V5(client) => v5::publish(client, publish),
        }
    }

    pub(super) fn ack(&self, packet: u16) -> bool {
        match self {
            Self::V4(client) => v4::ack(client, packet),
            Self::V5(client) => v5::ack(client, packet),
        }
    }

    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        match self {
            Self::V4(client) => v4::subscribe(client, filters),
            Self::V5(client) => v5::subscribe(client, filters),
        }
    }

    pub(super) fn disconnect(&self) -> bool {
        match self {
            Self::V4(client) => client.try_disconnect().is_ok(),
            Self::V5(client) => client.try_disconnect().is_ok(),
        }
    }
}

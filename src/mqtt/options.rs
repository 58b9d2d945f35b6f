//! How a connection is opened: where, as whom, with which limits; one value for both versions of the protocol.

use std::time::Duration;

use anyhow::Context as _;
use rumqttc::{TlsConfiguration, Transport};
use secrecy::SecretString;

use super::topic::Topics;
use super::{INBOX, MOST_WAITING, tls};
use crate::config::{self, Protocol};

/// No command is larger.
pub const LARGEST_INCOMING: usize = 256 * 1024;

/// No document is larger; enough for the index of 30,000 devices.
pub const LARGEST_OUTGOING: usize = 4 * 1024 * 1024;

/// How long the broker keeps what is for us while we are away (MQTT 5), in seconds.
pub(super) const SESSION_EXPIRY_S: u32 = 3600;

/// Longest time for TCP, TLS and CONNACK together, in seconds.
pub(super) const CONNECT_TIMEOUT_S: u64 = 10;

/// A ping is sent after so much silence.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What the broker publishes for us, with QoS 1, when we are gone without a goodbye.
#[derive(Debug, Clone)]
pub struct Will {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// How a connection is opened.
#[derive(Clone)]
pub struct Options {
    pub(super) protocol: Protocol,
    pub(super) client_id: String,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) transport: Transport,
    pub(super) credentials: Option<(String, SecretString)>,
    pub(super) will: Option<Will>,
    pub(super) max_inflight: u16,
    /// Whether the broker forgets what it kept for us.
    pub(super) clean: bool,
}

impl Options {
    /// The options of a client without a will.
    ///
    /// # Errors
    /// Certificate and key files that cannot be read or do not fit each other.
    pub fn new(mqtt: &config::Mqtt, client_id: &str) -> anyhow::Result<Self> {
        let url = &mqtt.url;
        let scheme = url.scheme();
        let encrypted = matches!(scheme, "mqtts" | "wss");
        let websocket = matches!(scheme, "ws" | "wss");
        let host = url.host_str().with_context(|| format!("{url} names no broker"))?;
        let port = url.port().unwrap_or(match scheme {
            "mqtts" => 8883,
            "ws" => 80,
            "wss" => 443,
            _ => 1883,
        });
        let transport = if encrypted {
            let config = TlsConfiguration::Rustls(tls::client_config(mqtt)?);
            if websocket { Transport::Wss(config) } else { Transport::Tls(config) }
        } else if websocket {
            Transport::Ws
        } else {
            Transport::Tcp
        };
        let password = mqtt.password.clone().unwrap_or_else(|| SecretString::from(""));
        Ok(Self {
            protocol: mqtt.protocol,
            client_id: client_id.to_owned(),
            // rumqttc wants the whole URL for websockets, and the host alone otherwise.
            address: if websocket { without_credentials(url) } else { host.to_owned() },
            port,
            transport,
            credentials: mqtt.username.clone().map(|user| (user, password)),
            will: None,
            max_inflight: mqtt.max_inflight,
            clean: false,
        })
    }

    /// With the testament that the gateway is offline.
    #[must_use]
    pub fn with_will(mut self, topics: &Topics) -> Self {
        let payload = br#"{"v":1,"state":"offline"}"#.to_vec();
        self.will = Some(Will { topic: topics.bridge("state"), payload, retain: true });
        self
    }

    /// How many requests rumqttc's queue must hold so that it is never full: the window, an acknowledgement for
    /// each message that may be unanswered, the subscriptions and the end.
    pub(super) fn queue(&self) -> usize {
        usize::from(self.max_inflight) + MOST_WAITING + usize::from(INBOX) * 2 + 16
    }

    /// Where it goes, without credentials.
    pub(super) fn place(&self) -> String {
        match self.transport {
            Transport::Ws | Transport::Wss(_) => self.address.clone(),
            _ => format!("{}:{}", self.address, self.port),
        }
    }
}

fn without_credentials(url: &url::Url) -> String {
    let mut url = url.clone();
    // Only URLs without a host refuse this, and this one has a host.
    let _host_is_there = url.set_username("").and_then(|()| url.set_password(None));
    url.into()
}

//! How a connection is opened: where, as whom, with which limits; one value for both versions of the protocol.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use url::Host;

use super::tls;
use super::topic::Topics;
use super::transport::Transport;
use crate::config::{self, Protocol};

/// No command is larger.
pub const LARGEST_INCOMING: usize = 256 * 1024;

/// No document is larger; enough for the index of 30,000 devices.
pub const LARGEST_OUTGOING: usize = 4 * 1024 * 1024;

/// How long the broker keeps what is for us while we are away (MQTT 5), in seconds.
pub(super) const SESSION_EXPIRY_S: u32 = 3600;

/// Longest time for TCP, TLS and CONNACK together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// So often we ask whether the broker is there, in seconds.
pub(super) const KEEP_ALIVE_S: u16 = 30;

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
    pub(super) transport: Transport,
    pub(super) credentials: Option<(String, SecretString)>,
    pub(super) will: Option<Will>,
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
        let host = match url.host().with_context(|| format!("{url} names no broker"))? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port().unwrap_or(match scheme {
            "mqtts" => 8883,
            "ws" => 80,
            "wss" => 443,
            _ => 1883,
        });
        let transport = Transport {
            host,
            port,
            tls: encrypted.then(|| tls::client_config(mqtt)).transpose()?,
            websocket: websocket.then(|| without_credentials(url)),
        };
        let password = mqtt.password.clone().unwrap_or_else(|| SecretString::from(""));
        Ok(Self {
            protocol: mqtt.protocol,
            client_id: client_id.to_owned(),
            transport,
            credentials: mqtt.username.clone().map(|user| (user, password)),
            will: None,
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

    /// Where it goes, without credentials.
    pub(super) fn place(&self) -> String {
        self.transport.place()
    }
}

fn without_credentials(url: &url::Url) -> String {
    let mut url = url.clone();
    // Only URLs without a host refuse this, and this one has a host.
    let _host_is_there = url.set_username("").and_then(|()| url.set_password(None));
    url.into()
}

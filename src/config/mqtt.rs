//! Settings of the broker's connection and of what is told to Home Assistant.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

/// The broker and how we speak to it.
#[derive(Debug, Clone)]
pub struct Mqtt {
    /// `mqtt mqtts ws wss embedded`.
    pub url: Url,
    /// MQTT version.
    pub protocol: Protocol,
    /// User at the broker.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// A private CA in PEM.
    pub ca_file: Option<PathBuf>,
    /// A client certificate in PEM, with its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// First levels of every topic.
    pub base: String,
    /// How many publishes may wait for their PUBACK at once.
    pub max_inflight: u16,
    /// Whether each field also gets a topic of its own.
    pub attributes: bool,
    /// The verbs of `bridge/request` that are answered; none: all.
    pub requests: Option<Vec<String>>,
    /// Home Assistant.
    pub discovery: Discovery,
}

/// MQTT version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// Home Assistant discovery.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// One message a device, one an entity, or none.
    pub mode: DiscoveryMode,
    /// First level of the discovery topics.
    pub prefix: String,
}

/// How Home Assistant is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryMode {
    /// One message a device.
    Device,
    /// One message an entity.
    Component,
    /// Not at all.
    Off,
}

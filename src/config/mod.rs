//! What the gateway was told to do: text becomes a checked `Config` here, and nowhere else.
//!
//! `raw` finds every key with its place, `check` judges all of them at once, and this file holds what comes out.
//! Every value below is valid: the other rooms need not look again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::model::{DeviceId, SourceName};

/// The configuration in effect.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[gateway]`.
    pub gateway: Gateway,
    /// `[mqtt]`.
    pub mqtt: Mqtt,
    /// `[sources.NAME]`, in the order of their names.
    pub sources: Vec<Source>,
    /// `[devices.ID]`.
    pub devices: BTreeMap<DeviceId, DeviceSettings>,
    /// `[device_types."ID"]`, by id or name as written.
    pub device_types: BTreeMap<String, DeviceTypeSettings>,
    /// `[decoders.NAME]`.
    pub decoders: BTreeMap<String, DecoderSettings>,
    /// `[downlink]`.
    pub downlink: DownlinkSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[http]`; absent: no listener.
    pub http: Option<Http>,
}

/// Who this gateway is.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// 1 to 32 of `a-z 0-9 _ -`.
    pub id: String,
    /// Where the store lies.
    pub data_dir: PathBuf,
}

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

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: SourceName,
    /// Which cloud, and how to get in.
    pub kind: SourceKind,
    /// Where its API is, without a slash at the end.
    pub url: Url,
    /// Whether certificates go unchecked (a private endpoint).
    pub insecure: bool,
    /// A private CA in PEM.
    pub ca_file: Option<PathBuf>,
    /// When it is asked for messages.
    pub poll: Schedule,
    /// When it is asked for locations.
    pub locations: Schedule,
    /// When it is asked for devices and device types.
    pub inventory: Schedule,
    /// When the whole of `backfill` is looked through again.
    pub resync: Schedule,
    /// How far back the first sync goes.
    pub backfill: Duration,
    /// How far each poll looks back for late messages.
    pub overlap: Duration,
    /// Which devices and types are taken.
    pub filter: Filter,
    /// Own ceiling: so many requests in so long.
    pub rate: (u32, Duration),
    /// How downlinks are made.
    pub downlink: DownlinkVia,
    /// `direct` also for a device type with several devices.
    pub direct_group: bool,
    /// What the cloud's callbacks must present.
    pub callback_token: Option<SecretString>,
    /// The pattern of a line in a batch of callbacks.
    pub callback_batch: Option<String>,
}

/// Which cloud, and how to get in.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// The Sigfox cloud.
    Sigfox {
        /// Which API.
        api: SigfoxApi,
        /// Login of an API user (v2) or group (v1).
        login: String,
        /// Its password.
        password: SecretString,
    },
    /// Soracom Air for Sigfox.
    Soracom {
        /// `keyId-…`.
        auth_key_id: String,
        /// The key.
        auth_key: SecretString,
    },
}

/// Version of the Sigfox API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigfoxApi {
    /// REST API v1.
    V1,
    /// REST API v2.
    V2,
}

/// When something is done again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often.
    Every(Duration),
    /// By a cron expression with seconds, in UTC.
    Cron(String),
}

/// Which devices and types of a source are taken; patterns know `*` and `?`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids or names of device types.
    pub device_types: Vec<String>,
    /// Ids of devices; empty: all.
    pub devices: Vec<String>,
    /// Ids of devices that are left out.
    pub except_devices: Vec<String>,
}

impl Filter {
    /// Whether a device type is taken, by its id or its name.
    #[must_use]
    pub fn takes_type(&self, id: &str, name: Option<&str>) -> bool {
        self.device_types.iter().any(|pattern| {
            let pattern = wildmatch::WildMatch::new(pattern);
            pattern.matches(id) || name.is_some_and(|name| pattern.matches(name))
        })
    }

    /// Whether a device is taken.
    #[must_use]
    pub fn takes_device(&self, id: DeviceId) -> bool {
        let text = id.to_string();
        let any = |patterns: &[String]| {
            patterns.iter().any(|pattern| {
                pattern.parse::<DeviceId>().is_ok_and(|listed| listed == id)
                    || wildmatch::WildMatch::new_case_insensitive(pattern).matches(&text)
            })
        };
        (self.devices.is_empty() || any(&self.devices)) && !any(&self.except_devices)
    }
}

/// How downlinks of a source are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownlinkVia {
    /// By the answer to a BIDIR callback.
    Callback,
    /// By the device type's fixed answer.
    Direct,
    /// By Soracom's one slot a device.
    Soracom,
    /// Not at all.
    None,
}

/// A device's own settings.
#[derive(Debug, Clone, Default)]
pub struct DeviceSettings {
    /// What it is called here.
    pub name: Option<String>,
    /// Its decoder: a name of `[decoders]` or of a built-in one.
    pub decoder: Option<String>,
    /// How often it is expected to send.
    pub expected_interval: Option<Duration>,
}

/// Settings of a device type.
#[derive(Debug, Clone, Default)]
pub struct DeviceTypeSettings {
    /// The decoder of its devices.
    pub decoder: Option<String>,
    /// How often its devices are expected to send.
    pub expected_interval: Option<Duration>,
}

/// A decoder of the configuration.
#[derive(Debug, Clone, Default)]
pub struct DecoderSettings {
    /// A grammar.
    pub format: Option<String>,
    /// Whose grammar it is.
    pub dialect: Dialect,
    /// A built-in decoder that this one refines.
    pub builtin: Option<String>,
    /// A JavaScript file.
    pub script: Option<PathBuf>,
    /// The grammar of the eight bytes of a downlink.
    pub encode: Option<String>,
    /// Expressions over the fields, in the order of the file.
    pub computed: Vec<(String, String)>,
    /// An expression that is true of the uplink that proves that a downlink arrived.
    pub acknowledged_by: Option<String>,
    /// What is known about each field.
    pub fields: BTreeMap<String, FieldSettings>,
}

/// Whose grammar a format is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Sigfox's, extended by Soracom's operations.
    #[default]
    Sigfox,
    /// Soracom's binary parser.
    Soracom,
}

/// What is known about a field; Home Assistant's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSettings {
    /// What people call it.
    pub name: Option<String>,
    /// Unit of measurement.
    pub unit: Option<String>,
    /// Home Assistant's device class.
    pub device_class: Option<String>,
    /// Home Assistant's state class.
    pub state_class: Option<String>,
    /// Digits after the point that are shown.
    pub precision: Option<u8>,
    /// Icon, such as `mdi:water`.
    pub icon: Option<String>,
    /// `diagnostic` or `config`.
    pub entity_category: Option<String>,
}

/// Rules for all downlinks.
#[derive(Debug, Clone)]
pub struct DownlinkSettings {
    /// When an item ends unsent, unless it says so itself.
    pub expires_after: Duration,
    /// How many a device is sent a UTC day.
    pub daily_limit: u32,
}

/// The store's bounds.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Age of the oldest history.
    pub keep: Duration,
    /// Bytes on disk.
    pub max_size: u64,
    /// Longest time that a polled message may be in memory only.
    pub flush: Duration,
    /// Bytes of sled's cache.
    pub cache: u64,
}

/// The listener.
#[derive(Debug, Clone)]
pub struct Http {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Asked for by the web page and the API.
    pub token: Option<SecretString>,
    /// Certificate chain and key in PEM: https.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether `/metrics` is served.
    pub metrics: bool,
}

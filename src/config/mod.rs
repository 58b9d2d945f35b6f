//! What the gateway was told to do: text becomes a checked `Config` here, and nowhere else.
//!
//! The text is read with the place of every value (`text`), every key is held against the one table of keys
//! (`keys`), the environment is laid over it, and `build` judges what keys mean to each other; all problems come
//! out at once. Every value of a `Config` is valid: the other rooms need not look again.

mod build;
mod change;
mod check;
mod device;
mod environment;
mod keys;
mod load;
mod mqtt;
mod path;
mod print;
mod problem;
mod quantity;
mod reader;
mod reference;
mod schema;
mod secret;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::model::{DeviceId, SourceName};

pub use build::REQUEST_VERBS;
pub use change::Fingerprint;
pub use device::{DecoderSettings, DeviceSettings, DeviceTypeSettings, Dialect, FieldSettings};
pub use environment::Environment;
pub use load::Loaded;
pub use mqtt::{Discovery, DiscoveryMode, Mqtt, Protocol};
pub use problem::{Place, Problem, Problems};
pub use quantity::{parse_duration, print_duration};
pub use reference::reference;
pub use schema::schema;
pub use source::{DownlinkVia, Filter, Schedule, SigfoxApi, Source, SourceKind};

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
    /// `[mirrors.NAME]`, in the order of their names.
    pub mirrors: Vec<Mirror>,
    /// `[sparkplug]`; absent: off.
    pub sparkplug: Option<Sparkplug>,
    /// All of it as `config --json` prints it, secrets as `***`.
    pub in_effect: serde_json::Value,
}

/// Who this gateway is.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// 1 to 32 of `a-z 0-9 _ -`.
    pub id: String,
    /// Where the store lies.
    pub data_dir: PathBuf,
    /// Folders of the service manager's for sockets, as far as there are any; best first.
    pub runtime_dirs: Vec<PathBuf>,
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
    /// The daily backup.
    pub backup: Option<BackupSettings>,
}

/// The daily backup.
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// The folder that it goes to.
    pub folder: PathBuf,
    /// How many are kept.
    pub keep: usize,
    /// The hour of the day in UTC.
    pub hour: u32,
}

/// The listener.
#[derive(Debug, Clone)]
pub struct Http {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Asked for by the web page and the API.
    pub token: Option<SecretString>,
    /// Another one, which lets look and change nothing.
    pub read_token: Option<SecretString>,
    /// Certificate chain and key in PEM: https.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// Address of map tiles, with `{z}`, `{x}` and `{y}` in it.
    pub tiles: Option<String>,
}

/// A copy of what is known in another cloud: Altair IoT Studio.
#[derive(Debug, Clone)]
pub struct Mirror {
    /// Its name.
    pub name: SourceName,
    /// Where its API is, without a slash at the end.
    pub url: Url,
    /// The space that the things live in.
    pub space: String,
    /// The client that logs in.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// The category that the Things are put into.
    pub category: Option<String>,
    /// Whether certificates go unchecked (a private endpoint).
    pub insecure: bool,
    /// A private CA in PEM.
    pub ca_file: Option<PathBuf>,
    /// Value of a `Prefer` header.
    pub prefer: Option<String>,
    /// Ids of devices that are mirrored; patterns know `*` and `?`.
    pub devices: Vec<String>,
    /// When actions are looked for.
    pub poll: Schedule,
    /// Own ceiling: so many requests in so long.
    pub rate: (u32, Duration),
}

impl Mirror {
    /// The name under which the store keeps what waits for it.
    #[must_use]
    pub fn tenant(&self) -> String {
        format!("mirror/{}", self.name)
    }
}

/// The Sparkplug B edge node.
#[derive(Debug, Clone)]
pub struct Sparkplug {
    /// The group that the edge node is in.
    pub group: String,
    /// Its name in the group.
    pub edge_node: String,
    /// First level of its topics.
    pub namespace: String,
    /// Publishing waits for this host to be online.
    pub primary_host: Option<String>,
}

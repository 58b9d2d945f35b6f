//! What two configurations differ in, key by key, and how far a running gateway can take the newer one over.
//!
//! Keys are compared by hashes of what they say, contents of the files that they name included, so that a secret or
//! a script that changed is seen and none is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value as Json};

use super::load::Loaded;
use super::path::KeyPath;
use super::value::Value;
use super::{Config, Discovery, Http, Mqtt, StoreSettings};

/// What is fixed while the gateway runs: the store's place, the connection to the broker, the address that is
/// listened on. A table stands for all of its keys.
const FIXED: [&str; 9] = [
    "gateway",
    "mqtt",
    "http.listen",
    "store.cache",
    "store.flush",
    "store.backup",
    "store.backup_keep",
    "store.backup_hour",
    "sparkplug",
];

/// What may change although its table is fixed.
const FREE: [&str; 3] = ["mqtt.attributes", "mqtt.discovery.mode", "mqtt.requests"];

/// A table of a configuration as it is shown.
type Table = Map<String, Json>;

/// What every key of a configuration says, as a hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<KeyPath, u64>);

impl Loaded {
    /// What every key says.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let keys = self.settings.all().map(|(path, setting)| {
            let mut hasher = DefaultHasher::new();
            match &setting.value {
                Value::Secret(secret) => secret.expose_secret().hash(&mut hasher),
                value => value.to_json().to_string().hash(&mut hasher),
            }
            self.settings.content(path).hash(&mut hasher);
            (path.clone(), hasher.finish())
        });
        Fingerprint(keys.collect())
    }
}

impl Fingerprint {
    /// Whether a key that may change while the gateway runs says something else.
    #[must_use]
    pub fn changes_now(&self, newer: &Self) -> bool {
        self.difference(newer).any(|path| !is_fixed(path))
    }

    /// The keys that say something else and wait for a restart.
    #[must_use]
    pub fn changes_at_restart(&self, newer: &Self) -> Vec<String> {
        self.difference(newer).filter(|path| is_fixed(path)).map(ToString::to_string).collect()
    }

    fn difference<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = &'a KeyPath> {
        let paths: BTreeSet<_> = self.0.keys().chain(newer.0.keys()).collect();
        paths.into_iter().filter(|path| self.0.get(path) != newer.0.get(path))
    }
}

fn is_fixed(path: &KeyPath) -> bool {
    let is_in = |tables: &[&str]| {
        tables.iter().any(|table| path.segments().starts_with(KeyPath::of(table).segments()))
    };
    is_in(&FIXED) && !is_in(&FREE)
}

impl Config {
    /// This configuration as far as a gateway that runs by another one can take it over.
    #[must_use]
    pub fn onto(self, running: &Self) -> Self {
        let discovery =
            Discovery { mode: self.mqtt.discovery.mode, prefix: running.mqtt.discovery.prefix.clone() };
        let http = match (self.http, &running.http) {
            (Some(newer), Some(running)) => Some(Http { listen: running.listen, ..newer }),
            (_, running) => running.clone(),
        };
        let shown = self.in_effect.as_object().cloned().unwrap_or_default();
        let shown = Json::Object(in_effect(&shown, running.in_effect.as_object(), ""));
        Self {
            gateway: running.gateway.clone(),
            mqtt: Mqtt {
                attributes: self.mqtt.attributes,
                requests: self.mqtt.requests,
                discovery,
                ..running.mqtt.clone()
            },
            store: StoreSettings {
                keep: self.store.keep,
                max_size: self.store.max_size,
                ..running.store.clone()
            },
            http,
            sparkplug: running.sparkplug.clone(),
            in_effect: shown,
            ..self
        }
    }
}

/// A table of the newer configuration as it is shown, with what is fixed as the running one has it.
fn in_effect(newer: &Table, running: Option<&Table>, name: &str) -> Table {
    let path = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    let is_fixed = |key: &str| is_fixed(&KeyPath::of(&path(key)));
    // A listener neither comes nor goes.
    let stays = |key: &str| is_fixed(key) || (name.is_empty() && key == "http");
    let mut shown = Table::new();
    for (key, value) in newer {
        let was = running.and_then(|running| running.get(key));
        let value = match value {
            _ if was.is_none() && stays(key) => None,
            Json::Object(table) => {
                Some(Json::Object(in_effect(table, was.and_then(Json::as_object), &path(key))))
            }
            _ if is_fixed(key) => was.cloned(),
            value => Some(value.clone()),
        };
        shown.extend(value.map(|value| (key.clone(), value)));
    }
    let gone = running.into_iter().flatten().filter(|(key, _)| stays(key) && !newer.contains_key(*key));
    shown.extend(gone.map(|(key, value)| (key.clone(), value.clone())));
    shown
}

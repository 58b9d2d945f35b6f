//! Settings of a source: which cloud, how to get in, what is taken from it and when.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::model::{DeviceId, SourceName};

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
    /// How long one request may take.
    pub timeout: Duration,
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
        let any = |patterns: &[String]| {
            if patterns.is_empty() {
                return false;
            }
            let text = id.to_string();
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

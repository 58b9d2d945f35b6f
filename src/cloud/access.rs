//! Where an API is and how it may be asked, as the configuration says it of a source or a mirror.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// How long one request of a mirror may take.
const MIRROR_TIMEOUT: Duration = Duration::from_secs(30);

/// Where an API is and how it may be asked.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where the API is, without a slash at the end.
    pub url: Url,
    /// Whether certificates go unchecked (a private endpoint).
    pub insecure: bool,
    /// A private CA in PEM, trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// At most so many requests in so long.
    pub rate: (u32, Duration),
    /// How long one request may take, its answer included.
    pub timeout: Duration,
}

impl From<&crate::config::Source> for Access {
    fn from(source: &crate::config::Source) -> Self {
        Self {
            url: source.url.clone(),
            insecure: source.insecure,
            ca_file: source.ca_file.clone(),
            rate: source.rate,
            timeout: source.timeout,
        }
    }
}

impl From<&crate::config::Mirror> for Access {
    fn from(mirror: &crate::config::Mirror) -> Self {
        Self {
            url: mirror.url.clone(),
            insecure: mirror.insecure,
            ca_file: mirror.ca_file.clone(),
            rate: mirror.rate,
            timeout: MIRROR_TIMEOUT,
        }
    }
}

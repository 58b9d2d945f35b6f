//! Why a call of a cloud failed, by what the caller is to do about it; never by which library noticed.

use std::time::Duration;

/// Why a call of a cloud failed. Every sentence names what was asked for, none holds a secret.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The credentials are wrong or have ended (401): a person must act.
    #[error("the cloud refuses the credentials (401, asked for {asked}); check login and password")]
    Unauthorized {
        /// What was asked for.
        asked: String,
    },
    /// The credentials are right but not enough (403): a person must act.
    #[error("the credentials do not permit to read or change {asked} (403{})", detail(says))]
    Forbidden {
        /// What was asked for.
        asked: String,
        /// What the cloud says about it.
        says: String,
    },
    /// There is no such thing (404).
    #[error("{asked} not found")]
    NotFound {
        /// What was asked for.
        asked: String,
    },
    /// Too many requests (429): ask again later.
    #[error("the cloud wants fewer requests (429, asked for {asked}){}", wait(*after))]
    RateLimited {
        /// What was asked for.
        asked: String,
        /// How long the cloud told us to wait.
        after: Option<Duration>,
    },
    /// The cloud or the way to it fails (5xx, no connection, timeout): the same call may succeed later.
    #[error("no answer about {asked}: {why}{}", wait(*after))]
    Retry {
        /// What was asked for.
        asked: String,
        /// What went wrong, in words.
        why: String,
        /// How long the cloud told us to wait.
        after: Option<Duration>,
        /// Whether the cloud itself said so (5xx), rather than nobody.
        answered: bool,
    },
    /// The request itself is wrong for this cloud (400, 405, 409, 412 and other 4xx): asking again changes nothing.
    #[error("the cloud refuses the request about {asked} ({status}{})", detail(says))]
    Refused {
        /// What was asked for.
        asked: String,
        /// HTTP status.
        status: u16,
        /// What the cloud says about it.
        says: String,
    },
    /// The answer is not what the documents describe.
    #[error("the answer about {asked} cannot be read: {why}")]
    Malformed {
        /// What was asked for.
        asked: String,
        /// What is wrong with it.
        why: String,
    },
    /// The pages of a list go round in a circle: what came is good, but may not be all.
    #[error("the pages of {asked} go round in a circle; what came before is kept")]
    Circle {
        /// What was asked for.
        asked: String,
    },
    /// This version of the API has no such call.
    #[error("{call} does not exist in {api}; {nearest}")]
    Unsupported {
        /// What was asked for.
        call: &'static str,
        /// The API that lacks it.
        api: &'static str,
        /// What comes nearest, as a sentence's second half.
        nearest: &'static str,
    },
    /// The client cannot be set up from its settings.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// Whether the same call may succeed in a while without anybody's doing.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Retry { .. } | Self::Malformed { .. })
    }

    /// Whether nothing else may be asked of this cloud either.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::RateLimited { .. } | Self::Setup(_))
    }

    /// Whether nobody answered: no connection, or a timeout.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Retry { answered: false, .. })
    }
}

fn detail(says: &str) -> String {
    if says.is_empty() { String::new() } else { format!(": {says}") }
}

fn wait(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!("; asks to wait {} s", after.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_names_what_was_asked_for() {
        let asked = || "device FFFF".to_owned();
        let says = || "no right".to_owned();
        let why = || "502 Bad Gateway".to_owned();
        let after = Some(Duration::from_secs(7));
        for (error, sentence) in [
            (
                Error::Unauthorized { asked: asked() },
                "the cloud refuses the credentials (401, asked for device FFFF); check login and password",
            ),
            (
                Error::Forbidden { asked: asked(), says: says() },
                "the credentials do not permit to read or change device FFFF (403: no right)",
            ),
            (Error::NotFound { asked: asked() }, "device FFFF not found"),
            (
                Error::RateLimited { asked: asked(), after },
                "the cloud wants fewer requests (429, asked for device FFFF); asks to wait 7 s",
            ),
            (
                Error::Retry { asked: asked(), why: why(), after: None, answered: true },
                "no answer about device FFFF: 502 Bad Gateway",
            ),
            (
                Error::Refused { asked: asked(), status: 409, says: String::new() },
                "the cloud refuses the request about device FFFF (409)",
            ),
        ] {
            assert_eq!(error.to_string(), sentence);
        }
    }
}

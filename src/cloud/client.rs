//! The client of a source's cloud, of whichever kind it is.

use super::sigfox::Sigfox;
use super::soracom::{Session, Soracom};
use super::{Access, Error};
use crate::config::{Source, SourceKind};
use crate::tally::Tally;

/// A source's client. Clones share connections, ceilings and the session: whatever asks a cloud for one source should
/// do so with a clone of one client.
#[derive(Debug, Clone)]
pub enum Client {
    /// Of the Sigfox cloud, API v2 or v1.
    Sigfox(Sigfox),
    /// Of Soracom.
    Soracom(Soracom),
}

impl Client {
    /// A client with the source's credentials, and the session that an earlier one kept (Soracom).
    ///
    /// # Errors
    /// [`Error::Setup`] if the CA cannot be read, or no header can hold the credentials.
    pub fn new(source: &Source, kept: Option<Session>) -> Result<Self, Error> {
        let access = Access::from(source);
        match &source.kind {
            SourceKind::Sigfox { api, login, password } => {
                Sigfox::new(&access, *api, login, password).map(Self::Sigfox)
            }
            SourceKind::Soracom { auth_key_id, auth_key } => {
                Soracom::new(&access, auth_key_id, auth_key, kept).map(Self::Soracom)
            }
        }
    }

    /// The answers so far by their HTTP status, shared; none for requests that were not answered.
    #[must_use]
    pub fn answers(&self) -> Tally<Option<u16>> {
        match self {
            Self::Sigfox(cloud) => cloud.answers(),
            Self::Soracom(cloud) => cloud.answers(),
        }
    }

    /// How many requests were made.
    #[must_use]
    pub fn requests(&self) -> u64 {
        match self {
            Self::Sigfox(cloud) => cloud.requests(),
            Self::Soracom(cloud) => cloud.requests(),
        }
    }
}

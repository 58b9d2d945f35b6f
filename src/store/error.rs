//! Why the store cannot be opened, and why one of its verbs failed: each a decision for the caller and a
//! sentence for people.

use std::io;
use std::path::PathBuf;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store in {} is in use by another process (only one daemon can run on a data directory)", .dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// Something else than a folder lies there.
    #[error("{} is not a folder (expected the data directory)", .dir.display())]
    NotAFolder {
        /// The data directory.
        dir: PathBuf,
    },
    /// The user may not write there.
    #[error("no permission to write in {} (expected a data directory of the user that runs the gateway)", .dir.display())]
    Permission {
        /// The data directory.
        dir: PathBuf,
    },
    /// A newer program has written it.
    #[error("the store in {} is of version {found}, this program knows up to {known} (expected a newer program, or a backup of before the update)", .dir.display())]
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Its files cannot be read as a store.
    #[error("the store in {} is damaged: {reason}", .dir.display())]
    Damaged {
        /// The data directory.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The disk refused.
    #[error("cannot open the store in {}", .dir.display())]
    Io {
        /// The data directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a verb of the store failed. Nothing of what it was asked to keep is kept then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space is left; what is asked for again later may succeed.
    #[error("the disk is full")]
    Full,
    /// The file system takes no writes; what is asked for again later may succeed.
    #[error("the disk is read-only")]
    ReadOnly,
    /// Somebody has removed the folder, or what was mounted there is gone.
    #[error("the data directory is gone (expected it back; then the store is written there anew)")]
    Gone,
    /// The disk refused for another reason.
    #[error("the disk is failing: {0}")]
    Failing(String),
    /// The store is being copied already.
    #[error("the store is being copied already")]
    Busy,
    /// A record cannot be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A value is too large to be kept; asking again is of no use.
    #[error("{what} of {bytes} bytes is too large to be kept (expected at most {most})")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// What would be taken.
        most: usize,
    },
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Failing(error.to_string()),
        }
    }
}

impl From<io::ErrorKind> for StoreError {
    fn from(kind: io::ErrorKind) -> Self {
        io::Error::from(kind).into()
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            // sled clones its errors through their debug output; the kind alone is for people.
            sled::Error::Io(error) if error.raw_os_error().is_none() => error.kind().into(),
            sled::Error::Io(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_says_is_a_decision_and_a_sentence() {
        let quota = io::Error::from(io::ErrorKind::QuotaExceeded);
        let cloned = io::Error::new(io::ErrorKind::FileTooLarge, "Os { code: 27, kind: FileTooLarge }");
        for (error, printed) in [
            (io::Error::from_raw_os_error(28).into(), "the disk is full"),
            (quota.into(), "the disk is full"),
            (io::Error::from_raw_os_error(30).into(), "the disk is read-only"),
            (
                StoreError::from(io::Error::from_raw_os_error(5)),
                "the disk is failing: Input/output error (os error 5)",
            ),
            (sled::Error::Io(cloned).into(), "the disk is failing: file too large"),
        ] {
            assert_eq!(error.to_string(), printed);
        }
    }
}

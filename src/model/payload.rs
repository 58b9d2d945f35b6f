//! The bytes that a device sends, and the eight that it can be sent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest payload that is kept: far above Sigfox's 12 bytes, low enough that nothing grows without bound.
const LONGEST: usize = 256;

/// The payload of an uplink: 0 to 256 bytes, printed as lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// The payload with these bytes; none if there are more than 256.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= LONGEST).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why a text is not a payload.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParsePayloadError {
    /// A character that is no hex digit, or half a byte.
    #[error("`{0}` is not hexadecimal (expected two digits a byte)")]
    NotHex(String),
    /// A length that does not fit.
    #[error("{found} bytes (expected {expected})")]
    Length {
        /// How many bytes the text stands for.
        found: usize,
        /// What would be right, in words.
        expected: &'static str,
    },
}

impl FromStr for Payload {
    type Err = ParsePayloadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes(text)?;
        let found = bytes.len();
        Self::new(bytes).ok_or(ParsePayloadError::Length { found, expected: "at most 256" })
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The payload of a downlink: exactly 8 bytes (Sigfox REST v2 document, callbacks), printed as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DownlinkPayload([u8; 8]);

impl DownlinkPayload {
    /// The payload with these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl FromStr for DownlinkPayload {
    type Err = ParsePayloadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes(text)?;
        let found = bytes.len();
        let bytes: [u8; 8] = bytes
            .try_into()
            .ok()
            .ok_or(ParsePayloadError::Length { found, expected: "exactly 8, as 16 hex digits" })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for DownlinkPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for DownlinkPayload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DownlinkPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, ParsePayloadError> {
    hex::decode(text).ok().ok_or_else(|| ParsePayloadError::NotHex(text.chars().take(40).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_either_case_is_read_and_printed_lower() {
        for text in ["", "0A41ff00", "deadBEEF"] {
            let payload: Payload = text.parse().unwrap();
            assert_eq!(payload.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn a_downlink_is_eight_bytes_and_nothing_else() {
        assert!("0123456789abcdef".parse::<DownlinkPayload>().is_ok());
        for text in ["", "0123456789abcd", "0123456789abcdef00", "0123456789abcdeg", "0123456789abcde"] {
            assert!(text.parse::<DownlinkPayload>().is_err(), "`{text}`");
        }
    }
}

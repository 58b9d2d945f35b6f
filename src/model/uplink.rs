//! One message of a device, and the identity that makes it the same message whichever way it comes.

use std::fmt;
use std::str::FromStr;

use crc::{CRC_16_IBM_3740, Crc};
use serde::{Deserialize, Serialize};

use super::{DeviceId, Location, Payload, SourceName, Timestamp};

/// A message that a device sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    /// Who sent it.
    pub device: DeviceId,
    /// When the network received it.
    pub time: Timestamp,
    /// The sequence number, 12 bits in today's protocol; absent for V0 devices.
    pub seq: Option<u16>,
    /// What was sent; may be empty.
    pub payload: Payload,
    /// The source that brought it first.
    pub source: SourceName,
    /// When this gateway first saw it.
    pub received: Timestamp,
    /// Whether it was history already when first seen (older than the source's `overlap`).
    pub replay: bool,
    /// What the network says about the link.
    pub link_quality: Option<LinkQuality>,
    /// Signal strength of the best reception in dBm.
    pub rssi: Option<f32>,
    /// Signal to noise of the best reception in dB.
    pub snr: Option<f32>,
    /// How many base stations heard it; absent where the contract hides them.
    pub stations: Option<u16>,
    /// Whether the device asked for a downlink; absent where the source does not say.
    pub ack: Option<bool>,
    /// The position that the network computed for this message.
    pub location: Option<Location>,
}

impl Uplink {
    /// A message of which only what was sent is known; seen by this gateway at the moment when it was sent.
    #[must_use]
    pub fn new(device: DeviceId, time: Timestamp, payload: Payload, source: SourceName) -> Self {
        Self {
            device,
            time,
            seq: None,
            payload,
            source,
            received: time,
            replay: false,
            link_quality: None,
            rssi: None,
            snr: None,
            stations: None,
            ack: None,
            location: None,
        }
    }

    /// The identity of this uplink.
    #[must_use]
    pub fn id(&self) -> UplinkId {
        let (device, seconds) = (self.device, self.time.as_seconds());
        match self.seq {
            Some(seq) => UplinkId { device, seconds, tail: UplinkTail::Seq(seq) },
            None => self.unnumbered_id(),
        }
    }

    /// Its identity as told by a source that gives no sequence number.
    pub(crate) fn unnumbered_id(&self) -> UplinkId {
        let tail = UplinkTail::Crc(crc16(self.payload.as_bytes()));
        UplinkId { device: self.device, seconds: self.time.as_seconds(), tail }
    }
}

/// The identity of an uplink: device, second and sequence number, or the CRC of the payload where the cloud
/// gives no sequence number. Printed `1A2B3C-1789000000-251` and `1A2B3C-1789000000-x29b1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UplinkId {
    /// Who sent it.
    pub device: DeviceId,
    /// Unix time in seconds, the coarsest that a source gives.
    pub seconds: i64,
    /// What tells messages of one second apart.
    pub tail: UplinkTail,
}

/// What tells apart the uplinks of one device in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UplinkTail {
    /// The sequence number.
    Seq(u16),
    /// CRC-16/IBM-3740 of the payload.
    Crc(u16),
}

impl fmt::Display for UplinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-", self.device, self.seconds)?;
        match self.tail {
            UplinkTail::Seq(seq) => write!(f, "{seq}"),
            UplinkTail::Crc(crc) => write!(f, "x{crc:04x}"),
        }
    }
}

/// Why a text is not the identity of an uplink.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an uplink id (expected DEVICE-SECONDS-SEQ or DEVICE-SECONDS-xCRC)")]
pub struct ParseUplinkIdError {
    text: String,
}

impl FromStr for UplinkId {
    type Err = ParseUplinkIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_id(text).ok_or_else(|| ParseUplinkIdError { text: text.chars().take(40).collect() })
    }
}

fn parse_id(text: &str) -> Option<UplinkId> {
    let (rest, tail) = text.rsplit_once('-')?;
    let (device, seconds) = rest.split_once('-')?;
    let tail = match tail.strip_prefix('x') {
        Some(crc) if crc.len() == 4 => UplinkTail::Crc(u16::from_str_radix(crc, 16).ok()?),
        Some(_) => return None,
        None => UplinkTail::Seq(tail.parse().ok()?),
    };
    Some(UplinkId { device: device.parse().ok()?, seconds: seconds.parse().ok()?, tail })
}

/// Made once: its table costs more than a payload's checksum.
static CRC_OF_PAYLOAD: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

fn crc16(bytes: &[u8]) -> u16 {
    CRC_OF_PAYLOAD.checksum(bytes)
}

/// What the network says about a link (Sigfox API v2 `lqi` 0 to 3; 4 is "not available" and stands as none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum LinkQuality {
    /// At the edge of reception.
    Limit,
    /// Average.
    Average,
    /// Good.
    Good,
    /// Excellent.
    Excellent,
}

impl LinkQuality {
    /// The quality by its number in the Sigfox API v2.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Limit, Self::Average, Self::Good, Self::Excellent].get(usize::try_from(number).ok()?).copied()
    }

    /// The quality by its word, in any case: callbacks and Soracom write it so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "limit" => Some(Self::Limit),
            "average" => Some(Self::Average),
            "good" => Some(Self::Good),
            "excellent" => Some(Self::Excellent),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printed_and_read_back() {
        for text in ["1A2B3C-1789000000-251", "002C-1789000000-x29b1", "0-0-0"] {
            assert_eq!(text.parse::<UplinkId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1A2B3C", "1A2B3C-1-", "1A2B3C-x-1", "1A2B3C-1-x1", "1A2B3C-1-70000"] {
            assert!(text.parse::<UplinkId>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_crc_is_the_one_of_the_catalogue() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn link_quality_is_one_scale_whoever_prints_it() {
        assert_eq!(LinkQuality::from_number(2), Some(LinkQuality::Good));
        assert_eq!(LinkQuality::from_word("Good"), Some(LinkQuality::Good));
        assert_eq!(LinkQuality::from_word("GOOD"), Some(LinkQuality::Good));
        for number in [-1, 4, 99] {
            assert_eq!(LinkQuality::from_number(number), None);
        }
        assert_eq!(LinkQuality::from_word("NA"), None);
    }
}

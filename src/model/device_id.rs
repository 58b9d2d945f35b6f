//! A Sigfox device identifier: a number of at most 32 bits that each cloud prints in its own width.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A device identifier.
///
/// Clouds print the same device with or without leading zeros and in either case, so identity (`Eq`, `Ord`,
/// `Hash`) is the number alone; the printed form keeps the width in which this value was read, upper case.
#[derive(Debug, Clone, Copy)]
pub struct DeviceId {
    number: u32,
    width: u8,
}

impl DeviceId {
    /// The identifier with this number, printed in at least `width` digits (1 to 8).
    #[must_use]
    pub fn new(number: u32, width: u8) -> Self {
        Self { number, width: width.clamp(1, 8) }
    }

    /// The number that identifies the device.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many digits the text had from which this value was read; a store keeps it beside the number.
    #[must_use]
    pub fn width(self) -> u8 {
        self.width
    }
}

/// Why a text is not a device identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a Sigfox device id (expected 1 to 8 hex digits)")]
pub struct ParseDeviceIdError {
    text: String,
}

impl FromStr for DeviceId {
    type Err = ParseDeviceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseDeviceIdError { text: text.chars().take(40).collect() };
        if text.is_empty() || text.len() > 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let number = u32::from_str_radix(text, 16).ok().ok_or_else(refuse)?;
        let width = u8::try_from(text.len()).ok().ok_or_else(refuse)?;
        Ok(Self { number, width })
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$X}", self.number, width = usize::from(self.width))
    }
}

impl PartialEq for DeviceId {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for DeviceId {}

impl Hash for DeviceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl Ord for DeviceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl PartialOrd for DeviceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_id_keeps_its_width_in_upper_case() {
        for (text, printed) in [
            ("002c", "002C"),
            ("3068E", "3068E"),
            ("01234567", "01234567"),
            ("0", "0"),
            ("ffffffff", "FFFFFFFF"),
        ] {
            assert_eq!(text.parse::<DeviceId>().map(|id| id.to_string()), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn leading_zeros_and_case_make_no_other_device() {
        assert_eq!("002C".parse::<DeviceId>(), "2c".parse::<DeviceId>());
        assert_ne!("2C".parse::<DeviceId>(), "2C0".parse::<DeviceId>());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "123456789", "XYZ", "+1", " 1", "1A2B3C/"] {
            assert!(text.parse::<DeviceId>().is_err(), "`{text}`");
        }
    }
}

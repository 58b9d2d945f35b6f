//! A downlink from the command to its end: its identity, its states and how sure we are of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::{DeviceId, DownlinkPayload, Timestamp, UplinkId};

/// How the names begin that we make.
const MADE_PREFIX: &str = "auto-";

/// The name of a downlink within its device: 1 to 64 of `A-Z a-z 0-9 _ . : -`, so that it can stand in a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ItemId(String);

/// Why a text cannot name a downlink.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a downlink id (expected 1 to 64 of A-Z a-z 0-9 _ . : -)")]
pub struct ParseItemIdError {
    text: String,
}

impl ItemId {
    /// The name of an item whose sender gave none.
    #[must_use]
    pub fn made(unique: uuid::Uuid) -> Self {
        Self(format!("{MADE_PREFIX}{}", unique.simple()))
    }

    /// Whether the name was made by us. A sender may use such a name too.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.0.starts_with(MADE_PREFIX)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemId {
    type Err = ParseItemIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseItemIdError { text: text.chars().take(80).collect() })
        }
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One downlink of a device's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downlink {
    /// Its name within the device.
    pub id: ItemId,
    /// Who is to receive it.
    pub device: DeviceId,
    /// The eight bytes; none only where a command was rejected because it gave none that can be sent.
    pub data: Option<DownlinkPayload>,
    /// Where it is.
    pub state: DownlinkState,
    /// How sure we are of that state.
    pub evidence: Option<Evidence>,
    /// When the command was accepted.
    pub created: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// When it ends unsent.
    pub expires: Timestamp,
    /// Not to be sent before.
    pub not_before: Option<Timestamp>,
    /// A newer queued item with the same key replaces this one.
    pub coalesce: Option<String>,
    /// How it is sent: `callback`, `direct` or `soracom`; none until that is known.
    pub via: Option<String>,
    /// Why it is in this state, where that needs a word.
    pub reason: Option<String>,
    /// Every state with the time it was entered, oldest first.
    pub history: Vec<(DownlinkState, Timestamp)>,
    /// The uplink that it answers.
    pub uplink: Option<UplinkId>,
    /// What the sender of the command called it.
    pub transaction: Option<String>,
    /// Whether, once sent, it waits for the uplink by which the device's decoder knows that it arrived.
    pub awaits_device_ack: bool,
}

impl Downlink {
    /// Whether it can change no more: its state is final, or it was sent and nothing more can be known.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.state.is_final() || (self.state == DownlinkState::Sent && !self.awaits_device_ack)
    }

    /// Whether it still waits, or is with the cloud: what a queue's bound counts.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == DownlinkState::Queued || self.state.is_in_flight()
    }
}

/// Where a downlink is. Final states are never left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum DownlinkState {
    /// Waits for the device's next opportunity.
    Queued,
    /// Given to the Sigfox cloud as the answer to an uplink; not known to be transmitted.
    Armed,
    /// Accepted by Soracom (202).
    Submitted,
    /// Transmitted by a base station.
    Sent,
    /// Final: the device itself has shown that it arrived.
    Acked,
    /// Final: a newer command took its place.
    Replaced,
    /// Final: a command took it back.
    Cancelled,
    /// Final: its time ran out.
    Expired,
    /// Final: it cannot be sent, for the reason given.
    Failed,
    /// Final: it was never queued, for the reason given.
    Rejected,
}

impl DownlinkState {
    /// Every state, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Armed,
        Self::Submitted,
        Self::Sent,
        Self::Acked,
        Self::Replaced,
        Self::Cancelled,
        Self::Expired,
        Self::Failed,
        Self::Rejected,
    ];

    /// Whether the cloud has it and its fate is open.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Armed | Self::Submitted)
    }

    /// Whether no item leaves it. `Sent` is not among them: see `Downlink::is_final`.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Acked | Self::Replaced | Self::Cancelled | Self::Expired | Self::Failed | Self::Rejected
        )
    }
}

impl fmt::Display for DownlinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How sure a downlink's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Evidence {
    /// Concluded from what came next.
    Inferred,
    /// The network said so.
    Network,
    /// The device itself showed it.
    Device,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_id_can_stand_in_a_topic() {
        for text in ["set-7", "a", "0f.A_b:1"] {
            assert_eq!(text.parse::<ItemId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        let long = "x".repeat(65);
        for text in ["", "a/b", "+", "#", "a b", long.as_str(), "é"] {
            assert!(text.parse::<ItemId>().is_err(), "`{text}`");
        }
    }

    #[test]
    fn states_are_spelled_as_the_contract_spells_them() {
        let printed: Vec<_> = DownlinkState::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            printed.join(" "),
            "queued armed submitted sent acked replaced cancelled expired failed rejected"
        );
    }
}

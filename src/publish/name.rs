//! The names of the retained documents. What a name stands for is rendered when it is sent, so that a set of
//! names is all that must be remembered of what is out of date.

use crate::model::{DeviceId, ItemId, SourceName};
use crate::mqtt::topic::Topics;

/// A retained document. The order is the one in which they are sent when several are out of date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `bridge/info`.
    BridgeInfo,
    /// `bridge/sources/<source>`.
    Source(SourceName),
    /// `device/<id>/info`.
    Info(DeviceId),
    /// `device/<id>/state`.
    State(DeviceId),
    /// `device/<id>/location`.
    Location(DeviceId),
    /// `device/<id>/downlink`.
    Downlink(DeviceId),
    /// `device/<id>/downlink/item/<item>`.
    Item(DeviceId, ItemId),
    /// `bridge/devices`.
    Devices,
}

impl Name {
    /// Where the document is kept.
    #[must_use]
    pub fn topic(&self, topics: &Topics) -> String {
        match self {
            Self::BridgeInfo => topics.bridge("info"),
            Self::Source(source) => topics.source(source),
            Self::Info(device) => topics.device(*device, "info"),
            Self::State(device) => topics.device(*device, "state"),
            Self::Location(device) => topics.device(*device, "location"),
            Self::Downlink(device) => topics.device(*device, "downlink"),
            Self::Item(device, item) => topics.downlink_item(*device, item),
            Self::Devices => topics.bridge("devices"),
        }
    }
}

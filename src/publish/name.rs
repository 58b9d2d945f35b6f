//! The names of the retained documents. What a name stands for is rendered when it is sent, so that a set of
//! names is all that must be remembered of what is out of date.

use crate::model::{DeviceId, ItemId, SourceName};
use crate::mqtt::topic::Topics;

/// A retained document. The order is the one in which they are sent when several are out of date; from the availability
/// on they take turns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `bridge/state`, which is said on every connection and never rendered.
    BridgeState,
    /// A discovery topic whose entities are about to be told of on another one: Home Assistant keeps their history.
    Migration(String),
    /// The same topic, cleared before the entities are told of anew: cleared later, Home Assistant takes it for a conflict.
    Migrated(String),
    /// `bridge/info`.
    BridgeInfo,
    /// `bridge/sources/<source>`.
    Source(SourceName),
    /// `bridge/health`.
    Health,
    /// Discovery of the gateway.
    GatewayDiscovery,
    /// Discovery of one entity of the gateway: its component and its key.
    GatewayComponent(&'static str, String),
    /// `device/<id>/info`.
    Info(DeviceId),
    /// Discovery of a device.
    Discovery(DeviceId),
    /// Discovery of one entity of a device: its component and its key.
    Component(DeviceId, &'static str, String),
    /// `device/<id>/availability`.
    Availability(DeviceId),
    /// `device/<id>/state`.
    State(DeviceId),
    /// `device/<id>/attr/<field>`.
    Attribute(DeviceId, String),
    /// `device/<id>/location`.
    Location(DeviceId),
    /// `device/<id>/downlink`.
    Downlink(DeviceId),
    /// `device/<id>/downlink/item/<item>`.
    Item(DeviceId, ItemId),
    /// `bridge/devices`.
    Devices,
    /// A topic on which nothing is kept any more.
    Gone(String),
}

impl Name {
    /// The device that it is a document of.
    pub(super) fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Info(device)
            | Self::Discovery(device)
            | Self::Component(device, ..)
            | Self::Availability(device)
            | Self::State(device)
            | Self::Attribute(device, _)
            | Self::Location(device)
            | Self::Downlink(device)
            | Self::Item(device, _) => Some(*device),
            _ => None,
        }
    }

    /// Whether each uplink of a device may change it, or nothing is lost when others come first.
    pub(super) fn is_of_uplinks(&self) -> bool {
        *self >= Self::Availability(DeviceId::new(0, 1))
    }

    /// Where the document is kept.
    #[must_use]
    pub fn topic(&self, topics: &Topics, gateway: &str) -> String {
        match self {
            Self::BridgeState => topics.bridge("state"),
            Self::BridgeInfo => topics.bridge("info"),
            Self::Source(source) => topics.source(source),
            Self::Health => topics.bridge("health"),
            Self::GatewayDiscovery => topics.discovery("device", &format!("sigfox2mqtt_{gateway}")),
            Self::GatewayComponent(component, key) => {
                topics.discovery(component, &format!("sigfox2mqtt_{gateway}/{key}"))
            }
            Self::Info(device) => topics.device(*device, "info"),
            Self::Discovery(device) => topics.discovery("device", &format!("sigfox2mqtt_{gateway}_{device}")),
            Self::Component(device, component, key) => {
                topics.discovery(component, &format!("sigfox2mqtt_{gateway}_{device}/{key}"))
            }
            Self::Availability(device) => topics.device(*device, "availability"),
            Self::State(device) => topics.device(*device, "state"),
            Self::Attribute(device, field) => topics.attribute(*device, field),
            Self::Location(device) => topics.device(*device, "location"),
            Self::Downlink(device) => topics.device(*device, "downlink"),
            Self::Item(device, item) => topics.downlink_item(*device, item),
            Self::Devices => topics.bridge("devices"),
            Self::Migration(topic) | Self::Migrated(topic) | Self::Gone(topic) => topic.clone(),
        }
    }
}

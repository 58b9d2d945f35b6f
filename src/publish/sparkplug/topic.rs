//! The topics of an edge node as values; the parser is the inverse of the formatter (Sparkplug 3.0, section 4).

use crate::config::Sparkplug;
use crate::model::DeviceId;

/// What a message of an edge node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The edge node is there; everything that it has.
    NodeBirth,
    /// Values of the edge node itself.
    NodeData,
    /// The edge node is gone.
    NodeDeath,
    /// A device is there; everything that it has.
    DeviceBirth(DeviceId),
    /// Values of a device.
    DeviceData(DeviceId),
    /// A device is gone.
    DeviceDeath(DeviceId),
}

/// What a message for an edge node is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inbound {
    /// A command to the edge node.
    NodeCommand,
    /// A command to a device.
    DeviceCommand(DeviceId),
    /// How the primary host does.
    HostState,
}

/// All topics of one edge node.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    namespace: String,
    group: String,
    edge_node: String,
    primary_host: Option<String>,
}

impl Topics {
    /// The topics of the edge node that the configuration describes.
    pub(super) fn new(settings: &Sparkplug) -> Self {
        let Sparkplug { namespace, group, edge_node, primary_host } = settings.clone();
        Self { namespace, group, edge_node, primary_host }
    }

    /// Where a message is published.
    pub(super) fn of(&self, kind: Kind) -> String {
        let (verb, device) = match kind {
            Kind::NodeBirth => ("NBIRTH", None),
            Kind::NodeData => ("NDATA", None),
            Kind::NodeDeath => ("NDEATH", None),
            Kind::DeviceBirth(device) => ("DBIRTH", Some(device)),
            Kind::DeviceData(device) => ("DDATA", Some(device)),
            Kind::DeviceDeath(device) => ("DDEATH", Some(device)),
        };
        match device {
            None => self.below(verb),
            Some(device) => format!("{}/{device}", self.below(verb)),
        }
    }

    /// Exactly what the edge node subscribes to.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        let mut filters = vec![self.below("NCMD"), format!("{}/+", self.below("DCMD"))];
        filters.extend(self.primary_host.as_ref().map(|host| format!("{}/STATE/{host}", self.namespace)));
        filters
    }

    /// What a message on this topic is about; none where it is none of ours.
    pub(super) fn parse(&self, topic: &str) -> Option<Inbound> {
        let rest = topic.strip_prefix(self.namespace.as_str())?.strip_prefix('/')?;
        if let Some(host) = rest.strip_prefix("STATE/") {
            return (self.primary_host.as_deref() == Some(host)).then_some(Inbound::HostState);
        }
        let rest = rest.strip_prefix(self.group.as_str())?.strip_prefix('/')?;
        let (verb, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix(self.edge_node.as_str())?;
        match (verb, rest.strip_prefix('/')) {
            ("NCMD", None) if rest.is_empty() => Some(Inbound::NodeCommand),
            ("DCMD", Some(device)) => Some(Inbound::DeviceCommand(device.parse().ok()?)),
            _ => None,
        }
    }

    fn below(&self, verb: &str) -> String {
        format!("{}/{}/{verb}/{}", self.namespace, self.group, self.edge_node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics::new(&Sparkplug {
            group: "site1".to_owned(),
            edge_node: "gw1".to_owned(),
            namespace: "spBv1.0".to_owned(),
            primary_host: Some("scada".to_owned()),
        })
    }

    #[test]
    fn topics_are_those_of_the_specification() {
        let device: DeviceId = "1A2B3C".parse().unwrap();
        for (kind, topic) in [
            (Kind::NodeBirth, "spBv1.0/site1/NBIRTH/gw1"),
            (Kind::NodeData, "spBv1.0/site1/NDATA/gw1"),
            (Kind::NodeDeath, "spBv1.0/site1/NDEATH/gw1"),
            (Kind::DeviceBirth(device), "spBv1.0/site1/DBIRTH/gw1/1A2B3C"),
            (Kind::DeviceData(device), "spBv1.0/site1/DDATA/gw1/1A2B3C"),
            (Kind::DeviceDeath(device), "spBv1.0/site1/DDEATH/gw1/1A2B3C"),
        ] {
            assert_eq!(topics().of(kind), topic);
        }
        assert_eq!(
            topics().subscriptions(),
            ["spBv1.0/site1/NCMD/gw1", "spBv1.0/site1/DCMD/gw1/+", "spBv1.0/STATE/scada"]
        );
    }

    #[test]
    fn what_comes_in_is_told_by_its_topic() {
        let device = Inbound::DeviceCommand("1A2B3C".parse().unwrap());
        for (topic, inbound) in [
            ("spBv1.0/site1/NCMD/gw1", Some(Inbound::NodeCommand)),
            ("spBv1.0/site1/DCMD/gw1/1A2B3C", Some(device)),
            ("spBv1.0/STATE/scada", Some(Inbound::HostState)),
            ("spBv1.0/STATE/other", None),
            ("spBv1.0/site1/NCMD/gw10", None),
            ("spBv1.0/site1/NCMD/gw1/1A2B3C", None),
            ("spBv1.0/site1/DCMD/gw1", None),
            ("spBv1.0/site1/DCMD/gw1/pump", None),
            ("spBv1.0/site2/NCMD/gw1", None),
            ("spBv1.0/site1/NBIRTH/gw1", None),
            ("STATE/scada", None),
            ("", None),
        ] {
            assert_eq!(topics().parse(topic), inbound, "{topic}");
        }
    }
}

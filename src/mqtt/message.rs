//! What goes to the broker and what comes from it, the same for both versions of the protocol.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::link::{Epoch, Shared};

/// A message for the broker, QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it; with an empty payload: whether it forgets what it kept.
    pub retain: bool,
    /// What only MQTT 5 carries.
    pub properties: Properties,
}

/// What only MQTT 5 carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// How long the message is of use.
    pub expiry: Option<Duration>,
    /// Media type of the payload.
    pub content_type: Option<&'static str>,
    /// User properties.
    pub user: Vec<(&'static str, String)>,
    /// Correlation data of the request that this answers.
    pub correlation: Option<Bytes>,
}

impl Publish {
    /// An upper bound of the packet's size in bytes (MQTT 5, section 3.3).
    pub(crate) fn packet_size(&self) -> usize {
        let properties = &self.properties;
        let user: usize = properties.user.iter().map(|(name, value)| 5 + name.len() + value.len()).sum();
        let content_type = properties.content_type.map_or(0, |text| 3 + text.len());
        let correlation = properties.correlation.as_ref().map_or(0, |data| 3 + data.len());
        // Fixed header 5, length of the topic 2, packet id 2, length of the properties 4, expiry 5.
        18 + self.topic.len() + user + content_type + correlation + self.payload.len()
    }

    /// Whether a packet can carry it at all (MQTT 5, section 4.7.1; strings are at most 65,535 bytes long).
    pub(crate) fn is_well_formed(&self) -> bool {
        let short = |length: usize| length <= usize::from(u16::MAX);
        let topic = &self.topic;
        !topic.is_empty()
            && !topic.contains(['#', '+', '\0'])
            && short(topic.len())
            && self.properties.user.iter().all(|(_, value)| short(value.len()))
            && self.properties.correlation.as_ref().is_none_or(|data| short(data.len()))
    }
}

/// A message from the broker. Unless [`Message::ack`] is called it comes again after the next reconnect.
#[derive(Debug)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// Whether the broker had kept it, so that it is old.
    pub retain: bool,
    /// Whether the broker delivers it again.
    pub dup: bool,
    /// Where an MQTT 5 client wants the answer.
    pub response_topic: Option<String>,
    /// What that client wants back with it.
    pub correlation: Option<Bytes>,
    pub(super) receipt: Option<Receipt>,
}

/// What it takes to acknowledge a message: only on the connection that brought it.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) shared: Arc<Shared>,
    pub(super) epoch: Epoch,
    pub(super) packet: u16,
}

impl Message {
    /// About how many bytes it takes while it waits.
    pub(super) fn size(&self) -> usize {
        let answer = self.response_topic.as_ref().map_or(0, String::len);
        let correlation = self.correlation.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + self.topic.len() + self.payload.len() + answer + correlation
    }

    /// Tells the broker to forget the message: what it asked for is durable, or will never be done.
    ///
    /// A crash before this line makes the broker deliver it again; so does a connection that broke meanwhile.
    pub fn ack(self) {
        if let Some(receipt) = self.receipt {
            receipt.shared.acknowledge(receipt.epoch, receipt.packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_packet_can_carry_is_known_beforehand() {
        let long = "x".repeat(70_000);
        for (topic, good) in
            [("a/b", true), ("", false), ("a/#", false), ("+/b", false), (long.as_str(), false)]
        {
            let publish = Publish {
                topic: topic.to_owned(),
                payload: Bytes::new(),
                retain: false,
                properties: Properties::default(),
            };
            assert_eq!(publish.is_well_formed(), good, "{}", topic.get(..10).unwrap_or(topic));
        }
    }
}

//! Every topic of the contract as a value; the parser is the inverse of the formatter.

use crate::model::{DeviceId, ItemId, SourceName};

/// All topics below one base.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    discovery_prefix: String,
}

/// What a message that comes in is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// `<b>/device/<id>/downlink/<verb>`.
    Downlink {
        /// Of which device.
        device: DeviceId,
        /// What is to be done.
        verb: DownlinkVerb,
    },
    /// `<b>/bridge/request/<verb>`.
    Request(String),
    /// `<b>/bridge/request/hello`: a gateway says that it publishes here.
    Hello,
    /// `<prefix>/status`.
    HomeAssistant,
}

/// What is to be done with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownlinkVerb {
    /// One or more items at its end.
    Push,
    /// Items instead of those that wait.
    Replace,
    /// Items taken back.
    Cancel,
}

impl Topics {
    /// The topics below a base.
    #[must_use]
    pub fn new(base: &str, discovery_prefix: &str) -> Self {
        Self { base: base.to_owned(), discovery_prefix: discovery_prefix.to_owned() }
    }

    /// `<b>/bridge/<name>`: `state`, `info`, `health`, `devices`, `event`.
    #[must_use]
    pub fn bridge(&self, name: &str) -> String {
        format!("{}/bridge/{name}", self.base)
    }

    /// `<b>/bridge/sources/<source>`.
    #[must_use]
    pub fn source(&self, source: &SourceName) -> String {
        format!("{}/bridge/sources/{source}", self.base)
    }

    /// `<b>/bridge/request/hello`, where gateways below one base hear of each other.
    #[must_use]
    pub fn hello(&self) -> String {
        format!("{}/bridge/request/hello", self.base)
    }

    /// `<b>/bridge/response/<verb>`.
    #[must_use]
    pub fn response(&self, verb: &str) -> String {
        format!("{}/bridge/response/{verb}", self.base)
    }

    /// `<b>/<rest>`, for what is already spelled as a topic.
    #[must_use]
    pub fn below(&self, rest: &str) -> String {
        format!("{}/{rest}", self.base)
    }

    /// `<b>/client/`: below it, MQTT 5 clients may have their answers.
    #[must_use]
    pub fn client(&self) -> String {
        format!("{}/client/", self.base)
    }

    /// `<b>/device/<id>/<name>`: `info`, `state`, `location`, `availability`, `downlink`, `event/up`, ….
    #[must_use]
    pub fn device(&self, device: DeviceId, name: &str) -> String {
        format!("{}/device/{device}/{name}", self.base)
    }

    /// `<b>/device/<id>/downlink/item/<item>`.
    #[must_use]
    pub fn downlink_item(&self, device: DeviceId, item: &ItemId) -> String {
        format!("{}/device/{device}/downlink/item/{item}", self.base)
    }

    /// `<b>/device/<id>/attr/<field>`; what no topic may hold is written as `_`.
    #[must_use]
    pub fn attribute(&self, device: DeviceId, field: &str) -> String {
        let level = field.replace(|character: char| "/+#".contains(character) || character.is_control(), "_");
        format!("{}/device/{device}/attr/{level}", self.base)
    }

    /// `<prefix>/<component>/<node>/config`: a discovery message of Home Assistant.
    #[must_use]
    pub fn discovery(&self, component: &str, node: &str) -> String {
        format!("{}/{component}/{node}/config", self.discovery_prefix)
    }

    /// Exactly what the daemon subscribes to.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<String> {
        let base = &self.base;
        let mut filters: Vec<String> = ["push", "replace", "cancel"]
            .iter()
            .map(|verb| format!("{base}/device/+/downlink/{verb}"))
            .collect();
        // Verbs have slashes: `device/list`.
        filters.push(format!("{base}/bridge/request/#"));
        filters.push(format!("{}/status", self.discovery_prefix));
        filters
    }

    /// What a message on this topic is about; none where it is none of ours.
    #[must_use]
    pub fn parse(&self, topic: &str) -> Option<Inbound> {
        if topic.strip_prefix(self.discovery_prefix.as_str()) == Some("/status") {
            return Some(Inbound::HomeAssistant);
        }
        let rest = topic.strip_prefix(self.base.as_str())?.strip_prefix('/')?;
        let levels: Vec<&str> = rest.split('/').collect();
        match levels.as_slice() {
            ["bridge", "request", "hello"] => Some(Inbound::Hello),
            ["bridge", "request", verb @ ..] if !verb.is_empty() => Some(Inbound::Request(verb.join("/"))),
            ["device", device, "downlink", verb] => {
                let verb = match *verb {
                    "push" => DownlinkVerb::Push,
                    "replace" => DownlinkVerb::Replace,
                    "cancel" => DownlinkVerb::Cancel,
                    _ => return None,
                };
                Some(Inbound::Downlink { device: device.parse().ok()?, verb })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_is_told_by_its_topic() {
        let topics = Topics::new("site/sigfox", "homeassistant");
        let device: DeviceId = "1A2B3C".parse().unwrap();
        let downlink = |verb| Some(Inbound::Downlink { device, verb });
        for (topic, inbound) in [
            ("site/sigfox/device/1A2B3C/downlink/push", downlink(DownlinkVerb::Push)),
            ("site/sigfox/device/1A2B3C/downlink/replace", downlink(DownlinkVerb::Replace)),
            ("site/sigfox/device/1A2B3C/downlink/cancel", downlink(DownlinkVerb::Cancel)),
            ("site/sigfox/bridge/request/sync", Some(Inbound::Request("sync".to_owned()))),
            ("site/sigfox/bridge/request/device/list", Some(Inbound::Request("device/list".to_owned()))),
            (topics.hello().as_str(), Some(Inbound::Hello)),
            ("homeassistant/status", Some(Inbound::HomeAssistant)),
            ("site/sigfox/bridge/request", None),
            ("site/sigfox/device/XYZ/downlink/push", None),
            ("site/sigfox/device/1A2B3C/downlink/item/x", None),
            ("site/sigfoxes/bridge/request/sync", None),
            ("homeassistant/status/more", None),
            ("", None),
        ] {
            assert_eq!(topics.parse(topic), inbound, "{topic}");
        }
    }

    #[test]
    fn everything_that_can_come_in_is_subscribed_to() {
        let topics = Topics::new("b", "ha");
        let expected =
            ["b/device/+/downlink/push", "b/device/+/downlink/replace", "b/device/+/downlink/cancel"];
        assert_eq!(topics.subscriptions().get(..3).unwrap(), expected);
        assert_eq!(topics.subscriptions().get(3..).unwrap(), ["b/bridge/request/#", "ha/status"]);
    }
}

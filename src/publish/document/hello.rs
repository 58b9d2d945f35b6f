//! How gateways below one base learn of each other (`bridge/request/hello`).

use serde::{Deserialize, Serialize};

use super::VERSION;

/// A gateway says that it publishes here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hello {
    v: u8,
    /// Its name.
    pub gateway: String,
    /// Whether it says so because another gateway did; nobody answers to that.
    #[serde(default)]
    pub answer: bool,
}

impl Hello {
    /// What a gateway says of its own accord, or as an answer.
    #[must_use]
    pub fn new(gateway: &str, answer: bool) -> Self {
        Self { v: VERSION, gateway: gateway.to_owned(), answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::document::print;

    #[test]
    fn what_is_said_is_understood() {
        let hello = Hello::new("gw1", true);
        assert_eq!(print(&hello), r#"{"v":1,"gateway":"gw1","answer":true}"#);
        assert_eq!(serde_json::from_slice::<Hello>(&print(&hello)).unwrap(), hello);
        let short: Hello = serde_json::from_str(r#"{"v":1,"gateway":"gw2","later":7}"#).unwrap();
        assert_eq!(short, Hello::new("gw2", false));
    }
}

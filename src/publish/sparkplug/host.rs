//! What a primary host says of itself on STATE, and which of its words count (Sparkplug 3.0, section 5.14). Pure.

use serde::Deserialize;

/// The body of a STATE message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct HostState {
    /// Whether the host is there.
    pub(super) online: bool,
    /// When it said so, in milliseconds since 1970 by its own clock.
    pub(super) timestamp: u64,
}

impl HostState {
    /// Reads the body; none where it is none.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// The last word of a host that counts, on one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Host {
    last: Option<HostState>,
}

impl Host {
    /// Takes over what the host says, and gives whether it counts: an older word than the last one is the testament
    /// of a connection that is long gone.
    pub(super) fn hear(&mut self, state: HostState) -> bool {
        let counts = self.last.is_none_or(|last| state.timestamp >= last.timestamp);
        if counts {
            self.last = Some(state);
        }
        counts
    }

    /// Whether the host is there, as far as it said.
    pub(super) fn is_online(self) -> bool {
        self.last.is_some_and(|last| last.online)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_word_does_not_count() {
        let mut host = Host::default();
        assert!(!host.is_online(), "a host that never spoke");
        for (online, timestamp, counts, is_online) in [
            (true, 10, true, true),
            (false, 9, false, true),
            (false, 10, true, false),
            (true, 9, false, false),
            (true, 11, true, true),
        ] {
            assert_eq!(host.hear(HostState { online, timestamp }), counts, "{online} at {timestamp}");
            assert_eq!(host.is_online(), is_online, "after {online} at {timestamp}");
        }
    }

    #[test]
    fn only_the_body_of_sparkplug_3_is_read() {
        let state = Some(HostState { online: true, timestamp: 5 });
        for (body, read) in [
            (r#"{"online":true,"timestamp":5}"#, state),
            (r#"{"online":true,"timestamp":5,"more":1}"#, state),
            (r#"{"online":true}"#, None),
            (r#"{"online":"true","timestamp":5}"#, None),
            (r#"{"online":true,"timestamp":-5}"#, None),
            ("ONLINE", None),
            ("", None),
        ] {
            assert_eq!(HostState::read(body.as_bytes()), read, "{body}");
        }
    }
}

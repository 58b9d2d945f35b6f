//! The one table of a downlink's states: what can happen in each, and where it leads.
//!
//! Nothing else decides whether a state may follow another; `docs/downlinks.md` draws its diagram from this table.

use crate::model::DownlinkState::{
    self, Acked, Armed, Cancelled, Expired, Failed, Queued, Replaced, Sent, Submitted,
};

/// What happens to a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It became our answer to the device's uplink, or the answer that the cloud keeps for it.
    Answered,
    /// Soracom is given it.
    Handed,
    /// The cloud could not send it now; it may be tried again.
    Returned,
    /// A base station sent it, or what came next lets us conclude that.
    Emitted,
    /// The cloud will never send it.
    Refused,
    /// The device showed that it arrived.
    Shown,
    /// A newer command took its place.
    Superseded,
    /// A command took it back.
    TakenBack,
    /// Its time ran out.
    TimedOut,
}

/// Every transition there is.
pub(crate) const TRANSITIONS: [(DownlinkState, Cause, DownlinkState); 18] = [
    (Queued, Cause::Answered, Armed),
    (Queued, Cause::Handed, Submitted),
    (Queued, Cause::Superseded, Replaced),
    (Queued, Cause::TakenBack, Cancelled),
    (Queued, Cause::TimedOut, Expired),
    (Queued, Cause::Refused, Failed),
    (Armed, Cause::Emitted, Sent),
    (Armed, Cause::Returned, Queued),
    (Armed, Cause::Refused, Failed),
    (Armed, Cause::Shown, Acked),
    (Armed, Cause::TakenBack, Cancelled),
    (Armed, Cause::TimedOut, Expired),
    (Submitted, Cause::Emitted, Sent),
    (Submitted, Cause::Returned, Queued),
    (Submitted, Cause::Refused, Failed),
    (Submitted, Cause::Shown, Acked),
    (Submitted, Cause::TimedOut, Expired),
    (Sent, Cause::Shown, Acked),
];

/// Where a state leads; none where this cannot happen in it.
pub(crate) fn next(state: DownlinkState, cause: Cause) -> Option<DownlinkState> {
    TRANSITIONS.iter().find(|(from, by, _)| *from == state && *by == cause).map(|(_, _, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as the diagram of `docs/downlinks.md`; what leads from one state to another on one arrow.
    fn diagram() -> String {
        let mut lines = vec!["stateDiagram-v2".to_owned(), "    [*] --> queued".to_owned()];
        for (from, cause, to) in TRANSITIONS {
            lines.push(format!("    {from} --> {to}: {}", words(cause)));
        }
        let ends = DownlinkState::ALL.iter().filter(|state| state.is_final() || **state == Sent);
        lines.push("    [*] --> rejected: never queued".to_owned());
        lines.extend(ends.map(|state| format!("    {state} --> [*]")));
        lines.join("\n")
    }

    fn words(cause: Cause) -> &'static str {
        match cause {
            Cause::Answered => "the device asks",
            Cause::Handed => "handed to Soracom",
            Cause::Returned => "cannot be sent now",
            Cause::Emitted => "a base station sent it",
            Cause::Refused => "will never be sent",
            Cause::Shown => "the device shows that it arrived",
            Cause::Superseded => "a newer command",
            Cause::TakenBack => "cancel",
            Cause::TimedOut => "its time is over",
        }
    }

    #[test]
    fn the_diagram_in_the_docs_is_the_table() {
        let docs = include_str!("../../../docs/downlinks.md");
        let (_, rest) = docs.split_once("<!-- diagram -->\n```mermaid\n").unwrap();
        let (drawn, _) = rest.split_once("\n```\n<!-- /diagram -->").unwrap();
        assert_eq!(drawn, diagram(), "\n{}", diagram());
    }

    #[test]
    fn no_transition_leaves_a_final_state() {
        for (from, cause, _) in TRANSITIONS {
            assert!(!from.is_final(), "{from} by {cause:?}");
        }
    }

    #[test]
    fn each_cause_leads_to_one_state() {
        for (index, (from, cause, _)) in TRANSITIONS.iter().enumerate() {
            let rows = TRANSITIONS.iter().filter(|(f, c, _)| f == from && c == cause).count();
            assert_eq!(rows, 1, "row {index}");
        }
    }

    #[test]
    fn every_state_but_rejected_can_be_reached_from_the_queue() {
        let mut reached = vec![Queued];
        for _ in 0..TRANSITIONS.len() {
            for (from, _, to) in TRANSITIONS {
                if reached.contains(&from) && !reached.contains(&to) {
                    reached.push(to);
                }
            }
        }
        for state in DownlinkState::ALL {
            assert_eq!(reached.contains(&state), state != DownlinkState::Rejected, "{state}");
        }
    }
}

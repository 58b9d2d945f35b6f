//! What becomes of downlinks (`downlink`, `downlink/item/<item>`, `event/downlink`).

use serde::Serialize;

use super::VERSION;
use crate::downlink::used_today;
use crate::model::{DeviceId, Downlink, DownlinkPayload, DownlinkState, Evidence, ItemId, Timestamp};

/// A downlink as it is, or as it was right after a transition.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DownlinkItem<'a> {
    v: u8,
    /// Its name, within its device.
    id: &'a ItemId,
    /// Whom it is for.
    device: DeviceId,
    /// Where it is.
    state: DownlinkState,
    /// Whether it changes no more.
    #[serde(rename = "final")]
    is_final: bool,
    /// How sure that is.
    evidence: Option<Evidence>,
    /// Its eight bytes.
    data: Option<DownlinkPayload>,
    /// When the command came.
    created: Timestamp,
    /// When it entered its state.
    updated: Timestamp,
    /// When its time runs out.
    expires: Timestamp,
    /// How it was given to the cloud: `callback`, `direct` or `soracom`.
    via: Option<&'a str>,
    /// Why it is in its state, where that needs a word.
    reason: Option<&'a str>,
    /// Every state with the time at which it was entered.
    history: &'a [(DownlinkState, Timestamp)],
    /// The uplink that it answers.
    uplink: Option<String>,
    /// What the sender of the command called it.
    transaction: Option<&'a str>,
}

impl<'a> From<&'a Downlink> for DownlinkItem<'a> {
    fn from(item: &'a Downlink) -> Self {
        Self {
            v: VERSION,
            id: &item.id,
            device: item.device,
            state: item.state,
            is_final: item.is_final(),
            evidence: item.evidence,
            data: item.data,
            created: item.created,
            updated: item.updated,
            expires: item.expires,
            via: item.via.as_deref(),
            reason: item.reason.as_deref(),
            history: &item.history,
            uplink: item.uplink.map(|uplink| uplink.to_string()),
            transaction: item.transaction.as_deref(),
        }
    }
}

/// A device's queue at a glance.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DownlinkSummary<'a> {
    /// Version of the document.
    pub v: u8,
    /// Whose queue it is.
    pub device: DeviceId,
    /// `callback`, `direct`, `soracom` or `none`.
    pub mode: &'static str,
    /// The best evidence of delivery that can be had.
    pub evidence: Option<Evidence>,
    /// How much of today's allowance is used.
    pub quota: Quota,
    /// When the device may next ask for one, as far as its habit tells.
    pub next_opportunity: Option<Timestamp>,
    /// By when it does so nine times in ten.
    pub next_opportunity_by: Option<Timestamp>,
    /// What waits or is with the cloud, in order.
    pub queue: Vec<QueueRow<'a>>,
    /// The item that changed last.
    pub last: Option<QueueRow<'a>>,
}

/// Downlinks of a UTC day.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Quota {
    /// Given to the cloud today.
    pub used: u32,
    /// The most a day.
    pub limit: u32,
}

/// An item in the summary.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueRow<'a> {
    /// Its name, within its device.
    id: &'a ItemId,
    /// Where it is.
    state: DownlinkState,
    /// Its eight bytes.
    data: Option<DownlinkPayload>,
    /// When it entered its state.
    updated: Timestamp,
    /// When its time runs out.
    expires: Timestamp,
    /// Why it is in its state, where that needs a word.
    reason: Option<&'a str>,
}

impl<'a> From<&'a Downlink> for QueueRow<'a> {
    fn from(item: &'a Downlink) -> Self {
        Self {
            id: &item.id,
            state: item.state,
            data: item.data,
            updated: item.updated,
            expires: item.expires,
            reason: item.reason.as_deref(),
        }
    }
}

impl Quota {
    /// What these items have used of the day in which `now` lies.
    #[must_use]
    pub fn of(items: &[Downlink], limit: u32, now: Timestamp) -> Self {
        Self { used: u32::try_from(used_today(items, now)).unwrap_or(u32::MAX), limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::document::print;

    #[test]
    fn the_document_is_the_one_of_the_contract() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let item = Downlink {
            id: "set-7".parse().unwrap(),
            device: "1A2B3C".parse().unwrap(),
            data: "0123456789abcdef".parse().ok(),
            state: DownlinkState::Armed,
            evidence: None,
            created: at("2026-09-09T22:00:00Z"),
            updated: at("2026-09-09T23:00:00Z"),
            expires: at("2026-09-11T22:00:00Z"),
            not_before: None,
            coalesce: None,
            via: Some("callback".to_owned()),
            reason: None,
            history: vec![
                (DownlinkState::Queued, at("2026-09-09T22:00:00Z")),
                (DownlinkState::Armed, at("2026-09-09T23:00:00Z")),
            ],
            uplink: "1A2B3C-1789000000-251".parse().ok(),
            transaction: None,
            awaits_device_ack: false,
        };
        assert_eq!(
            std::str::from_utf8(&print(&DownlinkItem::from(&item))).unwrap(),
            concat!(
                r#"{"v":1,"id":"set-7","device":"1A2B3C","state":"armed","final":false,"evidence":null,"#,
                r#""data":"0123456789abcdef","created":"2026-09-09T22:00:00.000Z","#,
                r#""updated":"2026-09-09T23:00:00.000Z","expires":"2026-09-11T22:00:00.000Z","#,
                r#""via":"callback","reason":null,"#,
                r#""history":[["queued","2026-09-09T22:00:00.000Z"],["armed","2026-09-09T23:00:00.000Z"]],"#,
                r#""uplink":"1A2B3C-1789000000-251","transaction":null}"#
            )
        );
        for (now, used) in [("2026-09-09T23:59:59Z", 1), ("2026-09-10T00:00:00Z", 0)] {
            assert_eq!(Quota::of(std::slice::from_ref(&item), 4, at(now)).used, used, "{now}");
        }
    }
}

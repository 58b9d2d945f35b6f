//! A downlink on disk.

use serde::{Deserialize, Serialize};

use super::{Record, TailRecord, code, named};
use crate::model::{DeviceId, Downlink, DownlinkPayload, DownlinkState, Evidence, Timestamp, UplinkId};

const EVIDENCES: [Evidence; 3] = [Evidence::Inferred, Evidence::Network, Evidence::Device];

/// A downlink; its device is in the key, or beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct DownlinkRecord {
    id: String,
    data: Option<[u8; 8]>,
    awaits_device_ack: bool,
    state: u8,
    evidence: Option<u8>,
    /// All times in milliseconds; the later ones counted from `created`.
    created: i64,
    updated: i64,
    expires: i64,
    not_before: Option<i64>,
    coalesce: Option<String>,
    via: Option<String>,
    reason: Option<String>,
    history: Vec<(u8, i64)>,
    uplink: Option<(i64, TailRecord)>,
    transaction: Option<String>,
}

impl Record for DownlinkRecord {
    const WHAT: &'static str = "downlink";
}

impl From<&Downlink> for DownlinkRecord {
    fn from(item: &Downlink) -> Self {
        let created = item.created.as_millis();
        let after = |time: Timestamp| time.as_millis() - created;
        Self {
            id: item.id.as_str().to_owned(),
            data: item.data.map(|data| *data.as_bytes()),
            awaits_device_ack: item.awaits_device_ack,
            state: code(&DownlinkState::ALL, &item.state),
            evidence: item.evidence.map(|evidence| code(&EVIDENCES, &evidence)),
            created,
            updated: after(item.updated),
            expires: after(item.expires),
            not_before: item.not_before.map(after),
            coalesce: item.coalesce.clone(),
            via: item.via.clone(),
            reason: item.reason.clone(),
            history: item
                .history
                .iter()
                .map(|(state, time)| (code(&DownlinkState::ALL, state), after(*time)))
                .collect(),
            uplink: item.uplink.map(|id| (id.seconds, id.tail.into())),
            transaction: item.transaction.clone(),
        }
    }
}

impl DownlinkRecord {
    /// The downlink again.
    pub(in crate::store) fn downlink(self, device: DeviceId) -> Option<Downlink> {
        let time = |after: i64| Timestamp::from_millis(self.created.checked_add(after)?);
        let history = self
            .history
            .iter()
            .map(|&(state, after)| Some((named(&DownlinkState::ALL, state)?, time(after)?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Downlink {
            id: self.id.parse().ok()?,
            device,
            data: self.data.map(DownlinkPayload::new),
            awaits_device_ack: self.awaits_device_ack,
            state: named(&DownlinkState::ALL, self.state)?,
            evidence: self.evidence.and_then(|number| named(&EVIDENCES, number)),
            created: time(0)?,
            updated: time(self.updated)?,
            expires: time(self.expires)?,
            not_before: self.not_before.and_then(time),
            coalesce: self.coalesce,
            via: self.via,
            reason: self.reason,
            history,
            uplink: self.uplink.map(|(seconds, tail)| UplinkId { device, seconds, tail: tail.into() }),
            transaction: self.transaction,
        })
    }
}

//! Actions that wait in the studio become items of the downlink queues, by the same rules as a push by MQTT.

use super::action::{Taken, command, is_pending};
use super::thing::DOWNLINK;
use super::things::Things;
use crate::cloud::Error;
use crate::command::orders;
use crate::downlink::{QUEUE_BOUND, Queues};
use crate::ingest::Failure;
use crate::model::{DeviceId, Fields};
use crate::store::Store;

/// Takes actions for one mirror.
#[derive(Debug)]
pub(super) struct Downlinks {
    /// The mirror as the store calls it.
    pub(super) tenant: String,
    pub(super) store: Store,
    pub(super) queues: Queues,
}

impl Downlinks {
    /// Queues what waits for a device, the oldest first and as much as there is room for; the rest goes on waiting.
    /// How each ends is told by the events of its item.
    pub(super) async fn take(&self, device: DeviceId, uid: &str, things: &Things) -> Result<(), Failure> {
        let mut pages = things.cloud.actions(uid, Some(DOWNLINK));
        let mut pending: Vec<_> = match pages.next_page().await {
            Ok(page) => page.into_iter().flat_map(|page| page.rows).filter(is_pending).collect(),
            // Without the action, or without a Thing, nobody asks for anything.
            Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if pending.is_empty() {
            return Ok(());
        }
        let key = format!("{}/actions/{device}", self.tenant);
        let mut taken = Taken::parse(&self.store.note(&key)?.unwrap_or_default());
        pending.retain(|action| !taken.contains(&action.id));
        pending.sort_by(|one, other| (one.requested, &one.id).cmp(&(other.requested, &other.id)));
        let open = self.queues.list(Some(device))?.iter().filter(|item| item.is_open()).count();
        for action in pending.iter().take(QUEUE_BOUND.saturating_sub(open)) {
            let body = command(&action.id, &action.input, &self.tenant);
            let encode = |fields: &Fields| self.queues.encode(device, fields);
            match orders(&body, false, encode) {
                // A crash after this line finds the item by its name and changes nothing.
                Ok(orders) => drop(self.queues.push(device, orders).await?),
                Err(reason) => tracing::warn!(%device, action = action.id, ?reason, "no command"),
            }
            taken.add(&action.id);
            self.store.set_note(&key, &taken.print())?;
            tracing::debug!(%device, action = action.id, "an action of the studio was taken");
        }
        Ok(())
    }
}

//! Actions that wait in the studio become items of the downlink queues, by the same rules as a push by MQTT.

use super::action::{Taken, command, is_over, is_pending, too_late};
use super::thing::DOWNLINK;
use super::things::Things;
use crate::clock;
use crate::cloud::Error;
use crate::cloud::altair::Action;
use crate::command::orders;
use crate::downlink::{QUEUE_BOUND, Queues};
use crate::ingest::Failure;
use crate::model::{DeviceId, Fields};
use crate::store::Store;

/// So many pages of a device's actions are read at one look. The studio keeps a hundred actions of a Thing, one page; where
/// another keeps more, they wait until what is newer has ended.
const MOST_PAGES: usize = 10;

/// Takes actions for one mirror.
#[derive(Debug)]
pub(super) struct Downlinks {
    /// The mirror as the store calls it.
    pub(super) tenant: String,
    pub(super) store: Store,
    pub(super) queues: Queues,
}

impl Downlinks {
    /// Queues what waits for a device, the oldest first and as much as there is room for; the rest goes on waiting, but
    /// for what has waited longer than a downlink may, which fails. How each that is queued ends is told by the events of
    /// its item.
    pub(super) async fn take(&self, device: DeviceId, uid: &str, things: &Things) -> Result<(), Failure> {
        let mut pending = pending(uid, things).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let key = format!("{}/actions/{device}", self.tenant);
        let mut taken = Taken::parse(&self.store.note(&key)?.unwrap_or_default());
        pending.retain(|action| !taken.contains(&action.id));
        pending.sort_by(|one, other| (one.requested, &one.id).cmp(&(other.requested, &other.id)));
        let now = clock::now();
        let (over, pending): (Vec<Action>, Vec<Action>) =
            pending.into_iter().partition(|action| is_over(action, self.queues.expires_after(), now));
        for action in over.iter().take(QUEUE_BOUND) {
            tracing::debug!(%device, action = action.id, "an action of the studio waited too long");
            let ended =
                things.cloud.finish_action(uid, (DOWNLINK, &action.id), "failed", Some(too_late(now)));
            match ended.send().await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
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

/// What waits, as far as is looked; the newest stand first.
async fn pending(uid: &str, things: &Things) -> Result<Vec<Action>, Failure> {
    let mut pages = things.cloud.actions(uid, Some(DOWNLINK));
    let mut pending = Vec::new();
    for _ in 0..MOST_PAGES {
        match pages.next_page().await {
            Ok(Some(page)) => pending.extend(page.rows.into_iter().filter(is_pending)),
            Ok(None) => break,
            // Without the action, or without a Thing, nobody asks for anything.
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            // What came before is good; the rest is there at the next look.
            Err(Error::Circle { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(pending)
}

//! Soracom keeps one downlink a device, replaces it by the next without a word, and never says whether it was
//! fetched (Soracom API, `sendDataToSigfoxDevice`). So only the head of a queue is submitted, and the next when an
//! uplink of the device shows that the slot was served. It is submitted once, and once more only where an answer or we
//! were lost and the device was not heard since: then it takes its own place.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Trouble, changed_nothing};
use crate::cloud::soracom::Soracom;
use crate::cloud::{self, Error};
use crate::downlink::Queues;
use crate::downlink::machine::{Cause, Settled, is_unconfirmed};
use crate::model::{CloudState, Device, Downlink, ItemId, Timestamp};
use crate::store::{Mark, run_of_machine};

/// What is on disk before an item is submitted.
#[derive(Debug, Serialize, Deserialize)]
struct Submission {
    item: ItemId,
    /// When Soracom had last heard the device.
    last_seen: Option<Timestamp>,
    /// The run of the machine in which it was submitted.
    #[serde(default)]
    run: Option<String>,
}

/// The slots of a source's devices.
#[derive(Debug)]
pub(super) struct Slots {
    queues: Queues,
    cloud: Soracom,
}

impl Slots {
    pub(super) fn new(queues: Queues, cloud: Soracom) -> Self {
        Self { queues, cloud }
    }

    pub(super) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Takes back what was to be submitted when we were ended, and was not: the mark says that Soracom was not called. Where
    /// it says that Soracom has answered, the item is there. Before the first round, so that no submission is under way.
    pub(super) async fn take_back(&self, devices: &[Device]) -> Result<(), Trouble> {
        for device in devices {
            let queue = self.queues.store.queue(device.id)?;
            let Some(item) = queue.iter().find(|item| is_unconfirmed(item)) else { continue };
            let Some(submission) = self.submission(device)? else { continue };
            let is_marked = |name: &str| match self.queues.store.marked(name, submission.run.as_deref()) {
                Mark::Certain(text) => Some(text == item.id.as_str()),
                Mark::Lost => None,
            };
            match (is_marked(&mark(device)), is_marked(&accepted(device))) {
                // The queue had changed before it was handed: nothing was called with this one.
                _ if submission.item != item.id => self.take_back_one(item).await?,
                (_, Some(true)) => self.queues.settle(item, Settled::Accepted).await?,
                (Some(false), _) => self.take_back_one(item).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn take_back_one(&self, item: &Downlink) -> Result<(), Trouble> {
        let reason = "waits: the gateway ended before it was submitted".to_owned();
        Ok(self.queues.settle(item, Settled::Returned(reason)).await?)
    }

    /// Submits what can be submitted now.
    pub(super) async fn round(&self, devices: &[Device]) -> Result<(), Trouble> {
        for device in devices {
            let queue = self.queues.store.queue(device.id)?;
            if let Some(item) = queue.iter().find(|item| is_unconfirmed(item)) {
                self.resolve(device, item).await?;
            } else if let Some(head) = self.queues.next(device, Cause::Handed)? {
                self.submit(device, &head).await?;
            }
        }
        Ok(())
    }

    /// Asks for the device first: that the cloud is there and knows it is worth knowing before the item counts as
    /// submitted, from where only the device's next uplink leads on if the answer is lost.
    async fn submit(&self, device: &Device, head: &Downlink) -> Result<(), Trouble> {
        let id = self.queues.store.spelling(&device.source, device.id)?;
        let last_seen = match self.cloud.device(&id).send().await {
            Ok(known) if known.state() == Some(CloudState::Deleted) => {
                let reason = format!("device_gone: Soracom says that {id} is terminated");
                return Ok(self.queues.settle(head, Settled::Refused(reason)).await?);
            }
            Ok(known) => known.last_seen,
            // The device is listed; whether it takes downlinks is for the submission to find out.
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        self.queues.store.mark(&mark(device), "")?;
        self.queues.store.mark(&accepted(device), "")?;
        let submission = Submission { item: head.id.clone(), last_seen, run: run_of_machine() };
        self.remember(device, Some(&submission)).await?;
        let handed = self.queues.hand(device, Cause::Handed).await?;
        // A crash from here on leaves it submitted and unconfirmed, to be resolved.
        match handed {
            Some(item) if item.id == head.id => self.send(device, &item).await,
            // The queue has changed meanwhile; the note is about another.
            Some(item) => self.take_back_one(&item).await,
            None => Ok(()),
        }
    }

    /// Finds out about an item of which nobody said that the cloud has it. While the device was not heard since, the
    /// slot cannot have been served, and the item can be submitted again in its own place. Otherwise it stays in
    /// doubt, and the device's next uplink concludes it.
    async fn resolve(&self, device: &Device, item: &Downlink) -> Result<(), Trouble> {
        let Some(submission) = self.submission(device)?.filter(|known| known.item == item.id) else {
            return Ok(());
        };
        match self.cloud.device(&self.queues.store.spelling(&device.source, device.id)?).send().await {
            Ok(known) if known.last_seen == submission.last_seen => {
                self.send(device, item).await?;
                self.look_back(device, item, &submission).await
            }
            Ok(_) | Err(Error::NotFound { .. }) => self.remember(device, None).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The look and the submission are two calls. A device that was heard between them may have had the item already, and
    /// has it a second time at its next request: nothing can take it out of the slot, so the item says so.
    async fn look_back(
        &self,
        device: &Device,
        item: &Downlink,
        submission: &Submission,
    ) -> Result<(), Trouble> {
        match self.cloud.device(&self.queues.store.spelling(&device.source, device.id)?).send().await {
            Ok(known) if known.last_seen != submission.last_seen => {
                Ok(self.queues.settle(item, Settled::Doubled).await?)
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, device: &Device, item: &Downlink) -> Result<(), Trouble> {
        let Some(data) = item.data else { return Ok(()) };
        // A kill before this line leaves no doubt: the cloud was not called.
        self.queues.store.mark(&mark(device), item.id.as_str())?;
        match self.cloud.send(&self.queues.store.spelling(&device.source, device.id)?, data).send().await {
            Ok(()) => {
                // Nor does one after this line: the disk takes longer than Soracom.
                self.queues.store.mark(&accepted(device), item.id.as_str())?;
                Ok(self.queues.settle(item, Settled::Accepted).await?)
            }
            Err(error @ (Error::NotFound { .. } | Error::Refused { .. })) => self.refuse(item, &error).await,
            Err(error) if changed_nothing(&error) => {
                self.queues.settle(item, Settled::Returned(format!("waits: {error}"))).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is on disk about the last submission for this device.
    fn submission(&self, device: &Device) -> Result<Option<Submission>, Trouble> {
        let note = self.queues.store.note(&key(device))?.unwrap_or_default();
        Ok(serde_json::from_slice::<Submission>(&note).ok())
    }

    /// Keeps what was known before a submission; durable when this returns.
    async fn remember(&self, device: &Device, submission: Option<&Submission>) -> Result<(), Trouble> {
        let note = submission.map(|submission| json!(submission).to_string()).unwrap_or_default();
        self.queues.store.set_note(&key(device), note.as_bytes())?;
        Ok(self.queues.store.flush().await?)
    }

    async fn refuse(&self, item: &Downlink, error: &cloud::Error) -> Result<(), Trouble> {
        Ok(self.queues.settle(item, Settled::Refused(format!("refused: {error}"))).await?)
    }
}

/// The mark that says which item Soracom was last called with.
fn mark(device: &Device) -> String {
    format!("slot-{}-{}", device.source, device.id)
}

/// The mark that says which item Soracom has last answered that it has. One of its own: a kill while a mark is written
/// leaves an empty one.
fn accepted(device: &Device) -> String {
    format!("slot-accepted-{}-{}", device.source, device.id)
}

fn key(device: &Device) -> String {
    format!("slot/{}/{}", device.source, device.id)
}

//! Soracom keeps one downlink a device, replaces it by the next without a word, and never says whether it was
//! fetched (Soracom API, `sendDataToSigfoxDevice`). So only the head of a queue is submitted, once, and the next
//! when an uplink of the device shows that the slot was served.

use super::{Trouble, changed_nothing};
use crate::cloud::soracom::Soracom;
use crate::cloud::{self, Error};
use crate::downlink::Queues;
use crate::downlink::machine::{Cause, Settled};
use crate::model::{CloudState, Device, Downlink};

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

    /// Submits what can be submitted now.
    pub(super) async fn round(&self, devices: &[Device]) -> Result<(), Trouble> {
        for device in devices {
            if let Some(head) = self.queues.next(device, Cause::Handed)? {
                self.submit(device, &head).await?;
            }
        }
        Ok(())
    }

    /// Asks for the device first: that the cloud is there and knows it is worth knowing before the item counts as
    /// submitted, from where only the device's next uplink leads on if the answer is lost.
    async fn submit(&self, device: &Device, head: &Downlink) -> Result<(), Trouble> {
        let id = device.id.to_string();
        match self.cloud.device(&id).send().await {
            Ok(known) if known.state() == Some(CloudState::Deleted) => {
                let reason = format!("device_gone: Soracom says that {id} is terminated");
                return Ok(self.queues.settle(head, Settled::Refused(reason)).await?);
            }
            Ok(_) => {}
            Err(error @ Error::NotFound { .. }) => return self.refuse(head, &error).await,
            Err(error) => return Err(error.into()),
        }
        let Some(item) = self.queues.hand(device, Cause::Handed).await? else { return Ok(()) };
        let Some(data) = item.data else { return Ok(()) };
        // A crash from here on leaves it submitted and unconfirmed: it is not submitted again.
        match self.cloud.send(&id, data).send().await {
            Ok(()) => Ok(self.queues.settle(&item, Settled::Accepted).await?),
            Err(error @ (Error::NotFound { .. } | Error::Refused { .. })) => self.refuse(&item, &error).await,
            Err(error) if changed_nothing(&error) => {
                self.queues.settle(&item, Settled::Returned(format!("waits: {error}"))).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn refuse(&self, item: &Downlink, error: &cloud::Error) -> Result<(), Trouble> {
        Ok(self.queues.settle(item, Settled::Refused(format!("refused: {error}"))).await?)
    }
}

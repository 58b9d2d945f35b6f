//! The fixed answer of a Sigfox device type (`downlinkDataString`): the cloud gives it to every device of the type
//! that asks, until it is changed. What stood there before is journalled first and restored after use, expiry,
//! cancellation, stop and crash; what somebody else writes meanwhile is left alone and reported.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Trouble, changed_nothing};
use crate::clock;
use crate::cloud::Error;
use crate::cloud::sigfox::Sigfox;
use crate::downlink::Queues;
use crate::downlink::machine::{Cause, Settled, in_fixed_answer, is_out, is_unconfirmed, withdrawal};
use crate::model::{Device, DeviceId, Downlink, DownlinkPayload, Event, ItemId, SourceName};
use crate::store::StoreError;

/// The key of the fixed answer in the API (device type, v1 and v2).
const ANSWER: &str = "downlinkDataString";

/// How long taking down may take when the gateway stops; what is left is taken down at the next start.
const TAKE_DOWN: Duration = Duration::from_secs(6);

/// What stands in a device type's fixed answer because of us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    device: DeviceId,
    item: ItemId,
    written: DownlinkPayload,
    /// What stood there before: the API's own value, null where there was none.
    former: Value,
}

/// The fixed answers of a source's device types.
#[derive(Debug)]
pub(super) struct Direct {
    queues: Queues,
    source: SourceName,
    cloud: Sigfox,
    /// By device type; as the journal in the store, which is read once.
    entries: Option<BTreeMap<String, Entry>>,
}

impl Direct {
    pub(super) fn new(queues: Queues, source: SourceName, cloud: Sigfox) -> Self {
        Self { queues, source, cloud, entries: None }
    }

    pub(super) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Takes down what need not stand any longer, and writes what can be written now.
    pub(super) async fn round(&mut self, devices: &[Device]) -> Result<(), Trouble> {
        let entries = self.journal()?;
        for (device_type, entry) in &entries {
            match self.item(entry)? {
                Some(item) if in_fixed_answer(&item) && is_unconfirmed(&item) => {
                    self.confirm(device_type, &item, entry).await?;
                }
                Some(item) if in_fixed_answer(&item) && withdrawal(&item).is_none() => {}
                item => self.restore(device_type, entry, item).await?,
            }
        }
        for device in devices {
            self.take_back(device.id).await?;
            let Some(device_type) = &device.device_type else { continue };
            let is_free = self.entries.as_ref().is_some_and(|entries| !entries.contains_key(device_type));
            if is_free && self.queues.next(device, Cause::Answered)?.is_some() {
                self.write(device, device_type).await?;
            }
        }
        Ok(())
    }

    /// Takes back what counts as brought to the cloud and was not, because the queue or the gateway ended between the journal
    /// and the queue: what was brought is in the journal until it is out.
    async fn take_back(&self, device: DeviceId) -> Result<(), StoreError> {
        let is_journalled = |item: &Downlink| {
            let entries = self.entries.iter().flat_map(BTreeMap::values);
            entries.into_iter().any(|entry| entry.device == device && entry.item == item.id)
        };
        for item in self.queues.store.queue(device)? {
            if in_fixed_answer(&item) && !is_out(&item) && !is_journalled(&item) {
                let reason = "waits: it was not brought to the cloud".to_owned();
                self.queues.settle(&item, Settled::Returned(reason)).await?;
            }
        }
        Ok(())
    }

    /// Takes everything down before the gateway ends: nobody would see when a device has fetched it.
    pub(super) async fn take_down(&mut self) {
        let all = async {
            for (device_type, entry) in self.journal()? {
                let item = self.item(&entry)?;
                if let Some(item) = &item {
                    self.queues.settle(item, Settled::Stopping).await?;
                }
                self.restore(&device_type, &entry, item).await?;
            }
            Ok::<(), Trouble>(())
        };
        match tokio::time::timeout(TAKE_DOWN, all).await {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => {
                tracing::warn!(error = %trouble, "a fixed answer stands until the next start");
            }
            Err(_elapsed) => tracing::warn!("a fixed answer stands until the next start: no answer in time"),
        }
    }

    async fn write(&mut self, device: &Device, device_type: &str) -> Result<(), Trouble> {
        let Some(head) = self.queues.next(device, Cause::Answered)? else { return Ok(()) };
        let Some(written) = head.data else { return Ok(()) };
        let former = self.read(device_type).await?;
        let entry = Entry { device: device.id, item: head.id.clone(), written, former };
        // Journalled, then armed, then written: a crash in between finds an entry whose value does not stand there,
        // or an item of which it can be read whether it does.
        self.keep(device_type, Some(entry.clone())).await?;
        // If the queue has changed meanwhile, what is handed is taken back by the next round.
        let Some(item) = self.queues.hand(device, Cause::Answered).await?.filter(|item| item.id == head.id)
        else {
            return Ok(());
        };
        match self.put(device_type, Value::from(written.to_string())).await {
            Ok(()) => self.confirm(device_type, &item, &entry).await,
            Err(error @ (Error::NotFound { .. } | Error::Refused { .. } | Error::Unsupported { .. })) => {
                Ok(self.queues.settle(&item, Settled::Refused(format!("refused: {error}"))).await?)
            }
            Err(error) if changed_nothing(&error) => {
                self.queues.settle(&item, Settled::Returned(format!("waits: {error}"))).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads back whether it stands.
    async fn confirm(&self, device_type: &str, item: &Downlink, entry: &Entry) -> Result<(), Trouble> {
        let stands = is(&self.read(device_type).await?, entry.written);
        let settled = if stands {
            Settled::Accepted
        } else {
            Settled::Returned("waits: the cloud did not keep it as the type's answer".to_owned())
        };
        Ok(self.queues.settle(item, settled).await?)
    }

    /// Writes back what stood there before us, unless somebody else has written since, and says that the item is out.
    async fn restore(
        &mut self,
        device_type: &str,
        entry: &Entry,
        item: Option<Downlink>,
    ) -> Result<(), Trouble> {
        let found = self.read(device_type).await?;
        if is(&found, entry.written) {
            self.put(device_type, entry.former.clone()).await?;
        } else if found != entry.former {
            let detail = json!({ "source": self.source, "device_type": device_type, "found": found });
            let kind = "direct_changed".to_owned();
            self.queues.store.tell(&Event::Bridge {
                time: clock::now(),
                kind,
                detail: detail.to_string(),
            })?;
        }
        // A crash before the journal forgets it restores once more, which changes nothing.
        if let Some(item) = item {
            self.queues.settle(&item, Settled::TakenOut).await?;
        }
        Ok(self.keep(device_type, None).await?)
    }

    async fn read(&self, device_type: &str) -> Result<Value, Error> {
        let mut answer = self.cloud.device_type(device_type).send_raw().await?;
        Ok(answer.as_object_mut().and_then(|answer| answer.remove(ANSWER)).unwrap_or_default())
    }

    async fn put(&self, device_type: &str, value: Value) -> Result<(), Error> {
        self.cloud.edit_device_type(device_type, Map::from_iter([(ANSWER.to_owned(), value)])).send().await
    }

    fn item(&self, entry: &Entry) -> Result<Option<Downlink>, StoreError> {
        let queue = self.queues.store.queue(entry.device)?;
        Ok(queue.into_iter().find(|item| item.id == entry.item))
    }

    fn journal(&mut self) -> Result<BTreeMap<String, Entry>, StoreError> {
        if let Some(entries) = &self.entries {
            return Ok(entries.clone());
        }
        let mut entries = BTreeMap::new();
        for known in self.queues.store.device_types(&self.source)? {
            let note = self.queues.store.note(&self.note(&known.id))?.unwrap_or_default();
            if let Ok(entry) = serde_json::from_slice(&note) {
                entries.insert(known.id, entry);
            }
        }
        self.entries = Some(entries.clone());
        Ok(entries)
    }

    /// Keeps an entry, or forgets it; durable when this returns.
    async fn keep(&mut self, device_type: &str, entry: Option<Entry>) -> Result<(), StoreError> {
        let note = entry.as_ref().map(|entry| json!(entry).to_string()).unwrap_or_default();
        self.queues.store.set_note(&self.note(device_type), note.as_bytes())?;
        self.queues.store.flush().await?;
        let entries = self.entries.get_or_insert_default();
        match entry {
            Some(entry) => entries.insert(device_type.to_owned(), entry),
            None => entries.remove(device_type),
        };
        Ok(())
    }

    fn note(&self, device_type: &str) -> String {
        format!("direct/{}/{device_type}", self.source)
    }
}

/// Whether the fixed answer is these bytes; the cloud may print them in either case.
fn is(found: &Value, written: DownlinkPayload) -> bool {
    found.as_str().is_some_and(|found| found.eq_ignore_ascii_case(&written.to_string()))
}

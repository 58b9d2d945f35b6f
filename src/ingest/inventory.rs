//! Which devices and device types a source has. A new one appears, a gone one is marked, without a restart.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::health::{Failure, Job, Outcome};
use super::source::Room;
use crate::clock;
use crate::cloud::Error;
use crate::cloud::sigfox::{Device, DeviceFilter, DeviceType, Sigfox};
use crate::model::{self, DeviceId, InventoryDevice, Timestamp};

/// An unknown device in a sweep is looked up at once, but not more often than this.
const FRESH: Duration = Duration::from_secs(60);

/// What is remembered of the inventories of a source.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// When the last one was taken.
    taken: Option<Instant>,
    /// Devices that send but that no inventory lists; bounded by the number of devices.
    unlisted: HashSet<DeviceId>,
}

impl Room {
    /// Takes the whole inventory.
    pub(super) async fn take_inventory(&self, cloud: &Sigfox) -> Outcome {
        let mut inventory = self.inventory.lock().await;
        let outcome = self.inventory_now(cloud).await;
        if outcome.is_ok() {
            *inventory = Inventory { taken: Some(Instant::now()), unlisted: HashSet::new() };
        }
        outcome
    }

    /// Makes devices known that a sweep of their type brought and nobody knows: their decoder hangs on their
    /// type. The inventory is taken again; whoever is still missing there is taken from the sweep. `heard` says when
    /// each of them sent last.
    pub(super) async fn adopt(
        &self,
        cloud: &Sigfox,
        heard: &BTreeMap<DeviceId, Timestamp>,
        device_type: &str,
    ) -> Result<(), Failure> {
        if self.unknown(heard)?.is_empty() {
            return Ok(());
        }
        let mut inventory = self.inventory.lock().await;
        let mut unknown = self.unknown(heard)?;
        unknown.retain(|device, _| !inventory.unlisted.contains(device));
        if unknown.is_empty() {
            return Ok(());
        }
        if inventory.taken.is_none_or(|taken| taken.elapsed() > FRESH) {
            if let Err(failure) = self.inventory_now(cloud).await {
                // A device without a name now is better than a message later.
                tracing::debug!(source = %self.name(), %failure, "new devices are taken without the inventory");
            }
            inventory.taken = Some(Instant::now());
            unknown = self.unknown(&unknown)?;
        }
        if unknown.is_empty() {
            return Ok(());
        }
        inventory.unlisted.extend(unknown.keys().copied());
        let types = self.store.device_types(self.name())?;
        let mut known = self.known_devices()?;
        known.extend(unknown.into_iter().map(|(id, seen)| bare(id, seen, device_type)));
        self.keep(types, known).await
    }

    fn unknown(
        &self,
        heard: &BTreeMap<DeviceId, Timestamp>,
    ) -> Result<BTreeMap<DeviceId, Timestamp>, Failure> {
        let mut unknown = BTreeMap::new();
        for (id, seen) in heard {
            let is_unknown = self.store.device(*id)?.is_none_or(|device| device.device_type.is_none());
            if is_unknown && !self.store.is_forgotten(*id, Some(*seen))? {
                unknown.insert(*id, *seen);
            }
        }
        Ok(unknown)
    }

    /// What the store knows from an earlier run is polled at once, without waiting for an inventory.
    pub(super) fn remember_types(&self) {
        let known = self.store.device_types(self.name()).unwrap_or_default();
        if !known.is_empty() {
            let types = known.into_iter().map(as_listed).collect();
            self.types.send_replace(Some(types));
        }
    }

    async fn inventory_now(&self, cloud: &Sigfox) -> Outcome {
        let mut odd = None;
        let mut types = Vec::new();
        let mut pages = cloud.device_types();
        let mut first = true;
        while let Some(page) =
            self.next_page(Job::Inventory, &mut pages, first).await.map_err(root_missing)?
        {
            first = false;
            self.report("device types", &page);
            types.extend(page.rows);
        }
        types.retain(|listed| self.config.filter.takes_type(&listed.id, listed.name.as_deref()));

        let mut devices = BTreeMap::new();
        for listed in &types {
            match self.devices_of(cloud, listed).await {
                Ok(found) => devices.extend(found),
                Err(error) if error.is_passing() || error.concerns_all() => return Err(error.into()),
                // A type that may not be read costs only itself: its devices stay as they were.
                Err(error) => {
                    odd = odd.or(Some(error.to_string()));
                    let kept = self.known_devices()?.into_iter();
                    let of_type =
                        |device: &InventoryDevice| device.device_type.as_deref() == Some(&listed.id);
                    devices.extend(kept.filter(of_type).map(|device| (device.id, device)));
                }
            }
        }
        let kept = types.iter().map(kept_type).collect();
        self.keep(kept, devices.into_values().collect()).await?;
        self.types.send_replace(Some(types));
        Ok(odd)
    }

    async fn devices_of(
        &self,
        cloud: &Sigfox,
        listed: &DeviceType,
    ) -> Result<Vec<(DeviceId, InventoryDevice)>, Error> {
        let mut found = Vec::new();
        let mut pages = cloud.devices(&DeviceFilter { device_type: Some(listed.id.clone()), group: None });
        let mut first = true;
        while let Some(page) = self.next_page(Job::Inventory, &mut pages, first).await? {
            first = false;
            self.report("devices", &page);
            let taken = page.rows.into_iter().filter(|device| {
                // A cloud that ignores the filter by type lists the devices of all types each time.
                device.device_type.as_ref().is_none_or(|its| *its == listed.id)
                    && self.config.filter.takes_device(device.id)
            });
            for device in taken {
                self.look_at_rejected(&device);
                found.push((device.id, inventory_device(device, &listed.id)));
            }
        }
        Ok(found)
    }

    /// Tells when the cloud has thrown away a message whose number is out of order, as it does with all that a
    /// device sends after it was programmed anew, until somebody disengages it.
    fn look_at_rejected(&self, device: &Device) {
        let Some(seq) = device.rejected_seq else { return };
        let (key, now) = (format!("rejected/{}/{}", self.name(), device.id), seq.to_string());
        let before = self.store.note(&key).ok().flatten();
        if before.as_deref() == Some(now.as_bytes()) {
            return;
        }
        // What was thrown away before we knew the device is history. A store that cannot keep it tells it again.
        let is_news = before.is_some() || matches!(self.store.device(device.id), Ok(Some(_)));
        if is_news {
            tracing::warn!(source = %self.name(), device = %device.id, seq, "the cloud rejects messages");
            let detail = serde_json::json!({ "source": self.name(), "device": device.id, "seq": seq, "last_seq": device.seq });
            self.tell("messages_rejected", &detail);
        }
        if let Err(error) = self.store.set_note(&key, now.as_bytes()) {
            tracing::debug!(%error, "a rejected message is not remembered");
        }
    }

    fn known_devices(&self) -> Result<Vec<InventoryDevice>, Failure> {
        let mine =
            self.store.devices()?.into_iter().filter(|device| device.source == *self.name() && !device.gone);
        Ok(mine
            .map(|device| InventoryDevice {
                id: device.id,
                name: device.name,
                device_type: device.device_type,
                tags: device.tags,
                state: device.state,
                last_seen: device.last_seen,
                location: None,
            })
            .collect())
    }

    pub(super) async fn keep(
        &self,
        types: Vec<model::DeviceType>,
        devices: Vec<InventoryDevice>,
    ) -> Result<(), Failure> {
        let (store, source, now) = (self.store.clone(), self.name().clone(), clock::now());
        let change = blocking(move || store.record_inventory(&source, &types, &devices, now)).await?;
        let (added, gone) = (change.added.len(), change.gone.len());
        if added > 0 || gone > 0 {
            tracing::info!(source = %self.name(), added, gone, "inventory");
        }
        Ok(())
    }
}

/// Runs what the store does on the disk where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It was cancelled, which only happens at the end of the runtime, or panicked: then so do we.
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// A missing list of device types means that there is no Sigfox API at all.
fn root_missing(error: Error) -> Error {
    match error {
        Error::NotFound { asked } => Error::NotFound {
            asked: format!("{asked}: is `url` the address of a Sigfox API, and of this version? The list is"),
        },
        other => other,
    }
}

fn as_listed(kept: model::DeviceType) -> DeviceType {
    DeviceType {
        id: kept.id,
        name: kept.name,
        description: None,
        payload: kept.payload,
        keep_alive_s: kept.keep_alive_s,
        downlink: kept.downlink,
        downlink_data: None,
    }
}

fn kept_type(listed: &DeviceType) -> model::DeviceType {
    model::DeviceType {
        id: listed.id.clone(),
        name: listed.name.clone(),
        payload: listed.payload.clone(),
        keep_alive_s: listed.keep_alive_s,
        downlink: listed.downlink,
    }
}

fn inventory_device(device: Device, listed_under: &str) -> InventoryDevice {
    InventoryDevice {
        id: device.id,
        name: device.name,
        device_type: device.device_type.or_else(|| Some(listed_under.to_owned())),
        tags: BTreeMap::new(),
        state: device.state,
        last_seen: device.last_seen,
        location: device.location,
    }
}

fn bare(id: DeviceId, seen: Timestamp, device_type: &str) -> InventoryDevice {
    InventoryDevice {
        id,
        name: None,
        device_type: Some(device_type.to_owned()),
        tags: BTreeMap::new(),
        state: None,
        last_seen: Some(seen),
        location: None,
    }
}

//! A Soracom source: one list of devices a poll, and the data only of those that were heard since.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::Scope;
use super::cloud_clock::reached;
use super::health::{Failure, Job, Outcome};
use super::source::Room;
use super::sweep::{MOST_UPLINKS, Span};
use crate::clock;
use crate::cloud::soracom::{Device, Entry, Session, Soracom};
use crate::cloud::{Error, Skipped};
use crate::model::{DeviceId, InventoryDevice, SourceName, Timestamp, Uplink};
use crate::store::Store;

/// What Harvest keeps without a paid option.
const HISTORY: Duration = Duration::from_secs(40 * 86_400);
/// An entry belongs to a device's `lastSeen` if it is at most this much older; the one before it does not, however
/// often the device sends.
const SAME_MESSAGE: Duration = Duration::from_secs(2);

/// What is remembered of a Soracom account while the daemon runs.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Up to which `lastSeen` a device's data was read; bounded by the number of devices.
    settled: HashMap<DeviceId, Timestamp>,
    /// The session that the store has.
    kept: Option<Session>,
}

/// The session that an earlier run left, so that a restart logs in no more often than it must.
pub(super) fn kept_session(store: &Store, source: &SourceName) -> Option<Session> {
    serde_json::from_slice(&store.note(&session_key(source)).ok()??).ok()
}

fn session_key(source: &SourceName) -> String {
    format!("soracom/{source}/session")
}

/// A device with its identifier as all clouds share it.
#[derive(Debug)]
struct Listed {
    id: DeviceId,
    device: Device,
}

impl Room {
    /// Takes the inventory.
    pub(super) async fn list_soracom(&self, cloud: &Soracom) -> Outcome {
        let (devices, odd) = self.listed(cloud, Job::Inventory).await?;
        self.keep(Vec::new(), devices.iter().map(inventory_device).collect()).await?;
        Ok(odd)
    }

    /// Asks who was heard, and for the data of those.
    pub(super) async fn poll_soracom(&self, cloud: &Soracom, scope: Scope) -> Outcome {
        let (devices, odd) = self.listed(cloud, Job::Messages).await?;
        let mut all_known = true;
        for device in &devices {
            all_known &= self.store.device(device.id)?.is_some();
        }
        if !all_known {
            self.keep(Vec::new(), devices.iter().map(inventory_device).collect()).await?;
        }
        let now = self.cloud_now();
        let mut gap = None;
        let wanted = |listed: &&Listed| scope.device.is_none_or(|id| id == listed.id);
        let mut due = Vec::new();
        for listed in devices.iter().filter(wanted) {
            let cursor = self.store.cursor(self.name(), &scope_of(listed))?;
            if scope != Scope::default() || self.is_due(listed, cursor) {
                due.push((listed, self.span(cursor, scope)));
            }
            if let Some(cursor) = cursor.filter(|cursor| now.since(*cursor) > HISTORY) {
                // Silence is no gap: it must have been heard since.
                if listed.device.last_seen.is_some_and(|seen| seen > cursor) {
                    gap = Some(gap.map_or(cursor, |gap: Timestamp| gap.min(cursor)));
                }
            }
        }
        let outcome = self.each_device(cloud, Job::Messages, &due, odd).await;
        if outcome.is_ok() {
            self.tell_gap(gap, now.minus(HISTORY));
        }
        outcome
    }

    /// Looks through the whole backfill window of every device that was heard in it.
    pub(super) async fn resync_soracom(&self, cloud: &Soracom) -> Outcome {
        let (devices, odd) = self.listed(cloud, Job::Resync).await?;
        let from = self.cloud_now().minus(self.config.backfill);
        let heard = |listed: &&Listed| listed.device.last_seen.is_some_and(|seen| seen >= from);
        let due: Vec<_> =
            devices.iter().filter(heard).map(|listed| (listed, Span { from, to: None })).collect();
        self.each_device(cloud, Job::Resync, &due, odd).await
    }

    async fn listed(&self, cloud: &Soracom, job: Job) -> Result<(Vec<Listed>, Option<String>), Failure> {
        let (mut devices, mut odd) = (Vec::new(), None);
        let mut pages = cloud.devices(None);
        let mut first = true;
        while let Some(mut page) = self.next_page(job, &mut pages, first).await? {
            first = false;
            for device in std::mem::take(&mut page.rows) {
                match device.device_id() {
                    Ok(id) if self.config.filter.takes_device(id) => {
                        self.store.set_spelling(self.name(), id, &device.id)?;
                        devices.push(Listed { id, device });
                    }
                    Ok(_left_out) => {}
                    Err(error) => {
                        page.skipped.push(Skipped { why: error.to_string(), begins: device.id });
                    }
                }
            }
            odd = odd.or(self.report("Sigfox devices", &page));
        }
        self.keep_session(cloud).await?;
        Ok((devices, odd))
    }

    /// Reads the data of devices; one that fails costs only itself, unless the cloud as a whole fails.
    async fn each_device(
        &self,
        cloud: &Soracom,
        job: Job,
        due: &[(&Listed, Span)],
        mut odd: Option<String>,
    ) -> Outcome {
        for (listed, span) in due {
            let scope = scope_of(listed);
            let outcome = match self.still_failing(&scope) {
                Some(error) => Err(Failure::Cloud(error)),
                None => self.read_data(cloud, job, listed, *span).await,
            };
            match outcome {
                Ok(its) => {
                    self.failing().remove(&scope);
                    odd = odd.or(its);
                }
                Err(Failure::Cloud(error)) if !error.concerns_all() && !error.is_silence() => {
                    self.leave_alone(&scope, &error);
                    odd = odd.or(Some(error.to_string()));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(odd)
    }

    /// Reads a device's data, oldest first, and records it in parts that fit into memory.
    async fn read_data(&self, cloud: &Soracom, job: Job, listed: &Listed, span: Span) -> Outcome {
        let Listed { id, device } = listed;
        let asked = format!("data of device {id}");
        let (asked_at, mut date) = (clock::now(), None);
        let mut pages = cloud.data(&device.id, Some(span.from), span.to);
        let (mut uplinks, mut odd, mut newest) = (Vec::new(), None, None);
        let mut first = true;
        loop {
            let page = match self.next_page(job, &mut pages, first).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(Error::Circle { .. }) => {
                    self.keep_sweep(uplinks, None).await?;
                    return Ok(Some(Error::Circle { asked }.to_string()));
                }
                Err(error) => return Err(error.into()),
            };
            first = false;
            date = date.or(page.date);
            odd = odd.or(self.report(&asked, &page));
            let received = clock::now();
            newest = page.rows.iter().map(|entry| entry.time).max().max(newest);
            uplinks.extend(page.rows.iter().map(|entry| self.uplink(*id, entry, received)));
            if uplinks.len() >= MOST_UPLINKS {
                let stored = page.rows.last().map_or(span.from, |entry| entry.stored);
                let reached = stored.min(reached(asked_at, date, newest));
                self.keep_sweep(std::mem::take(&mut uplinks), cursor(job, listed, reached)).await?;
            }
        }
        self.keep_sweep(uplinks, cursor(job, listed, reached(asked_at, date, newest))).await?;
        if let Some(seen) = device.last_seen {
            let found = newest.is_some_and(|newest| newest.plus(SAME_MESSAGE) >= seen);
            // Harvest may be a moment behind, or switched off: then it is given up after a while.
            if found || self.is_history(seen) {
                self.seen().settled.insert(*id, seen);
            }
        }
        Ok(odd)
    }

    /// Whether a device was heard since its data was last read.
    fn is_due(&self, listed: &Listed, cursor: Option<Timestamp>) -> bool {
        let Some(seen) = listed.device.last_seen else { return false };
        match self.seen().settled.get(&listed.id) {
            Some(settled) => *settled < seen,
            // After a restart the cursor tells, if it lies so far behind that Harvest had the time.
            None => cursor.is_none_or(|cursor| cursor < seen.plus(self.config.overlap)),
        }
    }

    fn uplink(&self, device: DeviceId, entry: &Entry, received: Timestamp) -> Uplink {
        Uplink {
            seq: entry.seq,
            received,
            replay: self.is_history(entry.time),
            link_quality: entry.link_quality,
            rssi: entry.rssi.map(super::sweep::single),
            snr: entry.snr.map(super::sweep::single),
            ..Uplink::new(device, entry.time, entry.payload.clone(), self.name().clone())
        }
    }

    async fn keep_session(&self, cloud: &Soracom) -> Result<(), Failure> {
        let current = cloud.session().await;
        let Some(session) = current.filter(|session| self.seen().kept.as_ref() != Some(session)) else {
            return Ok(());
        };
        // A session that is not kept costs a login after the next start.
        if let Ok(bytes) = serde_json::to_vec(&session) {
            self.store.set_note(&session_key(self.name()), &bytes)?;
        }
        self.seen().kept = Some(session);
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.soracom.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scope_of(listed: &Listed) -> String {
    listed.id.number().to_string()
}

fn cursor(job: Job, listed: &Listed, reached: Timestamp) -> Option<(String, Timestamp)> {
    // A look further back says nothing about what was read since.
    (job == Job::Messages).then(|| (scope_of(listed), reached))
}

fn inventory_device(listed: &Listed) -> InventoryDevice {
    let Listed { id, device } = listed;
    InventoryDevice {
        id: *id,
        name: device.name.clone(),
        device_type: None,
        tags: device.tags.clone(),
        state: device.state(),
        last_seen: device.last_seen,
        location: None,
    }
}

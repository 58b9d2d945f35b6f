//! Where devices were, as the network finds out: often long after the message, so a trailing day is read again
//! and again, and only what was not known is told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::health::{Failure, Job, Outcome};
use super::inventory::blocking;
use super::source::Room;
use crate::cloud::Error;
use crate::cloud::sigfox::{Position, Sigfox, Window};
use crate::model::{Device, DeviceId, Event, Location, Timestamp, Uplink};
use crate::store::UplinkQuery;

/// Locations come up to a day late.
const TRAILING: Duration = Duration::from_secs(86_400);

/// So many devices are asked about in one go, those heard last first: the rest of the ceiling is for messages.
const MOST_DEVICES: usize = 2000;

impl Room {
    /// Reads the locations of every device that was heard within the last day.
    pub(super) async fn read_locations(&self, cloud: &Sigfox) -> Outcome {
        let since = self.cloud_now().minus(TRAILING);
        let heard = |device: &Device| device.last_seen.is_some_and(|seen| seen >= since);
        let mut devices = self.store.devices()?;
        devices.retain(|device| device.source == *self.name() && !device.gone && heard(device));
        devices.sort_by_key(|device| std::cmp::Reverse(device.last_seen));
        let mut odd = None;
        for device in devices.iter().take(MOST_DEVICES) {
            match self.locations_of(cloud, device, since).await {
                Ok(its) => odd = odd.or(its),
                // The cloud has no locations of it, or the contract none at all.
                Err(Failure::Cloud(Error::NotFound { .. })) => {}
                Err(Failure::Cloud(error @ Error::Forbidden { .. })) => {
                    tracing::debug!(source = %self.name(), %error, "locations are not read");
                    return Ok(odd);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(odd)
    }

    async fn locations_of(&self, cloud: &Sigfox, device: &Device, since: Timestamp) -> Outcome {
        let (mut odd, id) = (None, device.id);
        let mut positions: Vec<Position> = Vec::new();
        let mut pages = cloud.device_locations(id, Window { since: Some(since), before: None });
        let mut first = true;
        while let Some(page) = self.next_page(Job::Locations, &mut pages, first).await? {
            first = false;
            odd = odd.or(self.report(&format!("locations of device {id}"), &page));
            let reached = page.oldest.is_none_or(|oldest| oldest < since);
            positions.extend(page.rows.into_iter().filter(|position| position.time >= since));
            if reached {
                break;
            }
        }
        let located: Vec<Location> = positions.into_iter().filter_map(|position| position.location).collect();
        if !located.is_empty() {
            // The message of a later one is still to come, and brings it along.
            let read = match &device.device_type {
                Some(device_type) => self.store.cursor(self.name(), device_type)?,
                None => None,
            };
            self.keep_locations(id, located, read).await?;
        }
        Ok(odd)
    }

    /// A location of a known message becomes part of it, which tells it once; one without a message among those that
    /// were `read` is told if it is newer than the last that was.
    async fn keep_locations(
        &self,
        device: DeviceId,
        mut located: Vec<Location>,
        read: Option<Timestamp>,
    ) -> Result<(), Failure> {
        located.sort_by_key(|location| location.time);
        let (store, key) = (self.store.clone(), format!("location/{}/{device}", self.name()));
        blocking(move || {
            let (Some(first), Some(last)) = (located.first(), located.last()) else {
                return Ok(());
            };
            let query = UplinkQuery {
                device: Some(device),
                from: Some(first.time.minus(Duration::from_secs(1))),
                to: Some(last.time.plus(Duration::from_secs(1))),
                ..UplinkQuery::default()
            };
            let uplinks = store.uplinks(&query)?;
            let by_second: BTreeMap<i64, &Uplink> =
                uplinks.iter().map(|uplink| (uplink.time.as_seconds(), uplink)).collect();
            let told =
                store.note(&key)?.and_then(|note| String::from_utf8(note).ok()?.parse::<Timestamp>().ok());
            let mut enriched = Vec::new();
            let mut newest_alone = None;
            for location in located {
                match by_second.get(&location.time.as_seconds()) {
                    Some(uplink) if uplink.location.is_none() => {
                        enriched.push(Uplink { location: Some(location), ..Uplink::clone(uplink) });
                    }
                    Some(_) => {}
                    None if read.is_some_and(|read| location.time >= read) => {}
                    None if told.is_none_or(|told| location.time > told) => {
                        store.tell(&Event::Location { device, location, uplink: None })?;
                        newest_alone = Some(location.time);
                    }
                    None => {}
                }
            }
            if !enriched.is_empty() {
                store.record_sweep(&enriched, None)?;
            }
            // A crash before this line tells them again, which consumers must bear.
            if let Some(newest) = newest_alone {
                store.set_note(&key, newest.to_string().as_bytes())?;
            }
            Ok(())
        })
        .await
        .map_err(Failure::Store)
    }
}

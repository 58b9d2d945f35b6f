//! What the network reports beside messages: errors and warnings about devices (v1), and callbacks that did not
//! reach us, whose messages are taken from the report.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::health::{Failure, Job, Outcome};
use super::inventory::blocking;
use super::source::Room;
use crate::clock;
use crate::cloud::sigfox::{Report, Sigfox, Undelivered, UndeliveredOf, Window};
use crate::cloud::{Error, Pages};
use crate::config::{DownlinkVia, SigfoxApi};
use crate::model::{DeviceId, Event, Timestamp, Uplink};

/// How often a device type's callbacks are looked at.
const CALLBACKS_EVERY: Duration = Duration::from_secs(86_400);

/// How far back the first look goes.
const FIRST: Duration = Duration::from_secs(86_400);

impl Room {
    /// Reads what was reported since the last look, type by type.
    pub(super) async fn read_reports(&self, cloud: &Sigfox) -> Outcome {
        let types = self.types.borrow().clone().unwrap_or_default();
        for listed in &types {
            if cloud.version() == SigfoxApi::V1 {
                for (kind, severity) in [("error", true), ("warning", false)] {
                    let (key, window) = self.since_last_look(kind, &listed.id)?;
                    let pages = if severity {
                        cloud.device_type_errors(&listed.id, window)
                    } else {
                        cloud.device_type_warnings(&listed.id, window)
                    };
                    let rows = self.all_reports(pages, window, |report| report.time).await?;
                    self.tell_reports(kind, &key, rows)?;
                }
            }
            self.look_at_callbacks(cloud, &listed.id).await?;
            if self.config.callback_token.is_some() {
                let (key, window) = self.since_last_look("undelivered", &listed.id)?;
                let of = UndeliveredOf::DeviceType(listed.id.clone());
                let rows = self.all_reports(cloud.undelivered(&of, window), window, |row| row.time).await?;
                self.take_undelivered(&key, rows).await?;
            }
        }
        Ok(None)
    }

    /// Finds out, once a day, whether a device type's callbacks ask this gateway for downlinks.
    async fn look_at_callbacks(&self, cloud: &Sigfox, device_type: &str) -> Result<(), Failure> {
        let Some(queues) = self.queues.as_ref().filter(|_| self.config.downlink == DownlinkVia::Callback)
        else {
            return Ok(());
        };
        let seen = || self.callbacks_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen().get(device_type).is_some_and(|at| at.elapsed() < CALLBACKS_EVERY) {
            return Ok(());
        }
        match cloud.callbacks(device_type).send().await {
            Ok(callbacks) => queues.note_callbacks(self.name(), device_type, &callbacks)?,
            Err(error) if error.is_passing() || error.concerns_all() => return Err(error.into()),
            // Whoever may not read callbacks is told by the first downlink that fails.
            Err(error) => tracing::debug!(source = %self.name(), %error, "callbacks are not looked at"),
        }
        seen().insert(device_type.to_owned(), Instant::now());
        Ok(())
    }

    /// The rows after the last look, oldest first. A contract without reports has none.
    async fn all_reports<T>(
        &self,
        mut pages: Pages<T>,
        window: Window,
        time: fn(&T) -> Timestamp,
    ) -> Result<Vec<T>, Failure> {
        let mut rows = Vec::new();
        let mut first = true;
        loop {
            match self.next_page(Job::Reports, &mut pages, first).await {
                Ok(Some(page)) => {
                    let reached = page.oldest.is_some_and(|oldest| Some(oldest) < window.since);
                    rows.extend(page.rows);
                    if reached {
                        break;
                    }
                }
                Ok(None) | Err(Error::Circle { .. } | Error::NotFound { .. } | Error::Forbidden { .. }) => {
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            first = false;
        }
        rows.retain(|row| window.since.is_none_or(|since| time(row) > since));
        rows.sort_by_key(time);
        Ok(rows)
    }

    fn since_last_look(&self, kind: &str, device_type: &str) -> Result<(String, Window), Failure> {
        let key = format!("{kind}/{}/{device_type}", self.name());
        let note = self.store.note(&key)?;
        let last = note.and_then(|note| String::from_utf8(note).ok()?.parse().ok());
        let since = last.unwrap_or_else(|| self.cloud_now().minus(FIRST));
        Ok((key, Window { since: Some(since), before: None }))
    }

    fn tell_reports(&self, kind: &str, key: &str, reports: Vec<Report>) -> Result<(), Failure> {
        let Some(newest) = reports.last().map(|report| report.time) else {
            return Ok(());
        };
        for report in reports {
            let detail = serde_json::json!({ "message": report.message, "severity": report.severity });
            let taken = report.devices.iter().filter(|device| self.config.filter.takes_device(**device));
            for device in taken {
                let (time, kind, detail) = (report.time, kind.to_owned(), detail.to_string());
                self.store.tell(&Event::Service { device: *device, time, kind, detail })?;
            }
        }
        // A crash before this line tells them again.
        self.store.set_note(key, newest.to_string().as_bytes())?;
        Ok(())
    }

    /// Takes the messages out of callbacks that did not arrive, and tells how many there were and why.
    async fn take_undelivered(&self, key: &str, rows: Vec<Undelivered>) -> Result<(), Failure> {
        let Some(last) = rows.last() else { return Ok(()) };
        let (newest, answered) = (last.time, last.status.clone().or_else(|| last.message.clone()));
        let received = clock::now();
        let uplinks: Vec<Uplink> =
            rows.iter().filter_map(|row| self.undelivered_uplink(row, received)).collect();
        let (store, note) = (self.store.clone(), key.to_owned());
        blocking(move || {
            store.record_sweep(&uplinks, None)?;
            // A crash before this line finds the same rows known.
            store.set_note(&note, newest.to_string().as_bytes())
        })
        .await?;
        let (source, count) = (self.name(), rows.len());
        tracing::warn!(%source, count, answered, "callbacks of the cloud did not arrive");
        let detail = serde_json::json!({ "source": source, "count": count, "answered": answered });
        self.tell("callbacks_missed", &detail);
        Ok(())
    }

    fn undelivered_uplink(&self, row: &Undelivered, received: Timestamp) -> Option<Uplink> {
        let device: DeviceId = row.device.filter(|device| self.config.filter.takes_device(*device))?;
        // Callbacks of services carry no message.
        let payload =
            row.payload.clone().filter(|payload| row.seq.is_some() || !payload.as_bytes().is_empty())?;
        Some(Uplink {
            seq: row.seq,
            received,
            replay: self.is_history(row.time),
            ..Uplink::new(device, row.time, payload, self.name().clone())
        })
    }
}

//! The daily backup: when one is due, under which name it is kept, and which old ones go.
//!
//! What a backup holds and how it is written stands in `backup`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Store;
use super::error::StoreError;
use crate::model::{Event, Timestamp};

const PREFIX: &str = "sigfox2mqtt-";
const SUFFIX: &str = ".backup";
const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// Where the daily backups go.
#[derive(Debug, Clone)]
pub struct Backups {
    /// Their folder; made when it is not there.
    pub folder: PathBuf,
    /// How many are kept.
    pub keep: usize,
    /// The hour of the day, in UTC, in which one is due.
    pub hour: u32,
    /// The clock; none before it was set.
    pub clock: fn() -> Option<Timestamp>,
}

impl Store {
    /// Writes a backup if one is due, removes the oldest, and tells on `bridge/event` what became of it; says whether
    /// one was due; none is before the clock was set, whose names would take the place of older ones. Blocks; the store
    /// goes on meanwhile.
    pub fn back_up_daily(&self, backups: &Backups) -> bool {
        let Some(now) = (backups.clock)() else { return false };
        // A folder that is not there, or cannot be read, says nothing against trying.
        let kept = kept(&backups.folder).unwrap_or_default();
        let newest = kept.iter().filter_map(|name| written_at(name)).filter(|time| *time <= now).max();
        if newest.is_some_and(|newest| newest >= last_due(now, backups.hour)) {
            return false;
        }
        let file = backups.folder.join(name_at(now));
        let written = fs::create_dir_all(&backups.folder).map_err(StoreError::from);
        let (kind, detail) = match written.and_then(|()| self.backup(&file)) {
            Ok(records) => {
                remove_oldest(backups, &file);
                tracing::info!(file = %file.display(), records, "backup written");
                ("backup_done", json!({ "file": file, "records": records }))
            }
            Err(error) => {
                tracing::error!(file = %file.display(), %error, "backup not written");
                ("backup_failed", json!({ "file": file, "reason": error.to_string() }))
            }
        };
        let event = Event::Bridge { time: now, kind: kind.to_owned(), detail: detail.to_string() };
        if let Err(error) = self.tell(&event) {
            tracing::warn!(%error, kind, "that could not be told on bridge/event");
        }
        true
    }
}

/// The latest time at which a backup became due.
fn last_due(now: Timestamp, hour: u32) -> Timestamp {
    let midnight = now.as_seconds().div_euclid(DAY_S) * DAY_S;
    let today = midnight + i64::from(hour) * HOUR_S;
    let due = if today > now.as_seconds() { today - DAY_S } else { today };
    Timestamp::from_millis(due * 1000).unwrap_or_default()
}

/// The name of the backup of a time: names sort by time.
fn name_at(time: Timestamp) -> String {
    let digits: String = time.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{PREFIX}{digits}{SUFFIX}")
}

/// The time that a backup's name tells.
fn written_at(name: &str) -> Option<Timestamp> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    // As `name_at` leaves it: 20260909T222640123Z.
    let parts = [0..4, 4..6, 6..8, 9..11, 11..13, 13..15, 15..18].map(|range| digits.get(range));
    let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second), Some(millis)] = parts
    else {
        return None;
    };
    let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{millis}Z").parse().ok()?;
    (name_at(time) == name).then_some(time)
}

/// The names of the daily backups in a folder, oldest first.
fn kept(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut kept: Vec<String> = names.filter(|name| written_at(name).is_some()).collect();
    kept.sort();
    Ok(kept)
}

/// Leaves the newest `keep`; never removes the one just written, whatever a clock that ran ahead has left.
fn remove_oldest(backups: &Backups, written: &Path) {
    let others = kept(&backups.folder).unwrap_or_default();
    let others: Vec<_> =
        others.iter().map(|name| backups.folder.join(name)).filter(|path| path != written).collect();
    let excess = (others.len() + 1).saturating_sub(backups.keep.max(1));
    for path in others.iter().take(excess) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(file = %path.display(), %error, "an old backup cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_becomes_due_once_a_day_at_its_hour() {
        for (now, hour, due) in [
            ("2026-09-10T03:00:00Z", 3, "2026-09-10T03:00:00Z"),
            ("2026-09-10T02:59:59Z", 3, "2026-09-09T03:00:00Z"),
            ("2026-09-10T23:59:59Z", 0, "2026-09-10T00:00:00Z"),
            ("2026-03-01T00:30:00Z", 23, "2026-02-28T23:00:00Z"),
        ] {
            let [now, due]: [Timestamp; 2] = [now, due].map(|text| text.parse().unwrap());
            assert_eq!(last_due(now, hour), due, "at {now}");
        }
    }

    #[test]
    fn a_name_tells_the_time_and_no_other_file_does() {
        let time: Timestamp = "2026-09-09T22:26:40.123Z".parse().unwrap();
        assert_eq!(name_at(time), "sigfox2mqtt-20260909T222640123Z.backup");
        assert_eq!(written_at(&name_at(time)), Some(time));
        for name in [
            "monday.backup",
            "sigfox2mqtt-.backup",
            "sigfox2mqtt-20261309T222640123Z.backup",
            "sigfox2mqtt-20260909T222640123Z.backup.new",
            "sigfox2mqtt-20260909T222640é3Z.backup",
        ] {
            assert_eq!(written_at(name), None, "{name}");
        }
    }
}

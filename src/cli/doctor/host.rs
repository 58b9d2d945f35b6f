//! Looks at this machine: the clock, and room on the disk of the data directory.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;

use super::{Finding, existing};
use crate::clock;
use crate::config::Config;
use crate::model::Timestamp;

/// Less room than this is none: the daemon could not even tidy up.
const LEAST_FREE: u64 = 64 << 20;

pub(super) fn look(config: &Config, now: Timestamp) -> Vec<Finding> {
    let dir = &config.gateway.data_dir;
    let mut findings = vec![clock_of(now)];
    findings.extend(existing(dir).and_then(disk).map(|disk| room(&disk, taken(dir), config.store.max_size)));
    findings
}

fn clock_of(now: Timestamp) -> Finding {
    if !clock::is_set(now) {
        return Finding::fail(
            "clock",
            format!(
                "says {now}, which is before this program was written: set it (`timedatectl set-ntp true`)"
            ),
        );
    }
    Finding::pass("clock", format!("says {now}"))
}

/// What is left on a disk for others than root.
#[derive(Debug, Clone, Copy)]
struct Disk {
    free: u64,
    /// How many more files it can hold; none where it does not count them.
    files: Option<u64>,
}

fn disk(dir: &Path) -> Option<Disk> {
    let disk = statvfs(dir).ok()?;
    let files = (disk.f_files > 0).then_some(disk.f_favail);
    Some(Disk { free: disk.f_bavail.saturating_mul(disk.f_frsize), files })
}

/// The bytes that the files of the data directory take already.
fn taken(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => taken(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_unreadable) => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

fn room(disk: &Disk, taken: u64, wanted: u64) -> Finding {
    let (check, free) = ("disk", disk.free >> 20);
    if disk.files == Some(0) {
        return Finding::fail(
            check,
            "no file can be made any more, whatever room there is (`df -i`): remove some, or move gateway.data_dir",
        );
    }
    if disk.free < LEAST_FREE {
        return Finding::fail(
            check,
            format!(
                "{free} MiB are free, and under {} the store soon takes nothing new: make room, or move \
                 gateway.data_dir",
                LEAST_FREE >> 20
            ),
        );
    }
    if disk.free.saturating_add(taken) < wanted {
        let (taken, most) = (taken >> 20, wanted >> 20);
        return Finding::warn(
            check,
            format!(
                "{free} MiB are free and the store takes {taken}, but store.max_size is {most} MiB: lower it, or \
                 make room"
            ),
        );
    }
    Finding::pass(check, format!("{free} MiB are free"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    #[test]
    fn too_little_room_is_a_failure_and_less_than_promised_a_warning() {
        const MIB: u64 = 1 << 20;
        for (free, files, taken, wanted, verdict, words) in [
            (2000, None, 0, 1024, Verdict::Pass, "2000 MiB are free"),
            (2000, Some(1), 0, 1024, Verdict::Pass, "2000 MiB are free"),
            (500, Some(1), 600, 1024, Verdict::Pass, "500 MiB are free"),
            (500, None, 400, 1024, Verdict::Warn, "the store takes 400, but store.max_size is 1024 MiB"),
            (63, None, 2000, 1024, Verdict::Fail, "make room, or move gateway.data_dir"),
            (0, None, 0, 0, Verdict::Fail, "0 MiB are free"),
            (2000, Some(0), 0, 1024, Verdict::Fail, "`df -i`"),
        ] {
            let finding = room(&Disk { free: free * MIB, files }, taken * MIB, wanted * MIB);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.message.contains(words), "{finding:?}");
        }
    }
}

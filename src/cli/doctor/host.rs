//! Looks at this machine: the data directory, room on its disk, and the clock.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Finding;
use crate::clock;
use crate::config::Config;
use crate::model::Timestamp;

/// Less room than this is none: the daemon could not even tidy up.
const LEAST_FREE: u64 = 64 << 20;

pub(super) fn look(config: &Config, now: Timestamp) -> Vec<Finding> {
    let dir = &config.gateway.data_dir;
    let mut findings = vec![clock_of(now), data_directory(dir)];
    findings.extend(existing(dir).and_then(|there| room(there, config.store.max_size)));
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

fn data_directory(dir: &Path) -> Finding {
    let check = "data directory";
    let shown = dir.display();
    let metadata = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::warn(check, format!("{shown} is not there yet; `run` makes it"));
        }
        Err(error) => {
            return Finding::fail(
                check,
                format!("{shown} may not be looked at ({error}): run as the gateway's user"),
            );
        }
        Ok(metadata) => metadata,
    };
    let trial = dir.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = fs::write(&trial, b"").and_then(|()| fs::remove_file(&trial)) {
        return Finding::fail(
            check,
            format!("{shown} cannot be written to ({error}): run as the gateway's user, or change its owner"),
        );
    }
    if metadata.permissions().mode() & 0o007 != 0 {
        return Finding::warn(check, format!("{shown} is open to everybody on this machine: chmod 0750"));
    }
    Finding::pass(check, format!("{shown} can be written to"))
}

/// The folder itself, or the nearest one above it that is there.
fn existing(dir: &Path) -> Option<&Path> {
    dir.ancestors().find(|path| path.is_dir())
}

fn room(dir: &Path, wanted: u64) -> Option<Finding> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let (check, mebibytes) = ("disk", free >> 20);
    Some(if free < LEAST_FREE {
        Finding::fail(check, format!("{mebibytes} MiB are free: make room, or move gateway.data_dir"))
    } else if free < wanted {
        let most = wanted >> 20;
        Finding::warn(
            check,
            format!("{mebibytes} MiB are free, but store.max_size is {most} MiB: lower it, or make room"),
        )
    } else {
        Finding::pass(check, format!("{mebibytes} MiB are free"))
    })
}

//! Looks at the folders that the daemon writes to: whether it can, who else may look in, and whose the files are.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::iter;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{Finding, Verdict, existing};
use crate::cli::ownership::is_the_stores;
use crate::cli::user::User;
use crate::config::Config;

/// What is written on trial: a block of the disk, because an empty file needs none.
const TRIAL: [u8; 4096] = [0; 4096];

/// `service` is the user that the daemon runs as, where that is another than the one who asks, who is root.
pub(super) fn look(config: &Config, service: Option<&User>) -> Vec<Finding> {
    let dir = &config.gateway.data_dir;
    let mut data = folder("data directory", "gateway.data_dir", dir, service);
    if data.verdict == Verdict::Pass && is_open(dir) {
        let shown = dir.display();
        let message = format!("{shown} is open to everybody on this machine: chmod 0750 {shown}");
        data = Finding::warn(data.check, message);
    }
    // Backups are readable by their owner alone, wherever they lie.
    let backups = config.store.backup.as_ref();
    let backups = backups.map(|backup| folder("backups", "store.backup", &backup.folder, service));
    iter::once(data).chain(backups).collect()
}

fn folder(check: &str, key: &str, dir: &Path, service: Option<&User>) -> Finding {
    let shown = dir.display();
    let metadata = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return not_there(check, key, dir),
        Err(error) => {
            return Finding::fail(
                check,
                format!("{shown} may not be looked at ({error}): run as the gateway's user"),
            );
        }
        Ok(metadata) => metadata,
    };
    if let Err(error) = trial(dir) {
        let message = format!("{shown} cannot be written to ({error}): {}", advice(&error, key));
        return Finding::fail(check, message);
    }
    if let Some(user) = service.filter(|user| user.uid != metadata.uid()) {
        let message = format!("{shown} does not belong to the gateway's user {}", user.name);
        return Finding::fail(check, format!("{message}: sudo chown -R {}: {shown}", user.name));
    }
    if let Some(message) = of_another(dir, &metadata) {
        return Finding::fail(check, message);
    }
    Finding::pass(check, format!("{shown} can be written to"))
}

fn is_open(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

fn not_there(check: &str, key: &str, dir: &Path) -> Finding {
    let shown = dir.display();
    let above = existing(dir).unwrap_or(Path::new("."));
    match access(above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::warn(check, format!("{shown} is not there yet; the daemon makes it")),
        Err(error) => Finding::fail(
            check,
            format!(
                "{shown} is not there, and may not be made in {} ({}): make it for the gateway's user \
                 (`sudo install -d -m 750 -o USER {shown}`), or change {key}",
                above.display(),
                io::Error::from(error),
            ),
        ),
    }
}

/// Writes as the store does, to the disk and not to memory only.
fn trial(dir: &Path) -> io::Result<()> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&TRIAL)?;
        file.sync_all()
    });
    match written {
        Ok(()) => fs::remove_file(&path),
        Err(error) => {
            // Where it could not be made, there is nothing to remove.
            drop(fs::remove_file(&path));
            Err(error)
        }
    }
}

fn advice(error: &io::Error, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("make room on its disk, or move {key}; until then the gateway keeps nothing new")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "its disk is read-only: `dmesg` says why, and a card that became so by itself is worn out"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => "run as the gateway's user, or change its owner".to_owned(),
        _ => format!("look at the disk (`dmesg`), or move {key}"),
    }
}

/// What somebody else has left in the store, such as a command that was run by root: the gateway cannot open it.
fn of_another(dir: &Path, metadata: &Metadata) -> Option<String> {
    let file = entries(dir)
        .filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(is_the_stores))
        .flat_map(|path| iter::once(path.clone()).chain(entries(&path)))
        .find(|path| fs::metadata(path).is_ok_and(|found| found.uid() != metadata.uid()))?;
    let shown = dir.display();
    Some(format!(
        "{} belongs to another user than {shown} does, so the gateway may not open it: \
         sudo chown -R --reference={shown} {shown}",
        file.display()
    ))
}

/// What is in a folder; nothing in what is none, or cannot be read.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

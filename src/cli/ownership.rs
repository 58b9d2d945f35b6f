//! Whose the files of the store are: what root leaves there, the service could not open.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, open, openat};

use super::output;

/// Whether something of that name in the data directory is the store's (docs/store.md).
pub(super) fn is_the_stores(name: &str) -> bool {
    let folders = ["store-", "damaged-"];
    matches!(name, "lock" | "current" | "opening" | "marks" | "backups")
        || folders.iter().any(|folder| name.starts_with(folder))
}

/// Gives, at the end, what root has made in the store of another user to that user. To be let go after the store.
#[derive(Debug)]
pub(super) struct GiveBack {
    dir: PathBuf,
}

impl GiveBack {
    /// For the store in this data directory.
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }
}

impl Drop for GiveBack {
    fn drop(&mut self) {
        match give_back(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => output::complain(&format!(
                "sigfox2mqtt: files in {} stay root's ({error}): `sigfox2mqtt doctor` says what to do",
                self.dir.display()
            )),
            _ => {}
        }
    }
}

fn give_back(dir: &Path) -> io::Result<()> {
    let folder = open(dir, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let owner = fstat(&folder)?;
    if owner.st_uid == 0 {
        return Ok(());
    }
    give_below(&folder, (owner.st_uid, owner.st_gid), is_the_stores)
}

/// By handles and never through a link: the folder's owner may change what a path leads to at any moment, and must not
/// be given another file of root's.
fn give_below(folder: &OwnedFd, owner: (u32, u32), is_ours: fn(&str) -> bool) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || !name.to_str().is_ok_and(is_ours) {
            continue;
        }
        // Links and sockets cannot be opened so; somebody who is not root cannot open others' files either.
        let Ok(opened) = openat(folder, name, flags, Mode::empty()) else { continue };
        let found = fstat(&opened)?;
        let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if found.st_uid == 0 && (is_folder || found.st_nlink == 1) {
            fchown(&opened, Some(owner.0), Some(owner.1))?;
        }
        if is_folder {
            give_below(&opened, owner, |_anything| true)?;
        }
    }
    Ok(())
}

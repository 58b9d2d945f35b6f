//! Where the socket lies: in a runtime directory, which the daemon's group may enter, else in the data directory.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISO_HDLC, Crc};
use tokio::net::UnixListener;

use crate::config::Gateway;

/// The socket's name in the data directory.
const NAME: &str = "control.sock";

/// For the daemon's user and its group.
const MODE: u32 = 0o660;

/// Where the socket of a gateway may lie, best first.
pub(super) fn places(gateway: &Gateway) -> Vec<PathBuf> {
    let name = shared_name(&gateway.data_dir);
    let shared = gateway.runtime_dirs.iter().map(|dir| dir.join(&name));
    shared.chain([gateway.data_dir.join(NAME)]).collect()
}

/// Listens at the first place that is ours. A socket that lies there is a dead one: the store in this data directory is
/// open, so no other daemon has it.
pub(super) fn bind(gateway: &Gateway) -> io::Result<(UnixListener, PathBuf)> {
    let owner = fs::metadata(&gateway.data_dir)?.uid();
    let is_ours = |place: &PathBuf| place.parent().is_some_and(|dir| belongs_to(dir, owner));
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for place in places(gateway).into_iter().filter(is_ours) {
        match bind_at(&place) {
            Ok(listener) => return Ok((listener, place)),
            Err(error) => {
                tracing::debug!(place = %place.display(), %error, "no control socket here");
                failed = error;
            }
        }
    }
    Err(failed)
}

/// Takes a socket away, if it is there.
pub(super) fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn bind_at(place: &Path) -> io::Result<UnixListener> {
    remove(place)?;
    let listener = UnixListener::bind(place)?;
    fs::set_permissions(place, fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

/// In a folder of another's, that one could put a socket of his own in our place.
fn belongs_to(dir: &Path, owner: u32) -> bool {
    fs::metadata(dir).is_ok_and(|dir| dir.is_dir() && dir.uid() == owner)
}

/// Several gateways may share a runtime directory, but no two a data directory.
fn shared_name(data_dir: &Path) -> String {
    let whole = fs::canonicalize(data_dir).or_else(|_unseen| std::path::absolute(data_dir));
    let whole = whole.unwrap_or_else(|_nowhere| data_dir.to_owned());
    let sum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(whole.as_os_str().as_bytes());
    format!("control-{sum:08x}.sock")
}

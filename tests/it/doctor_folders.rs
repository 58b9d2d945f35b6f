//! What the doctor finds at the folders that the daemon writes to, and that root's commands leave nothing to find.

use std::fs::{self, hard_link};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::daemon::{Gateway, command};
use crate::support::shim::{FAILING, FULL, READ_ONLY, Shim};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sigfox2mqtt");

/// A folder with a configuration whose data directory is `data`, which is there.
fn site(store: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let text = format!(
        "version = 1\n[gateway]\ndata_dir = \"data\"\n[store]\n{store}\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n\
         [sources.gone]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"l\"\npassword = \"p\"\n"
    );
    fs::write(&file, text).unwrap();
    set_mode(&file, 0o600);
    fs::create_dir(folder.path().join("data")).unwrap();
    set_mode(&folder.path().join("data"), 0o750);
    folder
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The verdict on one thing, and what was said of it.
fn found(command: &mut Command, folder: &Path, check: &str) -> (String, String) {
    let command = command.args(["--config", "config.toml", "doctor", "--json"]).current_dir(folder);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding =
        said["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check).cloned();
    let finding = finding.unwrap_or_else(|| panic!("nothing of {check}: {said}"));
    let word = |key: &str| finding[key].as_str().unwrap().to_owned();
    (word("verdict"), word("message"))
}

#[test]
fn a_disk_that_takes_no_writes_is_a_failure_with_its_own_advice() {
    for (error, words) in [
        (FULL, "make room on its disk, or move gateway.data_dir"),
        (READ_ONLY, "its disk is read-only: `dmesg` says why"),
        (FAILING, "look at the disk (`dmesg`)"),
    ] {
        let site = site("");
        let shim = Shim::new(&site.path().join("data"));
        shim.disk(error, 0);
        let mut command = Command::new(PROGRAM);
        let (verdict, message) = found(command.envs(shim.environment()), site.path(), "data directory");
        assert_eq!(verdict, "fail", "{message}");
        assert!(message.contains("cannot be written to") && message.contains(words), "{message}");
        assert_eq!(fs::read_dir(site.path().join("data")).unwrap().count(), 0, "something was left");
    }
}

/// The program with the rights that a file's mode gives to its owner, even where the test is run by root.
fn without_privileges() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--bounding-set=-all", PROGRAM]);
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if is_root { command } else { Command::new(PROGRAM) }
}

#[test]
fn a_folder_that_may_not_be_written_to_or_made_is_a_failure() {
    let site = site("backup = \"closed/copies\"");
    let (data, closed) = (site.path().join("data"), site.path().join("closed"));
    fs::create_dir(&closed).unwrap();
    for path in [&data, &closed] {
        set_mode(path, 0o550);
    }
    let (verdict, message) = found(&mut without_privileges(), site.path(), "data directory");
    assert_eq!(verdict, "fail", "{message}");
    assert!(message.contains("run as the gateway's user, or change its owner"), "{message}");
    let (verdict, message) = found(&mut without_privileges(), site.path(), "backups");
    assert_eq!(verdict, "fail", "{message}");
    assert!(message.contains("closed/copies is not there, and may not be made in "), "{message}");
    assert!(message.contains("sudo install -d -m 750 -o USER "), "{message}");
    set_mode(&closed, 0o750);
    let (verdict, message) = found(&mut without_privileges(), site.path(), "backups");
    assert_eq!(verdict, "warn", "{message}");
    assert!(message.ends_with("is not there yet; the daemon makes it"), "{message}");
}

#[test]
fn what_root_has_left_in_the_store_is_a_failure() {
    let site = site("");
    let database = site.path().join("data/store-1");
    fs::create_dir(&database).unwrap();
    for file in ["db", "conf"] {
        fs::write(database.join(file), "").unwrap();
    }
    assert_eq!(found(&mut Command::new(PROGRAM), site.path(), "data directory").0, "pass");
    if chown(database.join("conf"), Some(12345), None).is_err() {
        // Only root can give a file away.
        return;
    }
    let (verdict, message) = found(&mut Command::new(PROGRAM), site.path(), "data directory");
    assert_eq!(verdict, "fail");
    assert!(message.contains("store-1/conf belongs to another user than"), "{message}");
    assert!(message.contains("sudo chown -R --reference="), "{message}");
}

#[tokio::test]
async fn what_root_does_to_the_services_store_stays_the_services() {
    let gateway = Gateway::new(
        "version = 1\n[gateway]\ndata_dir = \"{data}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n\
         [sources.gone]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"l\"\npassword = \"p\"\n",
    );
    let daemon = gateway.start();
    daemon.logged("gateway ready").await;
    assert_eq!(daemon.terminate().await.code(), Some(0));
    let data = gateway.data();
    if chown(&data, Some(12345), Some(12345)).is_err() {
        // Only root can give a folder away.
        return;
    }
    let elsewhere = gateway.configuration();
    fs::create_dir(data.join("backups")).unwrap();
    hard_link(&elsewhere, data.join("backups/linked")).unwrap();
    symlink(&elsewhere, data.join("store-link")).unwrap();
    fs::write(data.join("notes of root"), "").unwrap();
    for arguments in [&["store", "compact"][..], &["devices"]] {
        let done = command(&gateway.configuration()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
    for entry in fs::read_dir(&data).unwrap().chain(fs::read_dir(data.join("store-2")).unwrap()) {
        let path = entry.unwrap().path();
        let is_roots = path.ends_with("notes of root") || path.ends_with("store-link");
        assert_eq!(owner(&path), if is_roots { 0 } else { 12345 }, "{}", path.display());
    }
    assert_eq!(owner(&elsewhere), 0, "a link gave a file away");
}

//! The verbs of `store` of the real program.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::Value;

use crate::reading::{gateway, run};
use crate::support::daemon::{Gateway, command};
use crate::support::eventually;

fn json(gateway: &crate::support::daemon::Gateway, arguments: &[&str]) -> Value {
    let (code, out, err) = run(gateway, arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}: {out}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_store_is_counted_verified_compacted_backed_up_and_restored() {
    let gateway = gateway();
    let stats = json(&gateway, &["store", "stats", "--json"]);
    assert_eq!((&stats["uplinks"], &stats["devices"], &stats["outbox"]), (&3.into(), &1.into(), &4.into()));
    assert_eq!(stats["oldest"], "2026-09-10T00:26:41.000Z");
    assert_eq!(json(&gateway, &["store", "verify", "--json"])["faulty"], 0);
    assert_eq!(json(&gateway, &["store", "compact", "--json"])["unread"], 0);
    let file = gateway.data().with_extension("backup");
    let file = file.to_str().unwrap();
    let written = json(&gateway, &["store", "backup", file, "--json"]);
    fs::remove_dir_all(gateway.data()).unwrap();
    let (code, _, err) = run(&gateway, &["store", "stats"]);
    assert!(code == Some(1) && err.contains("nothing is known yet"), "{err}");
    assert_eq!(json(&gateway, &["store", "restore", file, "--json"])["records"], written["records"]);
    let (code, out, _) = run(&gateway, &["store", "stats"]);
    let uplinks = out.lines().find_map(|line| line.strip_prefix("uplinks")).map(str::trim);
    assert_eq!((code, uplinks), (Some(0), Some("3")), "{out}");
    fs::remove_file(file).unwrap();
}

#[test]
fn what_is_no_backup_is_refused_in_a_sentence() {
    let gateway = gateway();
    let file = gateway.configuration();
    let (code, out, err) = run(&gateway, &["store", "restore", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("is not a whole backup: it does not begin as one"), "{err}");
    assert_eq!(json(&gateway, &["store", "stats", "--json"])["uplinks"], 3);
}

/// A gateway that has nothing but a data directory.
fn bare() -> Gateway {
    Gateway::new(
        "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"{data}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n\
         [sources.factory]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9/\"\nlogin = \"l\"\npassword = \"p\"\n",
    )
}

/// How `run` ends, and its last words.
fn refusal(mut run: Command) -> (Option<i32>, String) {
    let output = run.arg("run").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), err.lines().last().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_second_daemon_on_a_data_directory_is_refused_in_a_sentence() {
    let gateway = bare();
    let first = gateway.start();
    eventually("the first to run", || gateway.data().join("control.sock").exists()).await;
    let (code, said) = refusal(command(&gateway.configuration()));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is in use by another process (only one daemon can run on a data directory)"),
        "{said}"
    );
    assert_eq!(first.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_in_a_sentence() {
    let gateway = gateway();
    let path = gateway.data().join("store-1");
    let mut opened = None;
    // sled's threads let go of the file a moment after the handle that wrote it is gone.
    eventually("the store to be free", || {
        opened = sled::open(&path).ok();
        opened.is_some()
    })
    .await;
    let newer = opened.unwrap();
    newer.open_tree("meta").unwrap().insert("schema", &99_u32.to_be_bytes()).unwrap();
    newer.flush().unwrap();
    drop(newer);
    let (code, said) = refusal(command(&gateway.configuration()));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is of version 99, this program knows up to 2 (expected a newer program"),
        "{said}"
    );
    assert_eq!(run(&gateway, &["messages"]).0, Some(1), "nor is it read");
}

#[test]
fn a_data_directory_that_is_a_file_is_a_fault_of_the_configuration() {
    let gateway = bare();
    fs::write(gateway.data(), "").unwrap();
    let (code, said) = refusal(command(&gateway.configuration()));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("gateway.data_dir") && said.contains("is no folder, expected one"), "{said}");
}

#[test]
fn a_data_directory_of_another_user_is_refused_in_a_sentence() {
    const NOBODY: u32 = 65_534;
    let gateway = bare();
    fs::create_dir(gateway.data()).unwrap();
    let mut run = command(&gateway.configuration());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Program and configuration become somebody else's, the directory stays root's.
        let folder = gateway.configuration().parent().unwrap().to_owned();
        let program = folder.join("sigfox2mqtt");
        fs::copy(env!("CARGO_BIN_EXE_sigfox2mqtt"), &program).unwrap();
        for path in [&gateway.configuration(), &folder, &program] {
            chown(path, Some(NOBODY), None).unwrap();
        }
        run = Command::new(program);
        run.arg("--config").arg(gateway.configuration()).uid(NOBODY);
    } else {
        fs::set_permissions(gateway.data(), fs::Permissions::from_mode(0o555)).unwrap();
    }
    let (code, said) = refusal(run);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("no permission to write in") && said.contains("expected a data directory of the user"),
        "{said}"
    );
}

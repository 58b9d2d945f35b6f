//! The verbs of `store` of the real program.

use std::fs;

use serde_json::Value;

use crate::reading::{gateway, run};

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

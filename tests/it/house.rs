//! What holds between the rooms of `src/`, as its map in `src/lib.rs` says.

use std::fs;
use std::path::{Path, PathBuf};

/// Each crate that only some rooms may name, and those rooms.
const TENANTS: [(&str, &[&str]); 4] = [
    ("sled", &["store"]),
    ("rumqttc", &["mqtt"]),
    ("reqwest", &["cloud", "simulate"]),
    ("axum", &["http", "simulate"]),
];

/// Rooms that do no I/O, read no clock and cannot await.
const PURE: [&str; 4] = ["model", "decode", "downlink/machine", "publish/availability"];

/// What no pure room may hold.
const IMPURE: [&str; 5] = ["async fn", "SystemTime", "clock::now", "std::net", "tokio::"];

#[test]
fn only_its_room_names_a_crate() {
    for (file, text) in sources() {
        for (name, rooms) in TENANTS {
            let at_home = rooms.iter().any(|room| file.starts_with(room));
            let named = text.lines().any(|line| {
                let code = line.split("//").next().unwrap();
                code.contains(&format!("{name}::")) || code.contains(&format!("use {name};"))
            });
            assert!(at_home || !named, "{} names {name}, which is for {rooms:?} alone", file.display());
        }
    }
}

#[test]
fn the_store_imports_the_model_alone() {
    for (file, text) in sources().into_iter().filter(|(file, _)| file.starts_with("store")) {
        for line in text.lines().filter(|line| line.contains("crate::")) {
            let allowed =
                ["model", "store", "clock"].iter().any(|room| line.contains(&format!("crate::{room}")));
            assert!(allowed, "{}: {line}", file.display());
        }
    }
}

#[test]
fn pure_rooms_neither_await_nor_read_a_clock() {
    for (file, text) in sources() {
        if PURE.iter().any(|room| file.starts_with(room) || file.with_extension("").starts_with(room)) {
            for line in text.lines() {
                let code = line.split("//").next().unwrap();
                let found = IMPURE.iter().find(|word| code.contains(**word));
                assert_eq!(found, None, "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    for (file, text) in sources() {
        assert!(text.lines().count() <= 400, "{} is a room to rebuild", file.display());
    }
}

#[test]
fn the_rust_of_cargo_toml_understands_every_file() {
    // Chains of `let` came with 1.88, and no lint tells of them.
    assert!(env!("CARGO_PKG_RUST_VERSION") < "1.88", "then this test has nothing to do any more");
    for (file, text) in sources() {
        for line in text.lines() {
            let is_chain = line.trim_start().starts_with("&& let ")
                || line.contains("if ") && line.contains(" && let ")
                || line.contains("if let ") && line.contains(" = ") && line.ends_with(" &&");
            assert!(!is_chain, "{}: {line}", file.display());
        }
    }
}

/// Every file of `src/`, by its path below it.
pub(crate) fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(files.len() > 10, "the sources are not where they were");
    files
}

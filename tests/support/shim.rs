//! A disk that fails or waits, a clock that is wrong and connects that never return, for one program of a test: see
//! `shim.c`, which is compiled for it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What the system says of a disk that has no space left, is read-only, or is broken (errno(3)).
pub(crate) const FULL: i32 = 28;
pub(crate) const READ_ONLY: i32 = 30;
pub(crate) const FAILING: i32 = 5;

/// What waits, while the test holds it, instead of being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write = -1,
    Sync = -2,
}

/// The rules of one program; they may change while it runs.
pub(crate) struct Shim {
    environment: [(&'static str, PathBuf); 3],
    rules: File,
    _folder: TempDir,
}

impl Shim {
    /// Rules for a data folder; at first all is well.
    pub(crate) fn new(data: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (library, rules) = (folder.path().join("shim.so"), folder.path().join("rules"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/shim.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(compiled.success());
        fs::write(&rules, [0; 24]).unwrap();
        Self {
            rules: File::options().read(true).write(true).open(&rules).unwrap(),
            environment: [("LD_PRELOAD", library), ("SHIM_RULES", rules), ("SHIM_FOLDER", data.to_owned())],
            _folder: folder,
        }
    }

    /// What the program is to be started with.
    pub(crate) fn environment(&self) -> [(&str, &Path); 3] {
        self.environment.each_ref().map(|(name, path)| (*name, path.as_path()))
    }

    /// From now on the disk fails, each time when so many writes and syncs went well; error 0 mends it.
    pub(crate) fn disk(&self, error: i32, well: i32) {
        // In one write: the program may look at any moment.
        let bytes = [error.to_ne_bytes(), well.to_ne_bytes()].concat();
        self.rules.write_all_at(&bytes, 0).unwrap();
    }

    /// From now on writes, or syncs, wait; until the disk is mended.
    pub(crate) fn hold(&self, step: Step) {
        self.hold_after(step, 0);
    }

    /// The same after so many writes, or syncs; once for a program.
    pub(crate) fn hold_after(&self, step: Step, many: i32) {
        self.rules.write_all_at(&0_i32.to_ne_bytes(), 16).unwrap();
        self.disk(step as i32, many);
    }

    /// Whether the program has come to what is held.
    pub(crate) fn waits(&self) -> bool {
        let mut bytes = [0; 4];
        self.rules.read_exact_at(&mut bytes, 16).unwrap();
        i32::from_ne_bytes(bytes) != 0
    }

    /// From now on the clock is wrong by so many seconds.
    pub(crate) fn clock(&self, seconds: i64) {
        self.rules.write_all_at(&seconds.to_ne_bytes(), 8).unwrap();
    }

    /// From now on no attempt to connect to this port returns, and whoever made it stands still; port 0 lets all go on.
    pub(crate) fn hold_connects(&self, port: u16) {
        self.rules.write_all_at(&i32::from(port).to_ne_bytes(), 20).unwrap();
    }
}

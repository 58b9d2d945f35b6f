//! Makes the released program smaller by what the linker at hand is found able to do. None of it is needed: where a
//! linker refuses, warns, or makes a program that does not start here, the program is larger and otherwise the same.

use std::env::{self, VarError};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Each of them is tried by itself.
const WISHES: [&str; 3] = [
    // An eighth of the space for relocations; the dynamic linker reads that since glibc 2.36.
    "-Wl,-z,pack-relative-relocs",
    // Functions with the same instructions are kept once, whatever their types were called.
    "-Wl,--icf=all",
    // What unwinding needs: a released program aborts at a panic, so nobody reads it.
    "-Wl,--no-eh-frame-hdr,-T,{script}",
];

const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame.* .gcc_except_table .gcc_except_table.*) } } \
                      INSERT AFTER .text;\n";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // Other builds are not shipped, unwind, and are better off with a fast link.
    if env::var("PROFILE").as_deref() != Ok("release") {
        return Ok(());
    }
    let trial = Trial::new()?;
    for wish in WISHES {
        let option = wish.replace("{script}", &trial.folder.join("script.ld").to_string_lossy());
        if trial.succeeds(&option) {
            println!("cargo::rustc-link-arg-bins={option}");
        }
    }
    Ok(())
}

/// A program of one line, linked as ours will be.
struct Trial {
    folder: PathBuf,
    target: OsString,
}

impl Trial {
    fn new() -> io::Result<Self> {
        let wanted = |name: &str| env::var_os(name).ok_or_else(|| io::Error::other(VarError::NotPresent));
        let trial = Self { folder: wanted("OUT_DIR")?.into(), target: wanted("TARGET")? };
        fs::write(trial.folder.join("script.ld"), SCRIPT)?;
        fs::write(trial.folder.join("trial.rs"), "fn main() { println!(\"{:?}\", std::env::args_os()); }\n")?;
        Ok(trial)
    }

    fn succeeds(&self, option: &str) -> bool {
        let program = self.folder.join("trial");
        let mut link = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        link.arg("--target").arg(&self.target).args(["-C", "panic=abort", "-o"]).arg(&program);
        // As cargo was told to.
        let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        link.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
        if let Some(linker) = env::var_os("RUSTC_LINKER") {
            let mut chosen = OsString::from("linker=");
            chosen.push(linker);
            link.arg("-C").arg(chosen);
        }
        link.arg("-C").arg(format!("link-arg={option}")).args(["-C", "link-arg=-Wl,--fatal-warnings"]);
        ends_well(link.arg(self.folder.join("trial.rs"))) && self.starts(&program)
    }

    /// A program for another machine can't be asked; who builds one says what that machine must have.
    fn starts(&self, program: &Path) -> bool {
        env::var_os("HOST").as_ref() != Some(&self.target) || ends_well(&mut Command::new(program))
    }
}

fn ends_well(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

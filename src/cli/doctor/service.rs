//! Looks, for root, with the eyes of the user that the packaged service runs as: what root may read, that one may not.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use super::Finding;
use crate::cli::user::User;
use crate::cli::{Exit, Globals};

/// Lets that user check the configuration. Where that cannot be tried, nothing is said.
pub(super) fn look(globals: &Globals, user: &User) -> Vec<Finding> {
    let check = "gateway's user";
    let Some(output) = check_as(globals, user) else { return Vec::new() };
    match output.status.code() {
        Some(0) => {
            let found = format!("{} may read the configuration and what it names", user.name);
            vec![Finding::pass(check, found)]
        }
        Some(code) if code == i32::from(Exit::Configuration.code()) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let refused = |line: &str| {
                let advice = format!("give such files the group {} and mode 0640", user.name);
                Finding::fail(check, format!("to {} {line}: {advice}", user.name))
            };
            said.lines().map(refused).collect()
        }
        _ => Vec::new(),
    }
}

fn check_as(globals: &Globals, user: &User) -> Option<Output> {
    Command::new(std::env::current_exe().ok()?)
        .arg("--config")
        .arg(globals.config_file())
        .arg("check")
        .current_dir("/")
        .stdin(Stdio::null())
        .uid(user.uid)
        .gid(user.gid)
        .output()
        .ok()
}

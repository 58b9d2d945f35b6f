//! `run`: the daemon.

use super::{Exit, Globals};

/// Runs the daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt run --config ./config.toml")]
pub(crate) struct Args {}

pub(crate) fn execute(_args: Args, _globals: &Globals) -> anyhow::Result<Exit> {
    anyhow::bail!("`run` is not in this build")
}

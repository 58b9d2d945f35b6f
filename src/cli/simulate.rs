//! `simulate`: the simulated clouds.

use super::{Exit, Globals};

/// Serves the simulated clouds on loopback
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt simulate")]
pub(crate) struct Args {}

pub(crate) fn execute(_args: Args, _globals: &Globals) -> anyhow::Result<Exit> {
    anyhow::bail!("`simulate` is not in this build")
}

//! `demo`: the whole product on this machine.

use super::{Exit, Globals};

/// Runs the whole product on this machine with simulated clouds and a built-in broker
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt demo")]
pub(crate) struct Args {}

pub(crate) fn execute(_args: Args, _globals: &Globals) -> anyhow::Result<Exit> {
    anyhow::bail!("`demo` is not in this build")
}

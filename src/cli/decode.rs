//! `decode`: one payload, offline.

use super::{Exit, Globals};

/// Decodes one payload
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt decode --format 'level::uint:16' 0a41")]
pub(crate) struct Args {}

pub(crate) fn execute(_args: Args, _globals: &Globals) -> anyhow::Result<Exit> {
    anyhow::bail!("`decode` is not in this build")
}

//! `run`: the daemon, until SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Globals};
use crate::{daemon, logging};

/// Runs the daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt run --config ./config.toml")]
pub(crate) struct Args {}

pub(crate) fn execute(Args {}: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    logging::start(globals.log.as_deref())?;
    let loaded = globals.load()?.refuse_exposed()?;
    for warning in loaded.warnings.to_string().lines() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new().context("the runtime does not start")?;
    runtime.block_on(async { daemon::run(loaded.config, asked_to_end()?).await })?;
    Ok(Exit::Done)
}

/// Resolves when the process is told to end.
pub(super) fn asked_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

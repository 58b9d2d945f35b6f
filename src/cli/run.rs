//! `run`: the daemon, until SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::ownership::GiveBack;
use super::{Exit, Globals};
use crate::config::Config;
use crate::oversight::{ConfigFile, Oversight};
use crate::{daemon, logging};

/// Runs the daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt run --config ./config.toml")]
pub(crate) struct Args {}

pub(crate) fn execute(Args {}: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let log = logging::start(globals.log.as_deref())?;
    let loaded = globals.load()?.refuse_exposed()?;
    for warning in loaded.warnings.to_string().lines() {
        tracing::warn!("{warning}");
    }
    let _given_back = GiveBack::of(&loaded.config.gateway.data_dir);
    let runtime = tokio::runtime::Runtime::new().context("the runtime does not start")?;
    let again = globals.clone();
    let reread = Box::new(move || Config::load(&again.config_file(), &again.environment));
    let file = ConfigFile { reread, at_start: loaded.fingerprint() };
    let oversight = Oversight { log: Some(log), file: Some(file) };
    runtime.block_on(async { daemon::run(loaded.config, oversight, asked_to_end()?).await })?;
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

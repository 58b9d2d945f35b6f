//! `cloud`: every call of the clouds' APIs, with the credentials of a source of the configuration.

mod altair;
mod altair_things;
mod answer;
mod argument;
mod gateway_callbacks;
mod sigfox;
mod sigfox_callbacks;
mod sigfox_devices;
mod soracom;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::{Exit, Globals};
use crate::cloud::Access;
use crate::config::{Source, SourceKind};
use crate::model::SourceName;

/// Calls the API of a cloud
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices list --source factory")]
pub(crate) struct Args {
    #[command(subcommand)]
    kind: Kind,
    #[command(flatten)]
    options: Options,
}

/// What every call takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every call")]
struct Options {
    /// With the credentials of this source or mirror; needed where several are of this kind
    #[arg(long, global = true, value_name = "NAME")]
    source: Option<SourceName>,
    /// Prints our typed form as JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// Prints the cloud's own JSON
    #[arg(long, global = true, conflicts_with = "json")]
    raw: bool,
    /// Lists at most so many rows
    #[arg(long, global = true, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: usize,
    /// Lists all rows, page by page
    #[arg(long, global = true)]
    all: bool,
    /// Skips the check of certificates, for a private endpoint
    #[arg(long, global = true)]
    insecure: bool,
    /// Does what deletes, terminates or registers without asking
    #[arg(long, short, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Sigfox(sigfox::Args),
    Soracom(soracom::Args),
    Altair(altair::Args),
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime of the call")?;
    match &args.kind {
        Kind::Sigfox(call) => runtime.block_on(sigfox::execute(call, &args.options, globals))?,
        Kind::Soracom(call) => runtime.block_on(soracom::execute(call, &args.options, globals))?,
        Kind::Altair(call) => runtime.block_on(altair::execute(call, &args.options, globals))?,
    }
    Ok(Exit::Done)
}

/// The source whose credentials are used, and how its API is reached.
fn source(
    globals: &Globals,
    options: &Options,
    kind: &str,
    is_right: fn(&SourceKind) -> bool,
) -> anyhow::Result<(Source, Access)> {
    let sources = globals.load()?.config.sources;
    let right = sources.into_iter().filter(|source| is_right(&source.kind));
    let right = right.map(|source| (source.name.to_string(), source)).collect();
    let source = chosen(right, options, "sources", kind)?;
    let mut access = Access::from(&source);
    access.insecure |= options.insecure;
    Ok((source, access))
}

/// The one of a kind that `--source` names, or that is the only one; `what` is what they are called.
fn chosen<T>(
    mut right: Vec<(String, T)>,
    options: &Options,
    what: &'static str,
    kind: &str,
) -> anyhow::Result<T> {
    let one = what.trim_end_matches('s');
    if let Some(wanted) = &options.source {
        let found = right.into_iter().find(|(name, _)| name == wanted.as_str());
        let found =
            found.with_context(|| format!("the configuration has no {one} `{wanted}` of kind {kind}"));
        return found.map(|(_, found)| found);
    }
    if right.len() > 1 {
        bail!("{} {what} are of kind {kind}: name one with --source", right.len());
    }
    let only = right.pop().with_context(|| format!("the configuration has no {one} of kind {kind}"))?;
    Ok(only.1)
}

//! `config`: the configuration in effect, and `config schema`: what may be written.

use clap::Subcommand;

use super::{Exit, Globals, output};
use crate::config::{reference, schema};

/// Prints the configuration in effect, defaults included, secrets as `***`
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  sigfox2mqtt config --config ./config.toml"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Prints it as JSON instead of TOML
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the JSON Schema of a configuration
    #[command(after_help = "Example:\n  sigfox2mqtt config schema > sigfox2mqtt.schema.json")]
    Schema {
        /// Prints a page of every key instead
        #[arg(long)]
        markdown: bool,
        /// Prints JSON, as it does anyway
        #[arg(long, hide = true, conflicts_with = "markdown")]
        json: bool,
    },
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    match &args.command {
        Some(Command::Schema { markdown: true, .. }) => output::print(&reference())?,
        Some(Command::Schema { .. }) => output::print_json(&schema())?,
        None => {
            let loaded = globals.load()?;
            if args.json {
                output::print_json(&loaded.to_json())?;
            } else {
                output::print(&loaded.to_toml())?;
            }
        }
    }
    Ok(Exit::Done)
}

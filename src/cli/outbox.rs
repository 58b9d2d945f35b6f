//! `outbox`: what waits for the broker, and what the broker refused.

use clap::Subcommand;
use serde_json::{Value, json};

use super::reading::{self, Form};
use super::{Exit, Globals, output};
use crate::control::Question;

/// Lists what waits for the broker and what it refused; retries or drops the latter
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt outbox list")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the events that the broker refused, then the oldest of those that wait
    #[command(after_help = "Example:\n  sigfox2mqtt outbox list --limit 20")]
    List {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        form: Form,
    },
    /// Publishes refused events once more
    #[command(after_help = "Example:\n  sigfox2mqtt outbox retry --all")]
    Retry(Which),
    /// Forgets refused events; uplinks stay in the history
    #[command(after_help = "Example:\n  sigfox2mqtt outbox drop 3")]
    Drop(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The event's number in the list
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    number: Option<u64>,
    /// All that the broker refused
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List { limit, form } => reading::show(
            globals,
            &Question::Outbox { limit: *limit },
            form,
            &[
                ("NUMBER", "/number"),
                ("STATE", "/state"),
                ("TIME", "/time"),
                ("KIND", "/kind"),
                ("DEVICE", "/device"),
                ("ID", "/id"),
                ("TOPIC", "/topic"),
                ("REASON", "/reason"),
            ],
        ),
        Command::Retry(which) => tell(globals, "retry", which),
        Command::Drop(which) => tell(globals, "drop", which),
    }
}

fn tell(globals: &Globals, verb: &str, which: &Which) -> anyhow::Result<Exit> {
    let body = which.number.map_or_else(|| json!({ "all": true }), |number| json!({ "number": number }));
    let done = reading::tell(globals, format!("bridge/request/outbox/{verb}"), body)?;
    if which.form.json {
        output::print_json(&done)?;
    } else {
        for (what, many) in done.as_object().into_iter().flatten() {
            output::print(&format!("{what}: {}", many.as_u64().map_or(Value::Null, Value::from)))?;
        }
    }
    Ok(Exit::Done)
}

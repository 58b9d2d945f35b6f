//! `sources`: the sources and how they do.

use super::reading::{self, Form};
use super::{Exit, Globals};
use crate::control::Question;

/// Lists the sources, and how they do while the daemon runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt sources --json")]
pub(crate) struct Args {
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let columns = [
        ("NAME", "/name"),
        ("KIND", "/kind"),
        ("STATE", "/state"),
        ("LAST SUCCESS", "/last_success"),
        ("NEXT POLL", "/next_poll"),
        ("REQUESTS", "/requests"),
        ("ERROR", "/error"),
    ];
    reading::show(globals, &Question::Sources, &args.form, &columns)
}

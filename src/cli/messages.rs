//! `messages`: the uplinks of the history.

use super::reading::{self, Filter, Form};
use super::{Exit, Globals};
use crate::control::Question;

/// Lists uplinks of the history, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt messages --device 1A2B3C --from 3d")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let columns = [
        ("TIME", "/time"),
        ("DEVICE", "/device"),
        ("NAME", "/name"),
        ("SEQ", "/seq"),
        ("DATA", "/data"),
        ("FIELDS", "/fields"),
        ("LINK", "/lqi"),
        ("ERRORS", "/errors"),
    ];
    reading::show(globals, &Question::Messages((&args.filter).into()), &args.form, &columns)
}

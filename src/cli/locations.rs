//! `locations`: where devices were.

use super::reading::{self, Filter, Form};
use super::{Exit, Globals};
use crate::control::Question;

/// Lists where devices were, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt locations --device 1A2B3C --limit 10")]
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
        ("LATITUDE", "/latitude"),
        ("LONGITUDE", "/longitude"),
        ("ACCURACY M", "/gps_accuracy"),
        ("SOURCE", "/source"),
    ];
    reading::show(globals, &Question::Locations((&args.filter).into()), &args.form, &columns)
}

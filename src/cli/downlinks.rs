//! `downlinks`: the downlinks that are not forgotten.

use super::reading::{self, Form};
use super::{Exit, Globals};
use crate::control::Question;
use crate::model::DeviceId;

/// Lists the downlinks that are queued, under way, or ended not long ago
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt downlinks --device 1A2B3C")]
pub(crate) struct Args {
    /// This one only
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let columns = [
        ("DEVICE", "/device"),
        ("ID", "/id"),
        ("STATE", "/state"),
        ("EVIDENCE", "/evidence"),
        ("DATA", "/data"),
        ("CREATED", "/created"),
        ("EXPIRES", "/expires"),
        ("REASON", "/reason"),
    ];
    reading::show(globals, &Question::Downlinks { device: args.device }, &args.form, &columns)
}

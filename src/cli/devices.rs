//! `devices`: the devices that the gateway knows.

use super::reading::{self, Form};
use super::{Exit, Globals};
use crate::control::Question;
use crate::model::DeviceId;

/// Lists the devices that the gateway knows
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt devices --device 1A2B3C")]
pub(crate) struct Args {
    /// This one only
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let columns = [
        ("ID", "/id"),
        ("NAME", "/name"),
        ("TYPE", "/type"),
        ("SOURCE", "/source"),
        ("LAST SEEN", "/last_seen"),
        ("DECODER", "/decoder"),
        ("FIELDS", "/fields"),
    ];
    reading::show(globals, &Question::Devices { device: args.device }, &args.form, &columns)
}

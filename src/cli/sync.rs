//! `sync`: asks the running daemon to poll now.

use serde_json::json;

use super::reading::{self, Form};
use super::{Exit, Globals, output};
use crate::model::{DeviceId, SourceName, Timestamp};

/// Asks the running daemon to poll now, or again from a time on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt sync --source factory --from 7d")]
pub(crate) struct Args {
    /// This source only
    #[arg(long, value_name = "NAME")]
    source: Option<SourceName>,
    /// This device only
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Again from this time on: RFC 3339, a date, or so long ago, such as 3d
    #[arg(long, value_name = "TIME", value_parser = reading::time)]
    from: Option<Timestamp>,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let body = json!({ "source": args.source, "device": args.device, "from": args.from });
    let done = reading::tell(globals, "bridge/request/sync".to_owned(), body)?;
    if args.form.json {
        output::print_json(&done)?;
    } else {
        output::print(&format!("polls now: {}", reading::cell(done.get("sources").unwrap_or_default())))?;
    }
    Ok(Exit::Done)
}

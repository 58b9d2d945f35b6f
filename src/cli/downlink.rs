//! `downlink`: the commands on a device's queue, as over MQTT.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::reading::{self, Form};
use super::{Exit, Globals, downlinks, output};
use crate::model::{DeviceId, ItemId};

/// Pushes, replaces, cancels and lists downlinks
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt downlink push 1A2B3C 0123456789abcdef")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Queues a downlink behind those that wait
    #[command(
        after_help = "Example:\n  sigfox2mqtt downlink push 1A2B3C 0123456789abcdef --expires-after 12h"
    )]
    Push(Item),
    /// Drops what waits, then queues a downlink
    #[command(after_help = "Example:\n  sigfox2mqtt downlink replace 1A2B3C --fields '{\"interval\":600}'")]
    Replace(Item),
    /// Takes back a downlink that waits, or all of them
    #[command(after_help = "Example:\n  sigfox2mqtt downlink cancel 1A2B3C --all")]
    Cancel(Cancel),
    /// Lists the downlinks that are queued, under way, or ended not long ago
    #[command(after_help = "Example:\n  sigfox2mqtt downlink list --device 1A2B3C")]
    List(downlinks::Args),
}

#[derive(Debug, clap::Args)]
struct Item {
    /// Who is to receive it
    device: DeviceId,
    /// The eight bytes as 16 hex digits
    #[arg(required_unless_present = "fields", conflicts_with = "fields")]
    data: Option<String>,
    /// Fields that the device's decoder makes the bytes of, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    fields: Option<Value>,
    /// Its name within the device; else one is made
    #[arg(long)]
    id: Option<ItemId>,
    /// When it ends unsent, such as 12h
    #[arg(long, value_name = "DURATION")]
    expires_after: Option<String>,
    /// When it ends unsent, in RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "expires_after")]
    expires_at: Option<String>,
    /// Not to be sent before, in RFC 3339
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    /// A newer queued item with the same key replaces this one
    #[arg(long, value_name = "KEY")]
    coalesce: Option<String>,
    /// What its events are to carry
    #[arg(long)]
    transaction: Option<String>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Args)]
struct Cancel {
    /// Whose queue
    device: DeviceId,
    /// The downlink
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    id: Option<ItemId>,
    /// All that wait
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Push(item) => tell(globals, item.device, "push", item.body(), &item.form),
        Command::Replace(item) => tell(globals, item.device, "replace", item.body(), &item.form),
        Command::Cancel(cancel) => tell(globals, cancel.device, "cancel", cancel.body(), &cancel.form),
        Command::List(args) => downlinks::execute(args, globals),
    }
}

impl Item {
    fn body(&self) -> Value {
        let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
        let pairs = [
            ("id", self.id.as_ref().map(|id| json!(id))),
            ("data", text(&self.data)),
            ("fields", self.fields.clone()),
            ("expires_after", text(&self.expires_after)),
            ("expires_at", text(&self.expires_at)),
            ("not_before", text(&self.not_before)),
            ("coalesce", text(&self.coalesce)),
            ("transaction", text(&self.transaction)),
        ];
        let given = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>())
    }
}

impl Cancel {
    fn body(&self) -> Value {
        match &self.id {
            Some(id) => json!({ "id": id }),
            None => json!({ "all": true }),
        }
    }
}

fn tell(globals: &Globals, device: DeviceId, verb: &str, body: Value, form: &Form) -> anyhow::Result<Exit> {
    let done = reading::tell(globals, format!("device/{device}/downlink/{verb}"), body)?;
    if form.json {
        output::print_json(&done)?;
        return Ok(Exit::Done);
    }
    let items = done.get("items").and_then(Value::as_array);
    for item in items.map(Vec::as_slice).unwrap_or_default() {
        output::print(
            &["id", "state", "reason"]
                .map(|key| reading::cell(item.get(key).unwrap_or(&Value::Null)))
                .join("  "),
        )?;
    }
    if let Some(cancelled) = done.get("cancelled") {
        output::print(&format!("cancelled: {}", reading::cell(cancelled)))?;
    }
    Ok(Exit::Done)
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err("expected a JSON object such as {\"interval\":600}".to_owned()),
    }
}

//! What the reading commands share: their filters, where their answers come from, and how they are shown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use comfy_table::{Table, presets};
use serde_json::Value;

use super::ownership::GiveBack;
use super::{Exit, Globals, output};
use crate::clock;
use crate::config::{Config, parse_duration};
use crate::control::{AskError, Export, Question, Range, View, ask, ask_for_rows};
use crate::decode::Registry;
use crate::model::{DeviceId, Timestamp};
use crate::store::{OpenError, Options, Store};

/// The longest text of one cell.
const WIDEST: usize = 60;

/// Which part of the history.
#[derive(Debug, clap::Args)]
pub(super) struct Span {
    /// Of this device only
    #[arg(long, value_name = "ID")]
    pub(super) device: Option<DeviceId>,
    /// From this time on: RFC 3339, a date, or so long ago, such as 3d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) from: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) to: Option<Timestamp>,
}

/// Which part of the history, and how much of it.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    #[command(flatten)]
    span: Span,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

impl From<&Filter> for Range {
    fn from(filter: &Filter) -> Self {
        let Span { device, from, to } = filter.span;
        Self { device, from, to, limit: filter.limit }
    }
}

/// How the answer is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Form {
    /// Prints JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// A column of a table: its head, and where its value is in an object of the answer.
pub(super) type Column = (&'static str, &'static str);

/// Asks a question and shows the answer.
pub(super) fn show(
    globals: &Globals,
    question: &Question,
    form: &Form,
    columns: &[Column],
) -> anyhow::Result<Exit> {
    let answer = answer(globals, question)?;
    if form.json {
        output::print_json(&answer)?;
    } else {
        output::print(&table(&answer, columns))?;
    }
    Ok(Exit::Done)
}

/// The running daemon's answer, else the store's own.
pub(super) fn answer(globals: &Globals, question: &Question) -> anyhow::Result<Value> {
    let config = globals.load_as_guest()?;
    match ask(&config.gateway, question) {
        Ok(answer) => Ok(answer),
        Err(AskError::NoDaemon) => {
            let _given_back = GiveBack::of(&config.gateway.data_dir);
            let view = of_store(config)?;
            view.answer(question).map_err(|words| anyhow!(words))
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells the running daemon a command, by its topic without the base; what came of it.
pub(super) fn tell(globals: &Globals, topic: String, payload: Value) -> anyhow::Result<Value> {
    Ok(ask(&globals.load_as_guest()?.gateway, &Question::Command { topic, payload })?)
}

/// Gives each row of the history to `take`: the running daemon's, else the store's own.
pub(super) fn rows(
    globals: &Globals,
    export: Export,
    mut take: impl FnMut(Value) -> io::Result<()>,
) -> anyhow::Result<()> {
    let config = globals.load_as_guest()?;
    match ask_for_rows(&config.gateway, export, &mut take) {
        Err(AskError::NoDaemon) => {}
        done => return Ok(done?),
    }
    let _given_back = GiveBack::of(&config.gateway.data_dir);
    let view = of_store(config)?;
    for row in view.export(&export).map_err(|words| anyhow!(words))? {
        take(row.map_err(|words| anyhow!(words))?).context("the rows cannot be written")?;
    }
    Ok(())
}

/// A view of the store itself, which no daemon may have open.
fn of_store(config: Config) -> anyhow::Result<View> {
    let dir = config.gateway.data_dir.clone();
    if !Store::exists(&dir) {
        bail!("nothing is known yet: no store in {} (`sigfox2mqtt run` makes it)", dir.display());
    }
    let options = Options { dir, cache: config.store.cache, flush: config.store.flush };
    let backups = config.store.backup.as_ref().map(|backup| backup.folder.as_path());
    let store = match Store::open_or_restore(options, backups) {
        Ok((store, _syncer)) => store,
        Err(error @ OpenError::Locked { .. }) => {
            return Err(anyhow!(error).context("a daemon runs, but has no control socket to ask"));
        }
        Err(error) => return Err(error.into()),
    };
    let registry = Registry::new(&config).map_err(|_problems| anyhow!("the decoders cannot be built"))?;
    Ok(View::new(Arc::new(config), store, Arc::new(registry), None))
}

fn table(answer: &Value, columns: &[Column]) -> String {
    let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "nothing found".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(columns.iter().map(|(head, _)| *head));
    for row in rows {
        table.add_row(columns.iter().map(|(_, pointer)| cell(row.pointer(pointer).unwrap_or(&Value::Null))));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A value for people, in one short line.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, value)| format!("{key}={}", cell(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.chars().nth(WIDEST).is_none() {
        return plain;
    }
    plain.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// A time as people write it, seen from now.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text, clock::now())
}

/// RFC 3339, a date in UTC, `now`, or a duration before now.
fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if text == "now" {
        return Ok(now);
    }
    let ago = parse_duration(text).map(|ago: Duration| now.minus(ago));
    let date = || format!("{text}T00:00:00Z").parse().ok();
    ago.or_else(|| text.parse().ok()).or_else(date).ok_or_else(|| {
        "expected RFC 3339 such as 2026-09-09T22:26:40Z, a date such as 2026-09-09, or 3d".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_a_point_a_date_or_so_long_ago() {
        let now: Timestamp = "2026-09-09T22:26:40.123Z".parse().unwrap();
        for (text, time) in [
            ("now", Some("2026-09-09T22:26:40.123Z")),
            ("3d", Some("2026-09-06T22:26:40.123Z")),
            ("1h30m", Some("2026-09-09T20:56:40.123Z")),
            ("2026-09-01", Some("2026-09-01T00:00:00.000Z")),
            ("2026-09-01T10:00:00+02:00", Some("2026-09-01T08:00:00.000Z")),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text, now).ok().map(|time| time.to_string()).as_deref(), time, "`{text}`");
        }
    }

    #[test]
    fn a_table_is_short_and_says_when_it_is_empty() {
        let columns = [("ID", "/id"), ("FIELDS", "/fields"), ("TEXT", "/text"), ("NONE", "/none")];
        assert_eq!(table(&json!([]), &columns), "nothing found");
        let rows =
            json!([{ "id": "1A", "fields": { "a": 1.5, "b": true, "c": null }, "text": "x\ny".repeat(40) }]);
        let printed = table(&rows, &columns);
        assert!(
            printed.lines().count() == 2 && printed.contains("a=1.5 b=true c=-") && printed.contains('…'),
            "{printed}"
        );
    }
}

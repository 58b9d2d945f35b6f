//! `export`: the history as a file, of any length.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use indicatif::ProgressBar;
use serde_json::Value;

use super::reading::{self, Span};
use super::{Exit, Globals};
use crate::control::{Export, Rows};

/// Writes the history, oldest first, whether or not the daemon runs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sigfox2mqtt export messages --format csv --from 30d --output messages.csv"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The uplinks
    #[command(after_help = "Example:\n  sigfox2mqtt export messages --format jsonl --device 1A2B3C")]
    Messages(How),
    /// Where devices were
    #[command(after_help = "Example:\n  sigfox2mqtt export locations --format csv --output places.csv")]
    Locations(How),
}

#[derive(Debug, clap::Args)]
struct How {
    /// How rows are written
    #[arg(long, value_enum)]
    format: Format,
    /// Where to; else to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values (RFC 4180); fields as JSON in one column
    Csv,
    /// One JSON document a line
    Jsonl,
}

/// A column: its head, and where its value is in a document.
type Column = (&'static str, &'static str);

const MESSAGE_COLUMNS: &[Column] = &[
    ("time", "/time"),
    ("device", "/device"),
    ("name", "/name"),
    ("source", "/source"),
    ("seq", "/seq"),
    ("data", "/data"),
    ("fields", "/fields"),
    ("decoder", "/decoder"),
    ("errors", "/errors"),
    ("lqi", "/lqi"),
    ("rssi", "/rssi"),
    ("snr", "/snr"),
    ("stations", "/stations"),
    ("ack", "/ack"),
    ("latitude", "/location/latitude"),
    ("longitude", "/location/longitude"),
    ("gps_accuracy", "/location/gps_accuracy"),
    ("received", "/received"),
    ("replay", "/replay"),
    ("id", "/id"),
];

const LOCATION_COLUMNS: &[Column] = &[
    ("time", "/time"),
    ("device", "/device"),
    ("latitude", "/latitude"),
    ("longitude", "/longitude"),
    ("gps_accuracy", "/gps_accuracy"),
    ("source", "/source"),
    ("uplink", "/uplink"),
];

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let (what, how, columns) = match &args.what {
        What::Messages(how) => (Rows::Messages, how, MESSAGE_COLUMNS),
        What::Locations(how) => (Rows::Locations, how, LOCATION_COLUMNS),
    };
    let Span { device, from, to } = how.span;
    let export = Export { what, device, from, to };
    match &how.output {
        Some(file) => to_file(globals, export, how.format, columns, file)?,
        None => {
            let mut stdout = BufWriter::new(io::stdout().lock());
            let written = write(globals, export, how.format, columns, &mut stdout, &ProgressBar::hidden());
            ignore_a_reader_that_left(written)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes beside the file and renames at the end, so that half an export never looks like a whole one.
fn to_file(
    globals: &Globals,
    export: Export,
    format: Format,
    columns: &[Column],
    file: &Path,
) -> anyhow::Result<()> {
    let place = || format!("{} cannot be written", file.display());
    let mut name = file.file_name().with_context(place)?.to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let mut writer = BufWriter::new(File::create(&part).with_context(place)?);
    let bar = ProgressBar::new_spinner();
    let written = write(globals, export, format, columns, &mut writer, &bar)
        .and_then(|()| writer.get_ref().sync_all().with_context(place))
        .and_then(|()| fs::rename(&part, file).with_context(place));
    bar.finish_and_clear();
    if written.is_err() {
        // What could not be written is also what says why; the rest is of no use.
        drop(fs::remove_file(&part));
    }
    written
}

fn write(
    globals: &Globals,
    export: Export,
    format: Format,
    columns: &[Column],
    writer: &mut impl Write,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let mut is_begun = false;
    let mut begin = |writer: &mut dyn Write| {
        let is_first = !std::mem::replace(&mut is_begun, true);
        if is_first && format == Format::Csv {
            csv_line(writer, columns.iter().map(|(head, _)| (*head).to_owned()))?;
        }
        io::Result::Ok(())
    };
    reading::rows(globals, export, |row| {
        begin(writer)?;
        bar.inc(1);
        match format {
            Format::Csv => {
                csv_line(writer, columns.iter().map(|(_, pointer)| csv_text(row.pointer(pointer))))
            }
            Format::Jsonl => writeln!(writer, "{row}"),
        }
    })?;
    begin(writer).and_then(|()| writer.flush()).context("the rows cannot be written")
}

fn csv_line(writer: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells = cells.map(|cell| {
        let is_plain = !cell.contains(['"', ',', '\r', '\n']);
        if is_plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    });
    write!(writer, "{}\r\n", cells.collect::<Vec<_>>().join(","))
}

fn csv_text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn ignore_a_reader_that_left(written: anyhow::Result<()>) -> anyhow::Result<()> {
    let left = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    match written {
        Err(error) if error.chain().any(left) => Ok(()),
        other => other,
    }
}

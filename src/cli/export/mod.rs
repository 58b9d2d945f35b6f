//! `export`: the history as a file, of any length.

mod column;
mod csv;
#[cfg(feature = "parquet")]
mod parquet;

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
    /// Apache Parquet, uncompressed; fields as JSON in one column
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Where rows go.
trait RowWriter {
    fn row(&mut self, row: &Value) -> io::Result<()>;

    /// Writes what is still to come, and flushes.
    fn end(self: Box<Self>) -> io::Result<()>;
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let (what, how) = match &args.what {
        What::Messages(how) => (Rows::Messages, how),
        What::Locations(how) => (Rows::Locations, how),
    };
    let Span { device, from, to } = how.span;
    let export = Export { what, device, from, to };
    match &how.output {
        Some(file) => to_file(globals, export, how.format, file)?,
        None => {
            let written = write(globals, export, how.format, io::stdout(), &ProgressBar::hidden());
            ignore_a_reader_that_left(written)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes beside the file and renames at the end, so that half an export never looks like a whole one.
fn to_file(globals: &Globals, export: Export, format: Format, file: &Path) -> anyhow::Result<()> {
    let place = || format!("{} cannot be written", file.display());
    let mut name = file.file_name().with_context(place)?.to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let opened = File::create(&part).with_context(place)?;
    let bar = ProgressBar::new_spinner();
    let written = opened
        .try_clone()
        .with_context(place)
        .and_then(|writer| write(globals, export, format, writer, &bar))
        .and_then(|()| opened.sync_all().with_context(place))
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
    writer: impl Write + Send + 'static,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let columns = column::of(export.what);
    let writer = BufWriter::new(writer);
    let mut rows: Box<dyn RowWriter> = match format {
        Format::Csv => Box::new(csv::Csv::begin(writer, columns)?),
        Format::Jsonl => Box::new(JsonLines(writer)),
        #[cfg(feature = "parquet")]
        Format::Parquet => Box::new(parquet::Parquet::begin(writer, columns)?),
    };
    reading::rows(globals, export, |row| {
        bar.inc(1);
        rows.row(&row)
    })?;
    rows.end().context("the rows cannot be written")
}

struct JsonLines<W: Write>(W);

impl<W: Write> RowWriter for JsonLines<W> {
    fn row(&mut self, row: &Value) -> io::Result<()> {
        writeln!(self.0, "{row}")
    }

    fn end(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
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

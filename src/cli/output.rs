//! Writes to standard output and standard error; a reader that has gone away is no failure.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;

/// Writes a text and a newline, where it has none, to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a JSON document to standard output, indented.
pub(crate) fn print_json(document: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(document).context("cannot be written as JSON")?)
}

/// Does work of unknown length; on a terminal, and only there, something moves meanwhile.
pub(crate) fn meanwhile<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    let done = work();
    bar.finish_and_clear();
    done
}

/// Writes a line to standard error. Where that fails too, nobody is left to be told.
pub(crate) fn complain(line: &str) {
    let written = writeln!(io::stderr().lock(), "{line}");
    drop(written);
}

//! `store`: what is in the store, whether it is whole, and its copies. Asks the running daemon where one runs.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::ownership::GiveBack;
use super::reading::{self, Form};
use super::{Exit, Globals, output};
use crate::control::{Question, StoreQuestion};
use crate::store::Store;

/// Counts, verifies, compacts, backs up and restores the store
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt store backup /media/usb/gateway.backup")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What is in the store, counted
    #[command(after_help = "Example:\n  sigfox2mqtt store stats --json")]
    Stats {
        #[command(flatten)]
        form: Form,
    },
    /// Reads every record; ends with 1 if one cannot be read
    #[command(after_help = "Example:\n  sigfox2mqtt store verify")]
    Verify {
        #[command(flatten)]
        form: Form,
    },
    /// Copies what lives into new files, which gives space back
    #[command(after_help = "Example:\n  sigfox2mqtt store compact")]
    Compact {
        #[command(flatten)]
        form: Form,
    },
    /// Writes all of it into one file; works while the daemon runs
    #[command(after_help = "Example:\n  sigfox2mqtt store backup gateway.backup")]
    Backup {
        /// The file to write; a file in `backups` of the data directory is restored by itself when the store is
        /// damaged
        file: PathBuf,
        #[command(flatten)]
        form: Form,
    },
    /// Puts a backup in the place of the store; the daemon must not run
    #[command(after_help = "Example:\n  sigfox2mqtt store restore gateway.backup")]
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        form: Form,
    },
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let ask = |question| {
        output::meanwhile("reading the store", || reading::answer(globals, &Question::Store(question)))
    };
    let (form, answer) = match &args.verb {
        Verb::Stats { form } => (form, ask(StoreQuestion::Stats)?),
        Verb::Verify { form } => (form, ask(StoreQuestion::Verify)?),
        Verb::Compact { form } => (form, ask(StoreQuestion::Compact)?),
        Verb::Backup { file, form } => {
            // The daemon stands elsewhere.
            let file = std::path::absolute(file).with_context(|| format!("no path: {}", file.display()))?;
            (form, ask(StoreQuestion::Backup { file })?)
        }
        Verb::Restore { file, form } => {
            let config = globals.load_as_guest()?;
            let _given_back = GiveBack::of(&config.gateway.data_dir);
            let restored = || Store::restore(&config.gateway.data_dir, file);
            let records = output::meanwhile("writing the store", restored)?;
            (form, json!({ "file": file, "records": records }))
        }
    };
    if form.json {
        output::print_json(&answer)?;
    } else {
        output::print(&lines(&answer))?;
    }
    let faulty = answer.get("faulty").and_then(Value::as_u64).unwrap_or(0);
    Ok(if faulty > 0 { Exit::Failed } else { Exit::Done })
}

/// An object for people: a line for each of its values, lists below.
fn lines(answer: &Value) -> String {
    let values = answer.as_object().into_iter().flatten();
    let width = values.clone().map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (key, value) in values {
        match value {
            Value::Array(list) => lines.extend(list.iter().map(reading::cell)),
            value => lines.push(format!("{:width$}  {}", key.replace('_', " "), reading::cell(value))),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_for_each_value() {
        let answer = json!({ "size_bytes": 7, "oldest": null, "faults": ["outbox: gone"], "faulty": 1 });
        assert_eq!(lines(&answer), "size bytes  7\noldest      -\noutbox: gone\nfaulty      1");
    }
}

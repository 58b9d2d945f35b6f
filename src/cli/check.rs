//! `check`: every problem of a configuration, offline.

use std::path::PathBuf;

use serde_json::json;

use super::{Exit, Globals, output};
use crate::config::{Config, Loaded, Problem, Problems};

/// Prints every problem of a configuration, offline
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt check --config ./config.toml")]
pub(crate) struct Args {
    /// The configuration [default: that of `--config`]
    file: Option<PathBuf>,
    /// Prints the problems as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let file = args.file.clone().unwrap_or_else(|| globals.config_file());
    let checked = Config::load(&file, &globals.environment);
    let exit = if checked.is_ok() { Exit::Done } else { Exit::Configuration };
    if args.json {
        output::print_json(&document(&checked))?;
        return Ok(exit);
    }
    match checked {
        Err(problems) => output::complain(&problems.to_string()),
        Ok(loaded) => {
            for problem in warnings(&loaded) {
                let message = format!("warning: {}", problem.message);
                let line = Problems {
                    file: loaded.warnings.file.clone(),
                    problems: vec![Problem { message, ..problem }],
                };
                output::complain(&line.to_string());
            }
            output::print(&format!("{}: good, {}", file.display(), summary(&loaded.config)))?;
        }
    }
    Ok(exit)
}

fn document(checked: &Result<Loaded, Problems>) -> serde_json::Value {
    match checked {
        Ok(loaded) => json!({ "file": loaded.warnings.file, "problems": [], "warnings": warnings(loaded) }),
        Err(problems) => json!({ "file": problems.file, "problems": problems.problems, "warnings": [] }),
    }
}

/// What works but is hardly meant, and the secrets that `run` would refuse.
fn warnings(loaded: &Loaded) -> Vec<Problem> {
    let mut warnings = loaded.warnings.problems.clone();
    warnings.extend(loaded.exposed.problems.clone());
    warnings.sort();
    warnings
}

fn summary(config: &Config) -> String {
    let sources: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    format!("gateway `{}` with {} to {}", config.gateway.id, sources.join(", "), config.mqtt.url)
}

//! `doctor`: the configuration, then every source, the broker and this host, each tried; what to do where it fails.

pub(super) mod broker;
mod folder;
mod host;
mod listener;
mod mirror;
mod service;
pub(super) mod source;

use std::path::Path;

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;

use super::{Exit, Globals, output};
use crate::clock;
use crate::config::Loaded;

/// Tries the configuration, every source, the broker, the data directory, the clock and the callback address
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt doctor --config ./config.toml")]
pub(crate) struct Args {
    /// Prints the findings as JSON
    #[arg(long)]
    json: bool,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: String,
    /// What came of it.
    pub(super) verdict: Verdict,
    /// What was found, and what to do.
    pub(super) message: String,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Pass,
    Warn,
    Fail,
}

impl Finding {
    pub(super) fn pass(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Pass, message: message.into() }
    }

    pub(super) fn warn(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Warn, message: message.into() }
    }

    pub(super) fn fail(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Fail, message: message.into() }
    }
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let loaded = globals.load()?;
    let service = globals.service_user();
    let mut findings = configuration(&loaded);
    findings.extend(service.as_ref().map(|user| service::look(globals, user)).unwrap_or_default());
    let config = &loaded.config;
    findings.extend(host::look(config, clock::now()));
    findings.extend(folder::look(config, service.as_ref()));
    findings.extend(listener::look(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tried = async {
        let mut findings = Vec::new();
        for source in &config.sources {
            findings.extend(source::try_out(source).await);
        }
        for mirror in &config.mirrors {
            findings.push(mirror::try_out(mirror).await);
        }
        findings.extend(broker::try_out(config).await);
        findings
    };
    findings.extend(output::meanwhile("trying sources, mirrors and broker", || runtime.block_on(tried)));
    let exit = if findings.iter().any(|finding| finding.verdict == Verdict::Fail) {
        Exit::Failed
    } else {
        Exit::Done
    };
    if args.json {
        output::print_json(&json!({ "findings": findings }))?;
    } else {
        output::print(&table(&findings))?;
    }
    Ok(exit)
}

/// What `check` would say of a configuration that can be used.
fn configuration(loaded: &Loaded) -> Vec<Finding> {
    let check = "configuration";
    let mut findings: Vec<_> = loaded.exposed.lines().map(|line| Finding::fail(check, line)).collect();
    findings.extend(loaded.warnings.lines().map(|line| Finding::warn(check, line)));
    if findings.is_empty() {
        findings.push(Finding::pass(check, format!("{} is good", loaded.warnings.file)));
    }
    findings
}

/// A folder itself, or the nearest one above it that is there.
fn existing(dir: &Path) -> Option<&Path> {
    dir.ancestors().find(|path| path.is_dir())
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "CHECK", "FOUND"]);
    for Finding { check, verdict, message } in findings {
        let word = match verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        };
        table.add_row([word, check, message]);
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

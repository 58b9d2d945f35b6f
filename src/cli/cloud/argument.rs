//! Arguments that are too long for a command line: given as they are, as `@FILE`, or on standard input.

use std::io::Read as _;

use anyhow::Context;
use serde_json::Value;

/// The text that an argument stands for.
pub(super) fn text(argument: &str) -> anyhow::Result<String> {
    match argument.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file}")),
        None if argument == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            Ok(text)
        }
        None => Ok(argument.to_owned()),
    }
}

/// The JSON that an argument stands for.
pub(super) fn json(argument: &str, what: &str) -> anyhow::Result<Value> {
    serde_json::from_str(&text(argument)?).with_context(|| format!("{what} is no JSON"))
}

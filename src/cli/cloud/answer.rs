//! How the answer of a cloud is shown: a table, our typed form, or the cloud's own JSON; and the question
//! before a call that cannot be undone.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, bail};
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::Options;
use crate::cli::{output, reading};
use crate::cloud::{Call, Error, Pages};

/// Shows a list, page by page: JSON row by row, so that any length fits.
pub(super) async fn list<T: Serialize>(pages: Pages<T>, options: &Options) -> anyhow::Result<()> {
    if options.raw {
        return rows(pages.raw(), options, true).await;
    }
    rows(pages, options, options.json).await
}

/// Shows one object, or a list that comes at once.
pub(super) async fn one<T: Serialize>(call: Call<T>, options: &Options) -> anyhow::Result<()> {
    let value = if options.raw {
        call.send_raw().await?
    } else {
        serde_json::to_value(call.send().await?).context("the answer cannot be shown")?
    };
    show(&value, options)
}

/// Shows what was found out.
pub(super) fn show(value: &Value, options: &Options) -> anyhow::Result<()> {
    match value {
        value if options.raw || options.json => output::print_json(value),
        Value::Array(rows) => output::print(&table(rows)),
        Value::Object(object) => {
            let width = object.keys().map(String::len).max().unwrap_or(0);
            let lines = object.iter().map(|(key, value)| format!("{key:width$}  {}", reading::cell(value)));
            output::print(&lines.collect::<Vec<_>>().join("\n"))
        }
        other => output::print(&reading::cell(other)),
    }
}

/// Makes a call that answers nothing but that it is done.
pub(super) async fn done(call: Call<()>, options: &Options) -> anyhow::Result<()> {
    if options.raw {
        return output::print_json(&call.send_raw().await?);
    }
    call.send().await?;
    said("done", options)
}

/// Says that something is so, which has no other answer.
pub(super) fn said(what: &str, options: &Options) -> anyhow::Result<()> {
    if options.json || options.raw {
        return output::print_json(&serde_json::json!({ what: true }));
    }
    output::print(what)
}

/// Asks before what cannot be undone.
pub(super) fn confirm(what: &str, options: &Options) -> anyhow::Result<()> {
    if options.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        bail!("{what} cannot be undone: say --yes to do it without being asked");
    }
    output::complain(&format!("{what} cannot be undone. Type yes to go on:"));
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
    if line.trim() != "yes" {
        bail!("nothing was done");
    }
    Ok(())
}

async fn rows<T: Serialize>(mut pages: Pages<T>, options: &Options, json: bool) -> anyhow::Result<()> {
    let mut left = if options.all { usize::MAX } else { options.limit };
    let mut shown: Vec<Value> = Vec::new();
    let mut written = 0_usize;
    let mut ended = Ok(());
    while left > 0 {
        let page = match pages.next_page().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => {
                ended = Err(error);
                break;
            }
        };
        for row in &page.skipped {
            output::complain(&format!("a row cannot be read, {}: {}", row.why, row.begins));
        }
        if let Some(host) = &page.foreign {
            output::complain(&format!("the next page lies on another host ({host}), which is not asked"));
        }
        for row in page.rows.iter().take(left) {
            let value = serde_json::to_value(row).context("a row cannot be shown")?;
            if json {
                let text = serde_json::to_string(&value).context("a row cannot be shown")?;
                output::print(&format!("{}{text}", if written == 0 { "[\n  " } else { ", " }))?;
            } else {
                shown.push(value);
            }
            written += 1;
        }
        left = left.saturating_sub(page.rows.len());
    }
    // What came before an error is good and is shown; a list that fails at once shows nothing.
    if json && (written > 0 || ended.is_ok()) {
        output::print(if written == 0 { "[]" } else { "]" })?;
    } else if !shown.is_empty() || ended.is_ok() {
        output::print(&table(&shown))?;
    }
    Ok::<(), Error>(ended?).map_err(Into::into)
}

/// The rows with a column for every key that any of them has a value for.
fn table(rows: &[Value]) -> String {
    let mut heads: Vec<&str> = Vec::new();
    for (key, value) in rows.iter().filter_map(Value::as_object).flatten() {
        let says_something = !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        if says_something && !heads.contains(&key.as_str()) {
            heads.push(key);
        }
    }
    if heads.is_empty() {
        return "nothing found".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(heads.iter().map(|head| reading::cell(row.get(head).unwrap_or(&Value::Null))));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_has_the_columns_that_say_something() {
        let rows =
            [json!({ "id": "1A", "name": null, "tags": [] }), json!({ "id": "1B", "seq": 7, "name": null })];
        assert_eq!(table(&rows), " ID  SEQ\n 1A  -\n 1B  7");
        assert_eq!(table(&[]), "nothing found");
    }
}

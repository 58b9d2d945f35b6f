//! Questions to a person at a terminal. They go to standard error, so that standard output stays an answer.

use std::io::{self, Write};

use anyhow::{Context, bail};
use rustix::termios::{self, LocalModes, OptionalActions};

/// Asks for a line; an empty one is the default, where there is one.
pub(super) fn text(question: &str, default: Option<&str>) -> anyhow::Result<String> {
    loop {
        let shown = default.filter(|default| !default.is_empty()).map(|default| format!(" [{default}]"));
        ask(&format!("{question}{}: ", shown.unwrap_or_default()))?;
        let line = line()?;
        match (line.is_empty(), default) {
            (false, _) => return Ok(line),
            (true, Some(default)) => return Ok(default.to_owned()),
            (true, None) => say("Something is needed here.")?,
        }
    }
}

/// Asks for a line that the terminal does not show.
pub(super) fn secret(question: &str) -> anyhow::Result<String> {
    ask(&format!("{question} (not shown): "))?;
    let stdin = io::stdin();
    let before = termios::tcgetattr(&stdin).context("the terminal cannot be asked")?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(&stdin, OptionalActions::Now, &hidden).context("the terminal cannot be changed")?;
    let line = line();
    termios::tcsetattr(&stdin, OptionalActions::Now, &before)
        .context("the terminal cannot be changed back")?;
    say("")?;
    let line = line?;
    if line.is_empty() {
        bail!("{question} is needed");
    }
    Ok(line)
}

/// Asks for one of several; its index.
pub(super) fn choose(question: &str, choices: &[&str]) -> anyhow::Result<usize> {
    list(choices)?;
    loop {
        let answer = text(question, Some("1"))?;
        match numbers(&answer, choices.len()).as_deref() {
            Some([index]) => return Ok(*index),
            _ => say(&format!("A number from 1 to {} is needed.", choices.len()))?,
        }
    }
}

/// Asks for some of several; their indexes, none for all.
pub(super) fn choose_several(question: &str, choices: &[&str]) -> anyhow::Result<Vec<usize>> {
    list(choices)?;
    loop {
        let answer = text(question, Some("all"))?;
        if answer == "all" {
            return Ok(Vec::new());
        }
        match numbers(&answer, choices.len()) {
            Some(indexes) => return Ok(indexes),
            None => say(&format!("Numbers from 1 to {} are needed, such as 1,3.", choices.len()))?,
        }
    }
}

/// Asks for yes or no; no by default.
pub(super) fn yes(question: &str) -> anyhow::Result<bool> {
    let answer = text(question, Some("no"))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Tells a person something between two questions.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr(), "{text}").context("cannot write to the terminal")
}

fn ask(question: &str) -> anyhow::Result<()> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}").and_then(|()| terminal.flush()).context("cannot write to the terminal")
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    if io::stdin().read_line(&mut line).context("the terminal cannot be read")? == 0 {
        bail!("the questions were left unanswered; nothing is written");
    }
    Ok(line.trim().to_owned())
}

fn list(choices: &[&str]) -> anyhow::Result<()> {
    for (choice, number) in choices.iter().zip(1..) {
        say(&format!("  {number}  {choice}"))?;
    }
    Ok(())
}

/// Numbers from 1 on, separated by commas or blanks, as indexes.
fn numbers(text: &str, most: usize) -> Option<Vec<usize>> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let indexes = words.map(|word| word.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < most));
    indexes.collect::<Option<Vec<_>>>().filter(|indexes| !indexes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_one_and_stay_within_the_list() {
        for (text, indexes) in [
            ("1", Some(vec![0])),
            ("1,3", Some(vec![0, 2])),
            (" 2 3 ", Some(vec![1, 2])),
            ("0", None),
            ("4", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(numbers(text, 3), indexes, "`{text}`");
        }
    }
}

//! The page about running the gateway explains every line that it may warn with, and none that it cannot.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::house::sources;

/// Rooms whose warnings no gateway in service gives.
const NOT_IN_SERVICE: [&str; 2] = ["simulate", "cli"];

#[test]
fn every_warning_is_explained() {
    let logged: BTreeSet<String> = sources()
        .iter()
        .filter(|(file, _)| !NOT_IN_SERVICE.iter().any(|room| file.starts_with(room)))
        .flat_map(|(_, text)| messages(text))
        .collect();
    let explained = explained();
    let unexplained: Vec<_> = logged.difference(&explained).collect();
    assert!(unexplained.is_empty(), "docs/operations.md says nothing of {unexplained:#?}");
    let unknown: Vec<_> = explained.difference(&logged).collect();
    assert!(unknown.is_empty(), "docs/operations.md explains what nobody says: {unknown:#?}");
}

/// The first cells of the page's last table.
fn explained() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| line | meaning").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" |").next().unwrap().trim_matches(['`', ' ']).to_owned());
    // A message that has backquotes itself stands between two of them.
    cells.map(|cell| if cell.starts_with("mirrors`") { format!("`{cell}") } else { cell }).collect()
}

/// The constant messages of a file's warnings and errors, tests left out.
fn messages(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let calls = ["tracing::warn!(", "tracing::error!("].into_iter().flat_map(|call| code.split(call).skip(1));
    calls.filter_map(last_literal).collect()
}

/// The last text literal of a macro's arguments, with its continued lines joined.
fn last_literal(arguments: &str) -> Option<String> {
    let (mut depth, mut literal, mut last) = (1, None::<String>, None);
    let mut chars = arguments.chars().peekable();
    while let Some(c) = chars.next() {
        match (&mut literal, c) {
            (Some(text), '\\') => match chars.next()? {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            (Some(_), '"') => last = literal.take(),
            (Some(text), c) => text.push(c),
            (None, '"') => literal = Some(String::new()),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) => {}
        }
        if depth == 0 {
            return last;
        }
    }
    None
}

//! The text of a configuration as TOML, each value with its place; it knows nothing of what keys mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use super::problem::{Place, Problems};

/// No configuration that a person writes is larger; a larger one is a mistake.
pub(super) const LONGEST: usize = 1024 * 1024;

/// After so many faults of syntax the rest says nothing new.
const MOST_SYNTAX_PROBLEMS: usize = 20;

/// A text that was read, with the offsets of its lines.
#[derive(Debug)]
pub(super) struct Text<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Text<'t> {
    /// The text with an index of its lines.
    pub(super) fn new(text: &'t str) -> Self {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, line_starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The line and column of a span's first byte.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= span.start);
        let line_start =
            line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let before = self.text.get(line_start..span.start).unwrap_or_default();
        Place::Text { line, column: before.chars().count() + 1 }
    }

    /// The table of the text; what cannot be read is reported, the rest is there.
    pub(super) fn parse(&self, problems: &mut Problems) -> (Spanned<DeTable<'t>>, Faults) {
        let (table, found) = DeTable::parse_recoverable(self.text);
        let mut faults = Faults::default();
        for fault in found.iter().take(MOST_SYNTAX_PROBLEMS) {
            let span = fault.span().unwrap_or(0..0);
            let place = self.place(&span);
            faults.any = true;
            if self.line(&span).trim_start().starts_with('[') {
                faults.displaced.get_or_insert(place.clone());
            }
            problems.add(place, "syntax", format!("this is not TOML: {}", fault.message()));
        }
        (table, faults)
    }

    fn line(&self, span: &Range<usize>) -> &str {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }
}

/// What faults of syntax leave in doubt.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Whether there are any: then a key that is not found may still have been written.
    pub(super) any: bool,
    /// From here on keys may have landed in another table than they were written in.
    pub(super) displaced: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = Text::new("a\nbé = 1\r\n\nx");
        for (at, line, column) in
            [(0, 1, 1), (1, 1, 2), (2, 2, 1), (5, 2, 3), (11, 3, 1), (12, 4, 1), (99, 4, 1)]
        {
            assert_eq!(text.place(&(at..at)), Place::Text { line, column }, "byte {at}");
        }
    }

    #[test]
    fn a_fault_of_syntax_has_a_place_and_the_rest_is_read() {
        let mut problems = Problems::new("f");
        let (table, faults) = Text::new("a = 1\nb = = 2\nc = 3\n").parse(&mut problems);
        assert_eq!((table.get_ref().len(), faults.any, faults.displaced), (3, true, None));
        let lines: Vec<_> = problems.lines().collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("f:2:")), "{lines:?}");
    }

    #[test]
    fn text_of_any_depth_is_read_without_running_out_of_stack() {
        for text in [
            format!("a{} = 1", ".a".repeat(400_000)),
            format!("[a{}]", ".a".repeat(400_000)),
            format!("a = {}", "[".repeat(1_000_000)),
            format!("a = {}", "{a=".repeat(300_000)),
        ] {
            let mut problems = Problems::new("f");
            let (_, faults) = Text::new(&text).parse(&mut problems);
            assert!(faults.any && !problems.is_empty());
        }
    }
}

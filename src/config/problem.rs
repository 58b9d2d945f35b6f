//! What is wrong with a configuration, where, and what would be right.

use std::fmt;

use serde::Serialize;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// The file as a whole.
    File,
    /// In the text, both counted from 1; columns in characters.
    Text {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In a variable of the environment.
    Variable {
        /// Its name.
        variable: String,
    },
    /// Nowhere: it is the default.
    Default,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which key.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong with one configuration, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// No problems of a file yet.
    #[must_use]
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), problems: Vec::new() }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// One more problem.
    pub fn add(&mut self, place: Place, key: impl fmt::Display, message: impl Into<String>) {
        self.problems.push(Problem { place, key: key.to_string(), message: message.into() });
    }

    /// Each problem as one line `FILE:LINE:COLUMN: KEY: MESSAGE`; a variable stands for its own place.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.problems.iter().map(|Problem { place, key, message }| match place {
            Place::File => format!("{}: {message}", self.file),
            Place::Text { line, column } => format!("{}:{line}:{column}: {key}: {message}", self.file),
            Place::Variable { variable } => format!("{variable}: {key}: {message}"),
            Place::Default => format!("{}:1:1: {key}: {message}", self.file),
        })
    }

    /// The order of the text, each problem once.
    pub(super) fn sort(&mut self) {
        self.problems.sort();
        self.problems.dedup();
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

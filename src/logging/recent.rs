//! The last warnings and errors, kept in memory for whoever looks at the gateway and not at its log.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::clock;
use crate::model::Timestamp;

/// So many are kept; the oldest go first.
const MOST: usize = 200;

/// The longest text of one field.
const LONGEST: usize = 1000;

/// The last warnings and errors. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<VecDeque<Line>>>);

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When.
    pub time: Timestamp,
    /// `warn` or `error`.
    pub level: &'static str,
    /// What happened.
    pub message: String,
    /// To what.
    pub fields: Map<String, Value>,
}

impl Recent {
    /// The lines, the newest last.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        // A panic under the lock leaves whole lines.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            _ => return,
        };
        let mut line = Line { time: clock::now(), level, message: String::new(), fields: Map::new() };
        event.record(&mut line);
        let mut lines = self.lock();
        while lines.len() >= MOST {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a text cannot fail; a value that does not print is left out.
        if write!(text, "{value:?}").is_ok() {
            self.keep(field.name(), &text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field.name(), value);
    }
}

impl Line {
    fn keep(&mut self, name: &str, text: &str) {
        let text: String = text.chars().take(LONGEST).collect();
        if name == "message" {
            self.message = text;
        } else {
            self.fields.insert(name.to_owned(), Value::String(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn the_last_two_hundred_warnings_are_kept_and_nothing_else() {
        let recent = Recent::default();
        let subscriber = tracing_subscriber::registry().with(recent.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("all is well");
            for number in 0..250 {
                tracing::warn!(number, "the disk is full");
            }
            tracing::error!(text = "x".repeat(5000), "gone");
        });
        let lines = recent.lines();
        assert_eq!(lines.len(), MOST);
        assert_eq!((lines[0].level, lines[0].message.as_str()), ("warn", "the disk is full"));
        assert_eq!(lines[0].fields["number"], "51");
        assert_eq!(lines[199].fields["text"].as_str().unwrap().len(), LONGEST);
    }
}

//! What is odd about a page that came: rows that cannot be read, and a next page that must not be asked for. The good
//! rows are taken all the same.

use std::sync::PoisonError;

use super::source::Room;
use crate::cloud::Page;

impl Room {
    /// Reports rows that could not be read, each once; says in one sentence what is odd about a page.
    pub(super) fn report<T>(&self, asked: &str, page: &Page<T>) -> Option<String> {
        for row in &page.skipped {
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            // Far more bad rows than any cloud has ever had; forgetting them costs a second report.
            if reported.len() >= 1000 {
                reported.clear();
            }
            let fresh = reported.insert(format!("{asked}{}", row.begins));
            drop(reported);
            if fresh {
                let source = self.name();
                tracing::warn!(%source, asked, why = row.why, row = row.begins, "a row cannot be read");
                let detail = serde_json::json!({ "source": source, "asked": asked, "why": row.why, "row": row.begins });
                self.tell("row_skipped", &detail);
            }
        }
        let skipped = page
            .skipped
            .first()
            .map(|row| format!("{} of the {asked} cannot be read: {}", rows(page.skipped.len()), row.why));
        let foreign = page.foreign.as_ref().map(|host| {
            format!("the next page of the {asked} lies on another host ({host}), which is not asked")
        });
        skipped.or(foreign)
    }
}

fn rows(count: usize) -> String {
    if count == 1 { "one row".to_owned() } else { format!("{count} rows") }
}

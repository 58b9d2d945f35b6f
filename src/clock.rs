//! The one place that reads the wall clock; everything that judges time takes it as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// The wall clock's time; 1970 where the clock stands before it.
#[must_use]
pub fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_1970)
}

//! What the studio keeps: tokens, and in each space its Things and categories. Plain state.

use std::collections::{BTreeMap, VecDeque};

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{not_found, refusal};
use crate::model::Timestamp;
use crate::simulate::answer::Refusal;

/// The studio keeps so many values of one action or event; older ones roll off.
pub(super) const KEPT: usize = 100;
/// So many spaces, Things, tokens and times of one property; one more is refused, or another one goes.
pub(super) const MOST: usize = 10_000;

/// Everything.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Studio {
    pub(super) tokens: BTreeMap<String, Timestamp>,
    spaces: BTreeMap<String, Space>,
    made: u64,
}

/// One space.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) things: BTreeMap<String, Thing>,
    pub(super) categories: BTreeMap<String, Value>,
}

/// The values of one action or event, each with its id.
pub(super) type Interactions = VecDeque<(String, Map<String, Value>)>;

/// One Thing.
#[derive(Debug, Default)]
pub(super) struct Thing {
    /// Its description as it was given, without what the studio adds.
    pub(super) document: Map<String, Value>,
    /// The current values of its properties.
    pub(super) status: Map<String, Value>,
    /// Earlier values, by property and time.
    pub(super) history: BTreeMap<String, BTreeMap<Timestamp, Value>>,
    /// Values of its actions and events by `actions/NAME` and `events/NAME`, oldest first.
    pub(super) interactions: BTreeMap<String, Interactions>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
}

impl Studio {
    pub(super) fn holds(&self, token: &str, now: Timestamp) -> bool {
        self.tokens.get(token).is_some_and(|end| now < *end)
    }

    /// A new identifier in the shape of a ULID.
    pub(super) fn new_id(&mut self) -> String {
        self.made += 1;
        format!("01JQ{:0>22}", self.made)
    }

    pub(super) fn space(&mut self, name: &str) -> &mut Space {
        if self.spaces.len() >= MOST && !self.spaces.contains_key(name) {
            self.spaces.pop_first();
        }
        self.spaces.entry(name.to_owned()).or_default()
    }

    pub(super) fn thing(&mut self, space: &str, uid: &str) -> Result<&mut Thing, Refusal> {
        self.space(space).things.get_mut(uid).ok_or_else(not_found)
    }
}

impl Thing {
    /// Takes a value over as the current one, and into the history where that is wanted.
    pub(super) fn set(&mut self, name: &str, value: &Value, now: Timestamp, in_history: bool) {
        self.status.insert(name.to_owned(), value.clone());
        self.modified = now;
        if !in_history {
            return;
        }
        let history = self.history.entry(name.to_owned()).or_default();
        history.insert(now, value.clone());
        if history.len() > MOST {
            history.pop_first();
        }
    }

    /// Writes a value into the history; 409 where that time is taken.
    pub(super) fn record(&mut self, name: &str, at: Timestamp, value: &Value) -> Result<(), Refusal> {
        let history = self.history.entry(name.to_owned()).or_default();
        if history.contains_key(&at) {
            return Err(refusal(StatusCode::CONFLICT, "Value already exists for that timestamp"));
        }
        history.insert(at, value.clone());
        if history.len() > MOST {
            history.pop_first();
        }
        Ok(())
    }

    /// Whether it describes this property, action or event; `kind` is `properties`, `actions` or `events`.
    pub(super) fn describes(&self, kind: &str, name: &str) -> bool {
        self.described(kind, name).is_some()
    }

    /// What it says about this property, action or event.
    pub(super) fn described(&self, kind: &str, name: &str) -> Option<&Value> {
        self.document.get(kind)?.get(name)
    }
}

//! What is kept by topic for whoever subscribes later, and how much memory all messages together may take. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::filter::Filter;
use super::message::Message;
use super::packet::Refusal;

/// No more topics are kept: about twenty for each of ten thousand devices.
const MOST_TOPICS: usize = 200_000;

/// All messages that are kept, waiting or on their way together.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// The memory that messages take, counted as long as anybody holds them.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// A message that counts.
#[derive(Debug)]
pub(super) struct Held {
    message: Message,
    budget: Budget,
}

impl Budget {
    /// Takes a message in.
    ///
    /// # Errors
    /// No room; a message without a payload, which clears a topic, always has it.
    pub(super) fn hold(&self, message: Message) -> Result<Arc<Held>, Refusal> {
        if self.0.load(Ordering::Relaxed) + message.size() > MOST_BYTES && !message.payload.is_empty() {
            return Err(Refusal::NoRoom);
        }
        self.0.fetch_add(message.size(), Ordering::Relaxed);
        Ok(Arc::new(Held { message, budget: self.clone() }))
    }
}

impl std::ops::Deref for Held {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.message.size(), Ordering::Relaxed);
    }
}

/// The message that each topic keeps.
#[derive(Debug, Default)]
pub(super) struct Retained(BTreeMap<String, Arc<Held>>);

impl Retained {
    /// Keeps a message instead of the one before; an empty one clears its topic.
    ///
    /// # Errors
    /// No room for another topic.
    pub(super) fn keep(&mut self, message: &Arc<Held>) -> Result<(), Refusal> {
        if message.payload.is_empty() {
            self.0.remove(&message.topic);
            return Ok(());
        }
        let is_full = self.0.len() >= MOST_TOPICS;
        match self.0.entry(message.topic.clone()) {
            Entry::Occupied(mut kept) => {
                kept.insert(Arc::clone(message));
            }
            Entry::Vacant(_) if is_full => return Err(Refusal::NoRoom),
            Entry::Vacant(free) => {
                free.insert(Arc::clone(message));
            }
        }
        Ok(())
    }

    /// What a filter matches, in order of topics.
    pub(super) fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Arc<Held>> {
        let prefix = filter.prefix();
        self.0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(topic, _)| topic.starts_with(prefix))
            .filter(|(topic, _)| filter.matches(topic))
            .map(|(_, message)| message)
    }

    pub(super) fn drop_expired(&mut self, now: Instant) {
        self.0.retain(|_, message| !message.is_expired(now));
    }
}

//! Every key that holds, flat, with its value and where it was said; still without judging what keys mean together.

use std::collections::BTreeMap;

use super::keys::{self, Absent, Section};
use super::path::KeyPath;
use super::problem::Place;
use super::value::Value;

/// What was said, and what holds because nothing was said.
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: BTreeMap<KeyPath, Setting>,
    tables: BTreeMap<KeyPath, Place>,
    faulty: BTreeMap<KeyPath, Place>,
    contents: BTreeMap<KeyPath, u64>,
}

/// A value and where it was said.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The value.
    pub(super) value: Value,
    /// Where.
    pub(super) place: Place,
}

impl Settings {
    /// A key is said to have a value; a later word replaces an earlier one.
    pub(super) fn say(&mut self, path: KeyPath, value: Value, place: Place) {
        self.faulty.remove(&path);
        self.values.insert(path, Setting { value, place });
    }

    /// What was said of a key no longer holds.
    pub(super) fn unsay(&mut self, path: &KeyPath) {
        self.values.remove(path);
        self.faulty.remove(path);
    }

    /// A key was written, but what it says is a problem that is reported already.
    pub(super) fn mark_faulty(&mut self, path: KeyPath, place: Place) {
        self.faulty.insert(path, place);
    }

    /// Whether a key's value is a problem that is reported already.
    pub(super) fn is_faulty(&self, path: &KeyPath) -> bool {
        self.faulty.contains_key(path)
    }

    /// Where somebody wrote a key, rightly or wrongly; none where nobody did.
    pub(super) fn written(&self, path: &KeyPath) -> Option<&Place> {
        let value = self.values.get(path).map(|setting| &setting.place);
        self.faulty.get(path).or(value).filter(|place| **place != Place::Default)
    }

    /// What the file that a key names holds, as a hash.
    pub(super) fn note_content(&mut self, path: KeyPath, hash: u64) {
        self.contents.insert(path, hash);
    }

    /// What the file that a key names held when it was read; none where it names none.
    pub(super) fn content(&self, path: &KeyPath) -> Option<u64> {
        self.contents.get(path).copied()
    }

    /// Every key that holds.
    pub(super) fn all(&self) -> impl Iterator<Item = (&KeyPath, &Setting)> {
        self.values.iter()
    }

    /// A table is there; the first word counts.
    pub(super) fn open(&mut self, table: KeyPath, place: Place) {
        self.tables.entry(table).or_insert(place);
    }

    /// A key's value.
    pub(super) fn value(&self, path: &KeyPath) -> Option<&Setting> {
        self.values.get(path)
    }

    /// Where a table begins; none if it is not there.
    pub(super) fn table(&self, path: &KeyPath) -> Option<&Place> {
        self.tables.get(path)
    }

    /// The path and place of a key that another room spells as text, segments joined by dots; else those of the
    /// innermost table around it.
    pub(super) fn spelled(&self, key: &str) -> Option<(KeyPath, Place)> {
        let text = |path: &KeyPath| path.segments().join(".");
        if let Some((path, setting)) = self.values.iter().find(|(path, _)| text(path) == key) {
            return Some((path.clone(), setting.place.clone()));
        }
        let around = |path: &KeyPath| {
            let rest = key.strip_prefix(&text(path));
            !path.segments().is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let (path, place) = self.tables.iter().rev().find(|(path, _)| around(path))?;
        Some((path.clone(), place.clone()))
    }

    /// The names directly inside a table that are tables, with their places.
    pub(super) fn tables_in(&self, table: &KeyPath) -> Vec<(String, Place)> {
        let inside = self.tables.iter().filter_map(|(path, place)| {
            let (parent, name) = path.split_last()?;
            (parent == *table).then(|| (name.to_owned(), place.clone()))
        });
        inside.collect()
    }

    /// The names directly inside a table that have values, in the order of the text.
    pub(super) fn values_in(&self, table: &KeyPath) -> Vec<(String, &Setting)> {
        let inside = self.values.iter().filter_map(|(path, setting)| {
            let (parent, name) = path.split_last()?;
            (parent == *table).then(|| (name.to_owned(), setting))
        });
        let mut inside: Vec<_> = inside.collect();
        inside.sort_by(|(_, a), (_, b)| a.place.cmp(&b.place));
        inside
    }

    /// The tables that a section is, as far as they are there: one, or one a name.
    pub(super) fn tables_of(&self, section: &Section) -> Vec<KeyPath> {
        let is_it = |path: &&KeyPath| keys::section(path).is_some_and(|found| std::ptr::eq(found, section));
        self.tables.keys().filter(is_it).cloned().collect()
    }

    /// Lets the defaults hold where nothing was said.
    pub(super) fn fill_in(&mut self) {
        for section in keys::SECTIONS {
            if section.always {
                self.open(KeyPath::of(section.path), Place::Default);
            }
            for table in self.tables_of(section) {
                for key in section.keys {
                    if let Absent::Default(text) = key.absent {
                        self.fill(table.join(key.name), key.kind.parse(text).ok());
                    }
                }
            }
        }
    }

    /// Lets a derived default hold where nothing was said.
    pub(super) fn fill(&mut self, path: KeyPath, value: Option<Value>) {
        if let Some(value) = value {
            self.values.entry(path).or_insert(Setting { value, place: Place::Default });
        }
    }
}

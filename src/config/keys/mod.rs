//! The one table of keys: what may be written, what it means, and what holds where it is not written.
//!
//! The check of unknown keys, the defaults, the JSON Schema, the printed configuration and the reference page are
//! all made from it. `table` holds the data.

mod table;

use super::path::KeyPath;
use super::value::Kind;

pub(super) use table::SECTIONS;

/// A table of the file and its keys.
#[derive(Debug)]
pub(super) struct Section {
    /// Its path; `*` stands for a name of the user's.
    pub(super) path: &'static str,
    /// Whether its defaults hold where it is not written.
    pub(super) always: bool,
    /// What it is, in one sentence.
    pub(super) doc: &'static str,
    /// Its keys, in the order in which they are shown.
    pub(super) keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name; `*` stands for any.
    pub(super) name: &'static str,
    /// What it accepts.
    pub(super) kind: Kind,
    /// What holds where it is not written.
    pub(super) absent: Absent,
    /// What it means, in one sentence.
    pub(super) doc: &'static str,
}

/// What holds where a key is not written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Absent {
    /// This value, spelled as a variable of the environment would.
    Default(&'static str),
    /// A value that depends on something else, in words.
    Derived(&'static str),
    /// Nothing.
    Nothing,
    /// It must be written, at least where the words say.
    Required,
}

/// What a path may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    /// A table.
    Table,
    /// A value of this key.
    Key(&'static Key),
    /// The path of a file that holds a secret.
    SecretFile,
}

/// The end of a key's name that makes it the path of a file with the secret.
pub(super) const FILE: &str = "_file";

/// What the table of keys says about a path; none: nothing may stand there.
pub(super) fn find(path: &KeyPath) -> Option<Known> {
    if SECTIONS.iter().any(|section| leads_to(path.segments(), section.path)) {
        return Some(Known::Table);
    }
    let (table, name) = path.split_last()?;
    let section = section(&table)?;
    let named = |name: &str| section.keys.iter().find(|key| key.name == name);
    if let Some(key) = named(name).or_else(|| named("*")) {
        return Some(Known::Key(key));
    }
    let key = named(name.strip_suffix(FILE)?)?;
    (key.kind == Kind::Secret).then_some(Known::SecretFile)
}

/// The section that a table is.
pub(super) fn section(table: &KeyPath) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| {
        let depth = section.path.split('.').filter(|segment| !segment.is_empty()).count();
        depth == table.segments().len() && leads_to(table.segments(), section.path)
    })
}

/// Every name that may stand in a table and is not the user's own choice.
pub(super) fn names_in(table: &KeyPath) -> Vec<String> {
    let mut names = Vec::new();
    for key in section(table).map(|section| section.keys).unwrap_or_default() {
        names.push(key.name.to_owned());
        if key.kind == Kind::Secret {
            names.push(format!("{}{FILE}", key.name));
        }
    }
    let depth = table.segments().len();
    for section in SECTIONS.iter().filter(|section| leads_to(table.segments(), section.path)) {
        names.extend(section.path.split('.').nth(depth).map(str::to_owned));
    }
    names.retain(|name| name != "*" && !name.is_empty());
    names.dedup();
    names
}

/// Of these names the one that is most like what was written, and whether it was likely meant.
pub(super) fn nearest<'n>(written: &str, names: &'n [String]) -> Option<(&'n str, bool)> {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(&written.to_lowercase(), name);
    let near = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    Some((near, likeness(near) >= 0.5))
}

/// Whether segments are the beginning of a section's path, or all of it.
fn leads_to(segments: &[String], pattern: &str) -> bool {
    let mut pattern = pattern.split('.').filter(|segment| !segment.is_empty());
    segments.iter().all(|segment| pattern.next().is_some_and(|name| name == "*" || name == segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for section in SECTIONS {
            for key in section.keys {
                if let Absent::Default(text) = key.absent {
                    assert!(key.kind.parse(text).is_ok(), "{}.{} = {text}", section.path, key.name);
                }
            }
        }
    }

    #[test]
    fn a_path_is_a_table_a_key_the_file_of_a_secret_or_nothing() {
        for (path, known) in [
            ("", "table"),
            ("version", "key"),
            ("sources", "table"),
            ("sources.factory", "table"),
            ("sources.factory.login", "key"),
            ("sources.factory.password_file", "file"),
            ("sources.factory.login_file", "nothing"),
            ("decoders.x.computed.dew_point", "key"),
            ("mqtt.discovery.mode", "key"),
            ("mqtt.discovery.mode.x", "nothing"),
            ("mqqt", "nothing"),
        ] {
            let found = match find(&KeyPath::of(path)) {
                Some(Known::Table) => "table",
                Some(Known::Key(_)) => "key",
                Some(Known::SecretFile) => "file",
                None => "nothing",
            };
            assert_eq!(found, known, "{path}");
        }
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (table, meant, name) in [
            ("", "sorces", "sources"),
            ("mqtt", "pasword_file", "password_file"),
            ("sources.a", "Poll", "poll"),
            ("store", "max-size", "max_size"),
        ] {
            assert_eq!(nearest(meant, &names_in(&KeyPath::of(table))), Some((name, true)));
        }
        assert_eq!(nearest("zzz", &names_in(&KeyPath::of("gateway"))).map(|(_, meant)| meant), Some(false));
        assert_eq!(nearest("x", &names_in(&KeyPath::of("sources"))), None);
    }
}

//! Holds every key of a text against the table of keys: unknown ones, wrong kinds, values out of range.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Known};
use super::path::KeyPath;
use super::problem::Problems;
use super::settings::Settings;
use super::text::Text;
use super::value::Kind;

/// Takes over what a text says; what is wrong with it is added to the problems.
pub(super) fn check(
    text: &Text<'_>,
    table: &Spanned<DeTable<'_>>,
    settings: &mut Settings,
    problems: &mut Problems,
) {
    Walk { text, settings, problems }.table(&KeyPath::default(), table.get_ref());
}

/// Says what a name that nobody knows is, and which one was most likely meant.
pub(super) fn unknown(path: &KeyPath) -> String {
    let Some((table, name)) = path.split_last() else { return String::new() };
    let names = keys::names_in(&table);
    match keys::nearest(name, &names) {
        Some((near, true)) => format!("is not a known key, did you mean `{near}`?"),
        Some((near, false)) => format!("is not a known key, the nearest one is `{near}`"),
        None => "is not a known key, expected none here".to_owned(),
    }
}

struct Walk<'a, 't> {
    text: &'a Text<'t>,
    settings: &'a mut Settings,
    problems: &'a mut Problems,
}

impl Walk<'_, '_> {
    /// Goes no deeper than the table of keys does.
    fn table(&mut self, path: &KeyPath, table: &DeTable<'_>) {
        for (name, value) in table {
            let key_place = self.text.place(&name.span());
            let path = path.join(name.get_ref());
            match keys::find(&path) {
                Some(Known::Table) => {
                    let DeValue::Table(inner) = value.get_ref() else {
                        self.problems.add(key_place, &path, "is a value, expected a table");
                        continue;
                    };
                    self.settings.open(path.clone(), key_place);
                    self.table(&path, inner);
                }
                Some(Known::Key(key)) => self.value(path, key.kind, value),
                Some(Known::SecretFile) => self.value(path, Kind::File, value),
                None => self.problems.add(key_place, &path, unknown(&path)),
            }
        }
    }

    fn value(&mut self, path: KeyPath, kind: Kind, value: &Spanned<DeValue<'_>>) {
        let place = self.text.place(&value.span());
        match kind.read(value.get_ref()) {
            Ok(value) => self.settings.say(path, value, place),
            Err(message) => {
                self.problems.add(place.clone(), &path, message);
                self.settings.mark_faulty(path, place);
            }
        }
    }
}

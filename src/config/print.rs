//! Prints the configuration in effect: every key that holds, secrets as `***`.

use serde_json::{Map, Value as Json};

use super::keys::{self, FILE, Key, Section};
use super::load::Loaded;
use super::path::KeyPath;
use super::problem::Place;
use super::settings::Setting;
use super::value::{Kind, Value};

impl Loaded {
    /// As TOML, in the order of the reference page; a comment says what was not written in the file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut toml = String::new();
        for section in keys::SECTIONS {
            for table in self.settings.tables_of(section) {
                if !table.segments().is_empty() {
                    toml.push_str(&format!("\n[{table}]\n"));
                }
                for (name, value, comment) in self.lines(section, &table) {
                    let comment = comment.map(|comment| format!("  # {comment}")).unwrap_or_default();
                    toml.push_str(&format!("{} = {value}{comment}\n", KeyPath::default().join(&name)));
                }
            }
        }
        toml
    }

    /// As one JSON object, nested as the file is; a secret from a file is shown beside the file's name.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        for section in keys::SECTIONS {
            for table in self.settings.tables_of(section) {
                for (name, value, _) in self.lines(section, &table) {
                    put(&mut object, table.segments(), name, value);
                }
                for key in section.keys.iter().filter(|key| key.kind == Kind::Secret) {
                    let name = format!("{}{FILE}", key.name);
                    if let Some(file) = self.settings.value(&table.join(&name)) {
                        put(&mut object, table.segments(), name, file.value.to_json());
                    }
                }
            }
        }
        Json::Object(object)
    }

    fn lines(&self, section: &Section, table: &KeyPath) -> Vec<(String, Json, Option<String>)> {
        let mut lines = Vec::new();
        for key in section.keys {
            if key.name == "*" {
                let values = self.settings.values_in(table);
                lines.extend(values.into_iter().map(|(name, setting)| line(name, setting)));
            } else {
                lines.extend(self.line_of(key, table));
            }
        }
        lines
    }

    fn line_of(&self, key: &Key, table: &KeyPath) -> Option<(String, Json, Option<String>)> {
        if let Some(setting) = self.settings.value(&table.join(key.name)) {
            return Some(line(key.name.to_owned(), setting));
        }
        let file = self.settings.value(&table.join(&format!("{}{FILE}", key.name)))?;
        let Value::Text(path) = &file.value else { return None };
        (key.kind == Kind::Secret)
            .then(|| (key.name.to_owned(), Json::from("***"), Some(format!("from {path}"))))
    }
}

fn line(name: String, setting: &Setting) -> (String, Json, Option<String>) {
    let comment = match &setting.place {
        Place::Default => Some("default".to_owned()),
        Place::Variable { variable } => Some(format!("from {variable}")),
        Place::File | Place::Text { .. } => None,
    };
    (name, setting.value.to_json(), comment)
}

/// Puts a value into the object of a table, which is made where it is not there yet.
fn put(object: &mut Map<String, Json>, table: &[String], name: String, value: Json) {
    match table.split_first() {
        None => {
            object.insert(name, value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first.clone()).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, name, value);
            }
        }
    }
}

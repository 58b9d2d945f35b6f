//! The table of keys as a JSON Schema, for editors and for programs that write configurations.

use serde_json::{Map, Value as Json, json};

use super::keys::{self, Absent, FILE, Key, SECTIONS, Section};
use super::path::KeyPath;
use super::value::{Kind, Value};

/// The JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn schema() -> Json {
    let mut schema = table_schema("");
    if let Json::Object(object) = &mut schema {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("Configuration of sigfox2mqtt"));
        object.insert("required".to_owned(), json!(["version", "sources"]));
    }
    schema
}

fn table_schema(pattern: &str) -> Json {
    let section = keys::section(&KeyPath::of(pattern)).filter(|section| section.path == pattern);
    let mut properties = Map::new();
    let mut others = Json::Bool(false);
    for key in section.map(|section| section.keys).unwrap_or_default() {
        if key.name == "*" {
            others = key_schema(key);
            continue;
        }
        properties.insert(key.name.to_owned(), key_schema(key));
        if key.kind == Kind::Secret {
            let doc = format!("The path of a file with `{}`.", key.name);
            properties.insert(format!("{}{FILE}", key.name), json!({ "type": "string", "description": doc }));
        }
    }
    for (name, path) in tables_below(pattern) {
        if name == "*" {
            others = table_schema(&path);
        } else {
            properties.insert(name, table_schema(&path));
        }
    }
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": others });
    if let (Some(section), Json::Object(object)) = (section, &mut object) {
        object.insert("description".to_owned(), json!(section.doc));
    }
    object
}

/// The next names below a table's path, each with its own path, once.
fn tables_below(pattern: &str) -> Vec<(String, String)> {
    let prefix = if pattern.is_empty() { String::new() } else { format!("{pattern}.") };
    let below = |section: &Section| {
        let name = section.path.strip_prefix(&prefix)?.split('.').next()?;
        (!name.is_empty()).then(|| (name.to_owned(), format!("{prefix}{name}")))
    };
    let mut tables: Vec<_> = SECTIONS.iter().filter_map(below).collect();
    tables.dedup();
    tables
}

fn key_schema(key: &Key) -> Json {
    let mut schema = match key.kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(least, i64::MAX) => json!({ "type": "integer", "minimum": least }),
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
        Kind::Name => json!({ "type": "string", "pattern": "^[a-z0-9_-]{1,32}$" }),
        Kind::Duration(_) => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$" }),
        Kind::Size(_) => json!({ "type": "string", "pattern": "^[0-9]+ *([KMGTkmgt]?[Ii]?[Bb])$" }),
        Kind::Rate => json!({ "type": "string", "pattern": "^[0-9]+/[0-9]*[a-z]+$" }),
        Kind::Url(schemes) => json!({ "type": "string", "pattern": format!("^({})://", schemes.join("|")) }),
        Kind::Secret => json!({ "type": "string", "minLength": 1, "writeOnly": true }),
        Kind::Text | Kind::Schedule | Kind::Address | Kind::Topic | Kind::File => {
            json!({ "type": "string", "minLength": 1 })
        }
    };
    if let Json::Object(object) = &mut schema {
        object.insert("description".to_owned(), json!(key.doc));
        if let Absent::Default(text) = key.absent {
            let default = key.kind.parse(text).as_ref().map(Value::to_json).unwrap_or(Json::Null);
            object.insert("default".to_owned(), default);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_schema_with_its_sentence() {
        let schema = schema();
        for section in SECTIONS {
            let table =
                section.path.split('.').filter(|name| !name.is_empty()).fold(&schema, |table, name| {
                    if name == "*" { &table["additionalProperties"] } else { &table["properties"][name] }
                });
            for key in section.keys {
                let found = if key.name == "*" {
                    &table["additionalProperties"]
                } else {
                    &table["properties"][key.name]
                };
                assert_eq!(found["description"], key.doc, "{}.{}", section.path, key.name);
            }
        }
        assert_eq!(schema["properties"]["mqtt"]["properties"]["max_inflight"]["default"], 100);
        assert_eq!(schema["properties"]["sources"]["additionalProperties"]["additionalProperties"], false);
    }
}

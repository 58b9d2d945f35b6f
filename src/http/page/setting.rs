//! The settings in effect, defaults included and secrets hidden, a panel for each table of the configuration.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::words;

/// How many tables are shown; a thousand devices may have one each.
const TABLES: usize = 100;

/// A table of the configuration.
#[derive(Debug, PartialEq)]
struct Table<'a> {
    /// As it stands between brackets in the file; empty for the keys before the first table.
    name: String,
    keys: Vec<(&'a str, &'a Value)>,
}

/// The section.
pub(super) fn section(settings: &Value) -> Markup {
    let tables = settings.as_object().map(|settings| tables("", settings)).unwrap_or_default();
    html! {
        section aria-labelledby="settings" {
            h2 #settings { "Settings in effect" }
            div.columns {
                @for table in tables.iter().filter(|table| !table.name.is_empty()).take(TABLES) {
                    div.panel {
                        h3 { code { "[" (table.name) "]" } }
                        dl.facts.keys {
                            @for (key, value) in &table.keys { dt { code { (key) } } dd { (words::written(value)) } }
                        }
                    }
                }
            }
            @if tables.len() > TABLES { p.hint { "And more; " code { "sigfox2mqtt config" } " prints all of them." } }
        }
    }
}

/// A table that holds keys, then the tables in it.
fn tables<'a>(name: &str, settings: &'a Map<String, Value>) -> Vec<Table<'a>> {
    let keys = settings.iter().filter(|(_, value)| !value.is_object());
    let own = Table { name: name.to_owned(), keys: keys.map(|(key, value)| (key.as_str(), value)).collect() };
    let inner = settings.iter().filter_map(|(key, value)| Some((key, value.as_object()?)));
    let inner = inner.flat_map(|(key, value)| {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        tables(&name, value)
    });
    Some(own).filter(|own| !own.keys.is_empty()).into_iter().chain(inner).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_table_stands_by_its_whole_name() {
        let settings = json!({
            "version": 1,
            "sources": { "factory": { "kind": "sigfox", "device_types": ["*"] } },
            "mqtt": { "base": "b", "discovery": { "mode": "off" } },
        });
        let found = tables("", settings.as_object().unwrap());
        let names: Vec<_> = found.iter().map(|table| (table.name.as_str(), table.keys.len())).collect();
        assert_eq!(names, [("", 1), ("sources.factory", 2), ("mqtt", 1), ("mqtt.discovery", 1)]);
    }
}

//! A Thing as the studio lists it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::value::time;
use crate::cloud::row::{Json, Row};
use crate::model::Timestamp;

/// A Thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thing {
    /// Its identifier, given by the studio.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// The categories that it is in.
    pub categories: Vec<String>,
    /// Its `@type`s.
    pub types: Vec<String>,
    /// The current value of each property.
    pub status: Map<String, Value>,
    /// What is said about each property.
    pub properties: Map<String, Value>,
    /// What is said about each action.
    pub actions: Map<String, Value>,
    /// What is said about each event.
    pub events: Map<String, Value>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
}

pub(super) fn thing(value: &Json<'_>) -> Result<Thing, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let object = |key: &str| row.value(key).and_then(Json::as_object).map(Map::from).unwrap_or_default();
    let texts = |key: &str| match row.value(key) {
        Some(Json::Array(list)) => list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        Some(Json::Str(one)) => vec![one.clone().into_owned()],
        _ => Vec::new(),
    };
    Ok(Thing {
        uid: row.name("uid").ok_or("it has no uid")?,
        title: row.text("title").unwrap_or_default(),
        description: row.name("description"),
        categories: texts("categories"),
        types: texts("@type"),
        status: object("status"),
        properties: object("properties"),
        actions: object("actions"),
        events: object("events"),
        created: time(row, "created"),
        modified: time(row, "modified"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_read_as_the_service_prints_it() {
        let value = serde_json::from_str(include_str!("../../../tests/fixtures/altair/thing.json")).unwrap();
        let thing = thing(&value).unwrap();
        assert_eq!((thing.uid.as_str(), thing.title.as_str()), ("01JQ0000000000000000TH0001", "tank-07"));
        assert_eq!(
            (thing.categories, thing.types),
            (vec!["sigfox".to_owned()], vec!["SigfoxDevice".to_owned()])
        );
        assert_eq!(thing.status.get("sigfoxId"), Some(&Value::from("1A2345")));
        assert_eq!(thing.modified.map(|time| time.to_string()).as_deref(), Some("2026-03-01T09:38:11.123Z"));
    }
}

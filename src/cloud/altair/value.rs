//! Values of properties: the current ones, and those of a moment.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Altair;
use super::client::{A_PAGE, about};
use crate::cloud::api::{Call, Read, done};
use crate::cloud::page::Pages;
use crate::cloud::row::{Json, Row};
use crate::model::Timestamp;

/// The values of properties at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The value of each property.
    pub properties: Map<String, Value>,
}

impl Altair {
    /// The current values (`GET …/properties`), or that of one property.
    #[must_use]
    pub fn properties(&self, uid: &str, property: Option<&str>) -> Call<Map<String, Value>> {
        match property {
            Some(name) => {
                let path = ["things", uid, "properties", name];
                self.call(Method::GET, &path, None, format!("property {name} of {}", about(uid)), OBJECT)
            }
            None => self.call(Method::GET, &["things", uid, "properties"], None, about(uid), OBJECT),
        }
    }

    /// Sets current values (`PUT …/properties`); with `in_history` they are also kept as history of now.
    #[must_use]
    pub fn set_properties(&self, uid: &str, values: Map<String, Value>, in_history: bool) -> Call<()> {
        let query = [("update_history", "false".to_owned())];
        let query = if in_history { &[][..] } else { &query[..] };
        let (path, body) = (["things", uid, "properties"], Some(Value::Object(values)));
        self.call_with_query(Method::PUT, &path, query, body, about(uid), done)
    }

    /// What is kept of all properties or of one (`GET …/properties-history`), in the studio's order.
    #[must_use]
    pub fn history(&self, uid: &str, property: Option<&str>) -> Pages<Moment> {
        let query = [("limit", A_PAGE.to_string())];
        let path = [&["things", uid, "properties-history"], property.as_slice()].concat();
        self.list(&path, &query, format!("history of {}", about(uid)), moment)
    }

    /// Keeps values of past moments (`POST …/properties-history`). 409 says that one of them is kept already.
    #[must_use]
    pub fn add_history(&self, uid: &str, moments: &[Moment]) -> Call<()> {
        let body = match moments {
            [one] => json!(one),
            many => json!(many),
        };
        self.call(Method::POST, &["things", uid, "properties-history"], Some(body), about(uid), done)
    }
}

const OBJECT: Read<Map<String, Value>> =
    |value| value.as_object().map(Map::from).ok_or_else(|| "it is no object".to_owned());

fn moment(value: &Json<'_>) -> Result<Moment, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let at = time(row, "at").ok_or("it has no readable time")?;
    let properties = row.value("properties").and_then(Json::as_object).map(Map::from);
    Ok(Moment { at, properties: properties.ok_or("it has no properties")? })
}

/// A time in RFC 3339, or with a blank and an offset without a colon, as actions and events have it; some answers
/// of credentials end it with a comma.
pub(super) fn time(row: Row<'_>, key: &str) -> Option<Timestamp> {
    row.text(key)?.trim_end_matches(',').trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_shape_of_the_service() {
        for (text, expected) in [
            ("2026-03-01T09:38:11Z", Some("2026-03-01T09:38:11.000Z")),
            ("2026-03-01T09:38:11.123456Z", Some("2026-03-01T09:38:11.123Z")),
            ("2022-06-02 15:37:46+0000", Some("2022-06-02T15:37:46.000Z")),
            ("2022-06-02 17:37:46+0200", Some("2022-06-02T15:37:46.000Z")),
            ("2022-06-02T15:37:46.123456789+02:00,", Some("2022-06-02T13:37:46.123Z")),
            ("2022-06-02T15:37:46", None),
            ("yesterday", None),
            ("", None),
        ] {
            let value = json!({ "at": text });
            let found = time(Row::of(&Json::from(&value)).unwrap(), "at").map(|time| time.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}

//! Actions, which somebody asks a Thing to do, and events, which it reports.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Altair;
use super::client::about;
use super::value::time;
use crate::cloud::api::{Call, done};
use crate::cloud::page::Pages;
use crate::cloud::row::{Json, Row};
use crate::model::Timestamp;

/// The studio keeps so many values of an action or event.
const KEPT: u32 = 100;

/// What a Thing was asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// Which of its actions.
    pub name: String,
    /// Its identifier.
    pub id: String,
    /// `pending`, `completed`, or another word.
    pub status: String,
    /// What was given with it.
    pub input: Value,
    /// What came of it.
    pub output: Value,
    /// When it was asked for.
    pub requested: Option<Timestamp>,
    /// When it was finished.
    pub completed: Option<Timestamp>,
}

/// What a Thing has reported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Which of its events.
    pub name: String,
    /// Its identifier.
    pub id: String,
    /// What was reported.
    pub data: Value,
    /// When.
    pub time: Option<Timestamp>,
}

impl Altair {
    /// What a Thing was asked to do (`GET …/actions`), or of one action only. The newest hundred are kept.
    #[must_use]
    pub fn actions(&self, uid: &str, action: Option<&str>) -> Pages<Action> {
        let path = [&["things", uid, "actions"], action.as_slice()].concat();
        self.list(&path, &[("limit", KEPT.to_string())], format!("actions of {}", about(uid)), read_action)
    }

    /// Asks a Thing to do something (`POST …/actions/{action}`).
    #[must_use]
    pub fn create_action(&self, uid: &str, action: &str, input: &Value) -> Call<Action> {
        let body = json!({ action: { "input": input } });
        let asked = format!("action {action} of {}", about(uid));
        self.call(Method::POST, &["things", uid, "actions", action], Some(body), asked, read_action)
    }

    /// Says how an action has ended (`PUT …/actions/{action}/{id}`).
    #[must_use]
    pub fn finish_action(
        &self,
        uid: &str,
        (action, id): (&str, &str),
        status: &str,
        output: Option<Value>,
    ) -> Call<()> {
        let mut change = Map::from_iter([("status".to_owned(), Value::from(status))]);
        change.extend(output.map(|output| ("output".to_owned(), output)));
        let asked = format!("action {id} of {}", about(uid));
        let path = ["things", uid, "actions", action, id];
        self.call(Method::PUT, &path, Some(json!({ action: change })), asked, done)
    }

    /// What a Thing has reported (`GET …/events`), or of one event only. The newest hundred are kept.
    #[must_use]
    pub fn events(&self, uid: &str, event: Option<&str>) -> Pages<Event> {
        let path = [&["things", uid, "events"], event.as_slice()].concat();
        self.list(&path, &[("limit", KEPT.to_string())], format!("events of {}", about(uid)), read_event)
    }

    /// Reports something (`POST …/events/{event}`).
    #[must_use]
    pub fn create_event(&self, uid: &str, event: &str, data: &Value) -> Call<Event> {
        let body = json!({ event: { "data": data } });
        let asked = format!("event {event} of {}", about(uid));
        self.call(Method::POST, &["things", uid, "events", event], Some(body), asked, read_event)
    }
}

/// The name and the value of `{"NAME": {…}}`, and the id that its `href` ends with: it stands nowhere else.
fn named<'a>(value: &'a Json<'a>) -> Result<(String, Row<'a>, String), String> {
    let (name, value) = value.as_object().and_then(|object| object.iter().next()).ok_or("it has no name")?;
    let row = Row::of(value).ok_or("its value is no object")?;
    let href = row.name("href").ok_or("it has no href")?;
    let id = href.rsplit('/').find(|segment| !segment.is_empty()).ok_or("its href is empty")?.to_owned();
    Ok((name.to_owned(), row, id))
}

fn read_action(value: &Json<'_>) -> Result<Action, String> {
    let (name, row, id) = named(value)?;
    Ok(Action {
        name,
        id,
        status: row.text("status").unwrap_or_default(),
        input: row.value("input").map(Value::from).unwrap_or_default(),
        output: row.value("output").map(Value::from).unwrap_or_default(),
        requested: time(row, "timeRequested"),
        completed: time(row, "timeCompleted"),
    })
}

fn read_event(value: &Json<'_>) -> Result<Event, String> {
    let (name, row, id) = named(value)?;
    Ok(Event {
        name,
        id,
        data: row.value("data").map(Value::from).unwrap_or_default(),
        time: time(row, "timestamp"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_with_the_id_that_its_address_ends_with() {
        let href = "/beta/spaces/space01/things/TH1/actions/downlink/AC1";
        let pending = json!({ "downlink": {
            "input": "0102", "status": "pending", "timeRequested": "2026-03-01 15:30:10+0000", "href": href,
        } });
        let action = read_action(&(&pending).into()).unwrap();
        assert_eq!(
            (action.name.as_str(), action.id.as_str(), &action.input),
            ("downlink", "AC1", &json!("0102"))
        );
        assert_eq!(action.completed, None);
        for (value, why) in [
            (json!([]), "it has no name"),
            (json!({ "downlink": 7 }), "its value is no object"),
            (json!({ "downlink": { "status": "pending" } }), "it has no href"),
            (json!({ "downlink": { "href": "///" } }), "its href is empty"),
        ] {
            assert_eq!(read_action(&(&value).into()).unwrap_err(), why, "{value}");
        }
    }
}

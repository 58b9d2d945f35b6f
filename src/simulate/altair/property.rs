//! Properties of a Thing: their current values and their history.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::studio::Thing;
use super::{not_found, page_of, refusal};
use crate::clock;
use crate::model::Timestamp;
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;

/// `GET …/properties`.
pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
) -> Answer {
    Ok(Json(Value::Object(shared.studio().thing(&space, &uid)?.status.clone())))
}

/// `PUT …/properties`; `update_history=false` keeps no history.
pub(super) async fn set(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
    question: Question,
    Json(values): Json<Map<String, Value>>,
) -> Answer {
    let in_history = question.parameter("update_history") != Some("false");
    let mut studio = shared.studio();
    let thing = studio.thing(&space, &uid)?;
    all_described(thing, &values)?;
    let now = clock::now();
    for (name, value) in &values {
        thing.set(name, value, now, in_history);
    }
    Ok(Json(Value::Object(values)))
}

/// Only properties that are described have values, and only of the type that is described.
fn all_described(thing: &Thing, values: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, value) in values {
        let property = thing.described("properties", name);
        let property =
            property.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, &format!("no property {name}")))?;
        let fits = match property.get("type").and_then(Value::as_str) {
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("string") => value.is_string(),
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            _ => true,
        };
        if !fits && !value.is_null() {
            return Err(refusal(StatusCode::BAD_REQUEST, &format!("{name} is of another type")));
        }
    }
    Ok(())
}

/// `GET …/properties/{name}`.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, name)): Path<(String, String, String)>,
) -> Answer {
    let mut studio = shared.studio();
    let value = studio.thing(&space, &uid)?.status.get(&name).ok_or_else(not_found)?;
    Ok(Json(json!({ name: value })))
}

/// `PUT …/properties/{name}`.
pub(super) async fn set_one(
    shared: State<Arc<Shared>>,
    Path((space, uid, name)): Path<(String, String, String)>,
    question: Question,
    Json(values): Json<Map<String, Value>>,
) -> Answer {
    if !values.contains_key(&name) || values.len() != 1 {
        return Err(refusal(StatusCode::BAD_REQUEST, "expected exactly that property"));
    }
    set(shared, Path((space, uid)), question, Json(values)).await
}

/// Values of one moment.
#[derive(Debug, Deserialize)]
struct Moment {
    at: Timestamp,
    properties: Map<String, Value>,
}

/// `POST …/properties-history`: one moment or a list of them; 409 where one of them is taken.
pub(super) async fn record(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Result<StatusCode, Refusal> {
    let moments = if body.is_array() { body } else { Value::Array(vec![body]) };
    let wrong = |_| refusal(StatusCode::BAD_REQUEST, "expected at and properties");
    let moments: Vec<Moment> = serde_json::from_value(moments).map_err(wrong)?;
    let mut studio = shared.studio();
    let thing = studio.thing(&space, &uid)?;
    for Moment { at, properties } in &moments {
        all_described(thing, properties)?;
        for (name, value) in properties {
            thing.record(name, *at, value)?;
        }
    }
    Ok(StatusCode::CREATED)
}

/// `GET …/properties-history`: newest first.
pub(super) async fn history(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
    question: Question,
) -> Answer {
    let rows = moments(shared.studio().thing(&space, &uid)?, |_| true);
    page_of(&question, rows)
}

/// `GET …/properties-history/{name}`.
pub(super) async fn history_of(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, name)): Path<(String, String, String)>,
    question: Question,
) -> Answer {
    let rows = moments(shared.studio().thing(&space, &uid)?, |property| property == name);
    page_of(&question, rows)
}

fn moments(thing: &Thing, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let mut by_time = std::collections::BTreeMap::<Timestamp, Map<String, Value>>::new();
    for (name, values) in thing.history.iter().filter(|(name, _)| wanted(name)) {
        for (at, value) in values {
            by_time.entry(*at).or_default().insert(name.clone(), value.clone());
        }
    }
    by_time.into_iter().rev().map(|(at, properties)| json!({ "at": at, "properties": properties })).collect()
}

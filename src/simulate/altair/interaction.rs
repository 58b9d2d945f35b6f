//! Actions and events of a Thing: the newest hundred values of each, named by their kind.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::studio::{KEPT, Thing};
use super::{not_found, page_of, refusal};
use crate::clock;
use crate::model::Timestamp;
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;

/// `actions` or `events`; anything else is no path of the API.
fn checked(kind: &str) -> Result<(), Refusal> {
    if matches!(kind, "actions" | "events") { Ok(()) } else { Err(not_found()) }
}

/// A time as actions and events print it: a blank, and no colon in the offset.
fn printed(time: Timestamp) -> String {
    let text = time.to_string();
    let seconds = text.split_once('.').map_or(text.as_str(), |(seconds, _)| seconds);
    format!("{}+0000", seconds.replace('T', " "))
}

/// `GET …/actions` and `GET …/events`: newest first.
pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, kind)): Path<(String, String, String)>,
    question: Question,
) -> Answer {
    checked(&kind)?;
    let rows = rows(shared.studio().thing(&space, &uid)?, &kind, None);
    page_of(&question, rows)
}

/// `GET …/actions/{name}` and `GET …/events/{name}`.
pub(super) async fn of_name(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, kind, name)): Path<(String, String, String, String)>,
    question: Question,
) -> Answer {
    checked(&kind)?;
    let rows = rows(shared.studio().thing(&space, &uid)?, &kind, Some(&name));
    page_of(&question, rows)
}

fn rows(thing: &Thing, kind: &str, only: Option<&str>) -> Vec<Value> {
    let mut values: Vec<(&String, &str, &Map<String, Value>)> = Vec::new();
    for (key, entries) in &thing.interactions {
        let name = key.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
        if let Some(name) = name.filter(|name| only.is_none_or(|only| only == *name)) {
            values.extend(entries.iter().map(|(id, value)| (id, name, value)));
        }
    }
    // Ids count up, so their order is that of time.
    values.sort_by(|(left, ..), (right, ..)| right.cmp(left));
    values.into_iter().map(|(_, name, value)| json!({ name: value })).collect()
}

/// `POST …/actions/{name}` with `input`, `POST …/events/{name}` with `data`.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, kind, name)): Path<(String, String, String, String)>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Refusal> {
    checked(&kind)?;
    let given =
        body.get(&name).ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "expected that name as the key"))?;
    let mut studio = shared.studio();
    let id = studio.new_id();
    let thing = studio.thing(&space, &uid)?;
    if !thing.describes(&kind, &name) {
        return Err(not_found());
    }
    let now = printed(clock::now());
    let mut value = Map::new();
    if kind == "actions" {
        if let Some(input) = given.get("input") {
            value.insert("input".to_owned(), input.clone());
        }
        value.insert("status".to_owned(), json!("pending"));
        value.insert("timeRequested".to_owned(), json!(now));
    } else {
        value.insert("data".to_owned(), given.get("data").cloned().unwrap_or_else(|| given.clone()));
        value.insert("timestamp".to_owned(), json!(now));
    }
    let href = format!("/beta/spaces/{space}/things/{uid}/{kind}/{name}/{id}");
    value.insert("href".to_owned(), json!(href));
    let answer = json!({ name.as_str(): value });
    let entries = thing.interactions.entry(format!("{kind}/{name}")).or_default();
    if entries.len() >= KEPT {
        entries.pop_front();
    }
    entries.push_back((id, value));
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

type OnePath = Path<(String, String, String, String, String)>;

/// `GET …/actions/{name}/{id}`.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, kind, name, id)): OnePath,
) -> Answer {
    let mut studio = shared.studio();
    let value = entry(studio.thing(&space, &uid)?, &kind, &name, &id)?;
    Ok(Json(json!({ name: value })))
}

/// `PUT …/actions/{name}/{id}`: finishes an action.
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, kind, name, id)): OnePath,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    let changes = body.get(&name).and_then(Value::as_object);
    let changes = changes.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "expected that name as the key"))?;
    let mut studio = shared.studio();
    let value = entry(studio.thing(&space, &uid)?, &kind, &name, &id)?;
    for key in ["status", "output"] {
        if let Some(new) = changes.get(key) {
            value.insert(key.to_owned(), new.clone());
        }
    }
    if value.get("status").and_then(Value::as_str) != Some("pending") {
        value.insert("timeCompleted".to_owned(), json!(printed(clock::now())));
    }
    Ok(Json(json!({ name: value })))
}

/// `DELETE …/actions/{name}/{id}`.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((space, uid, kind, name, id)): OnePath,
) -> Result<StatusCode, Refusal> {
    let mut studio = shared.studio();
    let thing = studio.thing(&space, &uid)?;
    entry(thing, &kind, &name, &id)?;
    if let Some(entries) = thing.interactions.get_mut(&format!("{kind}/{name}")) {
        entries.retain(|(own, _)| *own != id);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn entry<'a>(
    thing: &'a mut Thing,
    kind: &str,
    name: &str,
    id: &str,
) -> Result<&'a mut Map<String, Value>, Refusal> {
    checked(kind)?;
    let entries = thing.interactions.get_mut(&format!("{kind}/{name}")).ok_or_else(not_found)?;
    entries.iter_mut().find(|(own, _)| own == id).map(|(_, value)| value).ok_or_else(not_found)
}

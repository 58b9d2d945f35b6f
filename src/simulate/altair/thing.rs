//! Things: made, found by filters, patched, deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::studio::{MOST, Thing};
use super::{not_found, page_of, refusal};
use crate::clock;
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;

/// The Thing with what the studio adds to its description.
fn row(space: &str, uid: &str, thing: &Thing) -> Value {
    let mut row = Map::new();
    row.insert("uid".to_owned(), json!(uid));
    row.insert("id".to_owned(), json!(format!("https://api.swx.altairone.com/spaces/{space}/things/{uid}")));
    row.extend(thing.document.clone());
    for absent in ["properties", "actions", "events"] {
        row.entry(absent).or_insert_with(|| json!({}));
    }
    // The older address that documents and tests of the real service still show.
    let link = json!({ "href": format!("/beta/spaces/{space}/things/{uid}"), "rel": "self" });
    row.insert("links".to_owned(), json!([link]));
    row.insert("status".to_owned(), Value::Object(thing.status.clone()));
    row.insert("created".to_owned(), json!(thing.created));
    row.insert("modified".to_owned(), json!(thing.modified));
    Value::Object(row)
}

/// What a description brings with it: constants have their value from the start, other properties null.
fn described(document: Map<String, Value>) -> Result<Thing, Refusal> {
    if !document.get("title").is_some_and(Value::is_string) {
        return Err(refusal(StatusCode::BAD_REQUEST, "title is required"));
    }
    let now = clock::now();
    let mut thing = Thing { document, created: now, modified: now, ..Thing::default() };
    thing.status = initial_status(&thing.document);
    Ok(thing)
}

fn initial_status(document: &Map<String, Value>) -> Map<String, Value> {
    let properties = document.get("properties").and_then(Value::as_object);
    let value = |property: &Value| property.get("const").cloned().unwrap_or(Value::Null);
    properties.into_iter().flatten().map(|(name, property)| (name.clone(), value(property))).collect()
}

/// `POST …/things`.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(space): Path<String>,
    Json(document): Json<Map<String, Value>>,
) -> Result<Response, Refusal> {
    insert(&shared, &space, document)
}

/// `POST …/categories/{category}/things`.
pub(super) async fn create_in_category(
    State(shared): State<Arc<Shared>>,
    Path((space, category)): Path<(String, String)>,
    Json(mut document): Json<Map<String, Value>>,
) -> Result<Response, Refusal> {
    if !shared.studio().space(&space).categories.contains_key(&category) {
        return Err(not_found());
    }
    document.insert("categories".to_owned(), json!([category]));
    insert(&shared, &space, document)
}

fn insert(shared: &Shared, space: &str, document: Map<String, Value>) -> Result<Response, Refusal> {
    let thing = described(document)?;
    let mut studio = shared.studio();
    let uid = studio.new_id();
    let things = &mut studio.space(space).things;
    if things.len() >= MOST {
        return Err(refusal(StatusCode::FORBIDDEN, "too many things"));
    }
    let answer = row(space, &uid, &thing);
    things.insert(uid, thing);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET …/things` by `title`, `@type`, `category` and `property:NAME=eq:VALUE`.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(space): Path<String>,
    question: Question,
) -> Answer {
    page_of(&question, rows(&shared, &space, |thing| matches(thing, &question)))
}

/// `GET …/categories/{category}/things`.
pub(super) async fn list_of_category(
    State(shared): State<Arc<Shared>>,
    Path((space, category)): Path<(String, String)>,
    question: Question,
) -> Answer {
    let is_in = |thing: &Thing| lists(thing, "categories", &category) && matches(thing, &question);
    page_of(&question, rows(&shared, &space, is_in))
}

fn rows(shared: &Shared, space: &str, wanted: impl Fn(&Thing) -> bool) -> Vec<Value> {
    let mut studio = shared.studio();
    let things = studio.space(space).things.iter();
    things.filter(|(_, thing)| wanted(thing)).map(|(uid, thing)| row(space, uid, thing)).collect()
}

/// Whether a key of a description holds a text, alone or in a list.
fn lists(thing: &Thing, key: &str, wanted: &str) -> bool {
    match thing.document.get(key) {
        Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(wanted)),
        Some(value) => value.as_str() == Some(wanted),
        None => false,
    }
}

fn matches(thing: &Thing, question: &Question) -> bool {
    question.parameters().all(|(name, wanted)| match name {
        "title" => lists(thing, "title", wanted),
        "@type" => lists(thing, "@type", wanted),
        "category" | "category[]" => lists(thing, "categories", wanted),
        _ => name.strip_prefix("property:").is_none_or(|property| {
            let wanted = wanted.strip_prefix("eq:").unwrap_or(wanted);
            let value = thing.status.get(property);
            value.is_some_and(|value| {
                value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned) == wanted
            })
        }),
    })
}

/// `GET …/things/{thing}`.
pub(super) async fn thing(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
) -> Answer {
    Ok(Json(row(&space, &uid, shared.studio().thing(&space, &uid)?)))
}

/// `PUT …/things/{thing}`.
pub(super) async fn replace(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
    Json(document): Json<Map<String, Value>>,
) -> Answer {
    let new = described(document)?;
    let mut studio = shared.studio();
    let thing = studio.thing(&space, &uid)?;
    adopt(thing, new.document);
    Ok(Json(row(&space, &uid, thing)))
}

/// Takes another description over; values of properties that are still described stay.
fn adopt(thing: &mut Thing, document: Map<String, Value>) {
    let mut status = initial_status(&document);
    for (name, value) in &mut status {
        if let Some(current) = thing.status.get(name).filter(|_| value.is_null()) {
            *value = current.clone();
        }
    }
    (thing.document, thing.status, thing.modified) = (document, status, clock::now());
}

/// One step of a JSON-Patch.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    op: String,
    path: String,
    #[serde(default)]
    value: Value,
}

fn patched(document: &Map<String, Value>, steps: Vec<Step>) -> Result<Map<String, Value>, Refusal> {
    let wrong = || refusal(StatusCode::BAD_REQUEST, "the patch does not fit");
    let mut whole = Value::Object(document.clone());
    for Step { op, path, value } in steps {
        let (parent, key) = path.rsplit_once('/').ok_or_else(wrong)?;
        let key = key.replace("~1", "/").replace("~0", "~");
        let parent = whole.pointer_mut(parent).and_then(Value::as_object_mut).ok_or_else(wrong)?;
        match op.as_str() {
            "add" => parent.insert(key, value),
            "replace" if parent.contains_key(&key) => parent.insert(key, value),
            "remove" => Some(parent.remove(&key).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
    }
    match whole {
        Value::Object(document) => Ok(document),
        _ => Err(wrong()),
    }
}

/// `PATCH …/things/{thing}`.
pub(super) async fn patch(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
    body: String,
) -> Answer {
    let wrong = |_| refusal(StatusCode::BAD_REQUEST, "no JSON-Patch");
    let steps: Vec<Step> = serde_json::from_str(&body).map_err(wrong)?;
    let mut studio = shared.studio();
    let thing = studio.thing(&space, &uid)?;
    let document = patched(&thing.document, steps)?;
    adopt(thing, document);
    Ok(Json(row(&space, &uid, thing)))
}

/// One Thing of a patch of several.
#[derive(Debug, Deserialize)]
struct ManyStep {
    id: String,
    patch: Vec<Step>,
}

/// `PATCH …/things`: 207, with the places of those that failed.
pub(super) async fn patch_many(
    State(shared): State<Arc<Shared>>,
    Path(space): Path<String>,
    body: String,
) -> Result<Response, Refusal> {
    let wrong = |_| refusal(StatusCode::BAD_REQUEST, "no list of JSON-Patches");
    let steps: Vec<ManyStep> = serde_json::from_str(&body).map_err(wrong)?;
    let mut studio = shared.studio();
    let (mut failed, mut results) = (Vec::new(), Vec::new());
    for (place, ManyStep { id, patch }) in steps.into_iter().enumerate() {
        let done = studio.thing(&space, &id).and_then(|thing| {
            let document = patched(&thing.document, patch)?;
            adopt(thing, document);
            Ok(row(&space, &id, thing))
        });
        results.push(match done {
            Ok(thing) => json!({ "status": 200, "response": thing }),
            Err(refusal) => {
                failed.push(place);
                json!({ "status": refusal.status().as_u16(), "response": refusal.body() })
            }
        });
    }
    let answer = json!({ "has_errors": failed, "results": results });
    Ok((StatusCode::MULTI_STATUS, Json(answer)).into_response())
}

/// `DELETE …/things/{thing}`.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let gone = shared.studio().space(&space).things.remove(&uid);
    gone.map(|_| StatusCode::NO_CONTENT).ok_or_else(not_found)
}

/// `POST …/things/{thing}/reset-secret`.
pub(super) async fn reset_secret(
    State(shared): State<Arc<Shared>>,
    Path((space, uid)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    shared.studio().thing(&space, &uid)?;
    let secret = format!("{:032x}", fastrand::u128(..));
    let answer = json!({ "client_id": format!("{space}::{uid}"), "client_secret": secret });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

//! Categories of a space.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{not_found, page_of, refusal};
use crate::clock;
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;

/// A name of 1 to 26 of letters, digits and `_:-`.
fn named(body: &Map<String, Value>) -> Result<String, Refusal> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    if (1..=26).contains(&name.len()) && name.bytes().all(plain) {
        Ok(name.to_owned())
    } else {
        Err(refusal(StatusCode::BAD_REQUEST, "name is invalid"))
    }
}

fn row(name: &str, body: &Map<String, Value>) -> Value {
    let now = clock::now();
    let mut row = Map::from_iter([("name".to_owned(), json!(name))]);
    for key in ["description", "model"] {
        if let Some(value) = body.get(key) {
            row.insert(key.to_owned(), value.clone());
        }
    }
    row.insert("created".to_owned(), json!(now));
    row.insert("modified".to_owned(), json!(now));
    Value::Object(row)
}

/// `GET …/categories`.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(space): Path<String>,
    question: Question,
) -> Answer {
    let rows = shared.studio().space(&space).categories.values().cloned().collect();
    page_of(&question, rows)
}

/// `POST …/categories`.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(space): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Refusal> {
    let name = named(&body)?;
    let mut studio = shared.studio();
    let categories = &mut studio.space(&space).categories;
    if categories.contains_key(&name) {
        return Err(refusal(StatusCode::CONFLICT, "Category already exists"));
    }
    let answer = row(&name, &body);
    categories.insert(name, answer.clone());
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET …/categories/{category}`.
pub(super) async fn category(
    State(shared): State<Arc<Shared>>,
    Path((space, name)): Path<(String, String)>,
) -> Answer {
    shared.studio().space(&space).categories.get(&name).cloned().map(Json).ok_or_else(not_found)
}

/// `PUT …/categories/{category}`: the name stays.
pub(super) async fn replace(
    State(shared): State<Arc<Shared>>,
    Path((space, name)): Path<(String, String)>,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    let mut studio = shared.studio();
    let category = studio.space(&space).categories.get_mut(&name).ok_or_else(not_found)?;
    *category = row(&name, &body);
    Ok(Json(category.clone()))
}

/// `DELETE …/categories/{category}`: its Things stay.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((space, name)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let gone = shared.studio().space(&space).categories.remove(&name);
    gone.map(|_| StatusCode::NO_CONTENT).ok_or_else(not_found)
}

//! Altair IoT Studio of the simulated clouds: tokens and Things with what they hold, in any space.
//!
//! Written from the public description of its API. Knows nothing of our client.

mod category;
mod interaction;
mod property;
mod studio;
mod thing;
mod token;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};

pub(super) use studio::Studio;

use super::answer::{Answer, Question, Refusal};
use super::shared::Shared;
use crate::clock;

/// All paths of tokens and spaces.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let things = "/spaces/{space}/things";
    let routes: [(String, MethodRouter<Arc<Shared>>); 13] = [
        ("/spaces/{space}/categories".to_owned(), get(category::list).post(category::create)),
        (
            "/spaces/{space}/categories/{category}".to_owned(),
            get(category::category).put(category::replace).delete(category::delete),
        ),
        (
            "/spaces/{space}/categories/{category}/things".to_owned(),
            get(thing::list_of_category).post(thing::create_in_category),
        ),
        (things.to_owned(), get(thing::list).post(thing::create).patch(thing::patch_many)),
        (
            format!("{things}/{{thing}}"),
            get(thing::thing).put(thing::replace).patch(thing::patch).delete(thing::delete),
        ),
        (format!("{things}/{{thing}}/properties"), get(property::all).put(property::set)),
        (format!("{things}/{{thing}}/properties/{{name}}"), get(property::one).put(property::set_one)),
        (format!("{things}/{{thing}}/properties-history"), get(property::history).post(property::record)),
        (format!("{things}/{{thing}}/properties-history/{{name}}"), get(property::history_of)),
        (format!("{things}/{{thing}}/{{kind}}"), get(interaction::all)),
        (
            format!("{things}/{{thing}}/{{kind}}/{{name}}"),
            get(interaction::of_name).post(interaction::create),
        ),
        (
            format!("{things}/{{thing}}/{{kind}}/{{name}}/{{id}}"),
            get(interaction::one).put(interaction::change).delete(interaction::delete),
        ),
        (format!("{things}/{{thing}}/reset-secret"), post(thing::reset_secret)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router.route(&path, methods);
    }
    router
        .route_layer(from_fn_with_state(Arc::clone(shared), authorize))
        .route("/oauth2/token", post(token::give))
        .route("/oauth2/revoke", post(token::revoke))
}

/// Lets in who shows a token that has not ended.
async fn authorize(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = shown.and_then(|value| value.strip_prefix("Bearer ")).map(ToOwned::to_owned);
    let Some(token) = token else {
        return refusal(StatusCode::UNAUTHORIZED, "No token provided").into_response();
    };
    if !shared.studio().holds(&token, clock::now()) {
        return refusal(StatusCode::UNAUTHORIZED, "Unauthenticated").into_response();
    }
    next.run(request).await
}

/// A refusal in the studio's own shape.
fn refusal(status: StatusCode, message: &str) -> Refusal {
    Refusal::with_body(status, json!({ "error": { "status": status.as_u16(), "message": message } }))
}

fn not_found() -> Refusal {
    refusal(StatusCode::NOT_FOUND, "Not found")
}

/// A part of a list by `limit` and `next_cursor`; an empty cursor is the end.
fn page_of(question: &Question, rows: Vec<Value>) -> Answer {
    let wrong = |_| refusal(StatusCode::BAD_REQUEST, "limit is out of range");
    let limit = question.limit(50, 1000).map_err(wrong)?;
    let cursor = question.parameter("next_cursor").unwrap_or_default();
    let start: usize = if cursor.is_empty() {
        0
    } else {
        cursor.parse().ok().ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "unknown cursor"))?
    };
    let end = start.saturating_add(limit);
    let next = if rows.len() > end { end.to_string() } else { String::new() };
    let data: Vec<Value> = rows.into_iter().skip(start).take(limit).collect();
    Ok(Json(json!({ "data": data, "paging": { "next_cursor": next, "previous_cursor": "" } })))
}

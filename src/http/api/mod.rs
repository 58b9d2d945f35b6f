//! `/api/v1`: what scripts and the web page ask, answered in JSON from the rooms that know.

use axum::routing::get;
use axum::{Json, Router, extract::State, response::IntoResponse, response::Response};

use super::answer;
use crate::command::Rooms;
use crate::control::{Question, View};

/// The routes below `/api/v1`; who may take them is not decided here.
pub(super) fn router(rooms: Rooms) -> Router {
    let view = View::new(rooms.config, rooms.store, rooms.registry, Some(rooms.board));
    Router::new()
        .route("/sources", get(sources))
        .fallback(answer::no_such_page)
        .method_not_allowed_fallback(answer::no_such_method)
        .with_state(view)
}

/// How the sources do.
async fn sources(State(view): State<View>) -> Response {
    std::future::ready(match view.answer(&Question::Sources) {
        Ok(sources) => Json(sources).into_response(),
        Err(words) => answer::error(axum::http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", &words),
    })
    .await
}

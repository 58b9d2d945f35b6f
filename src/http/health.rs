//! `/healthz` and `/readyz`: whether the gateway works, and whether it is connected, with reasons in JSON.
//!
//! Both say what `bridge/health` says; they differ in what counts as bad.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::command::Rooms;
use crate::publish::{Condition, Status};

/// 503 only where something is broken: a broker or a cloud that is away is no reason to restart a gateway.
pub(super) async fn healthz(State(rooms): State<Rooms>) -> Response {
    answer(&rooms, Status::Failing).await
}

/// 503 also while something is waited for.
pub(super) async fn readyz(State(rooms): State<Rooms>) -> Response {
    answer(&rooms, Status::Waiting).await
}

async fn answer(rooms: &Rooms, bad: Status) -> Response {
    let condition = Condition::look(&rooms.store, &rooms.run, &rooms.board);
    let code = if condition.status >= bad { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    std::future::ready((code, Json(condition)).into_response()).await
}

//! Groups, users and radio coverage of the API v2: one group, one user, good coverage on land.

use std::convert::identity;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::inventory::{GROUP, page_of};
use crate::simulate::answer::{Answer, Question, Refusal};
use crate::simulate::shared::Shared;

/// `GET /groups`.
pub(super) async fn groups(question: Question) -> Answer {
    page_of(&question, vec![group_row()], identity)
}

/// `GET /groups/{id}`.
pub(super) async fn group(Path(id): Path<String>) -> Answer {
    if id == GROUP { Ok(Json(group_row())) } else { Err(Refusal::not_found()) }
}

fn group_row() -> Value {
    json!({
        "id": GROUP,
        "name": "Simulated",
        "nameCI": "simulated",
        "description": "",
        "type": 2,
        "timezone": "Etc/UTC",
        "path": [{ "id": "5f00000000000000000000a0", "name": "Root", "type": 0, "level": 0 }],
        "creationTime": 1_511_000_000_000_i64,
        "leaf": true,
    })
}

/// `GET /groups/{id}/geoloc-payloads`.
pub(super) async fn geoloc_payloads(Path(id): Path<String>, question: Question) -> Answer {
    if id != GROUP {
        return Err(Refusal::not_found());
    }
    page_of(&question, vec![json!({ "id": "5f00000000000000000000e1", "name": "Wi-Fi" })], identity)
}

/// `GET /users`.
pub(super) async fn users(State(shared): State<Arc<Shared>>, question: Question) -> Answer {
    let user = json!({
        "id": shared.logins.login,
        "firstName": "Sim",
        "lastName": "Ulator",
        "email": "simulator@example.org",
        "timezone": "Etc/UTC",
        "locked": false,
        "creationTime": 1_511_000_000_000_i64,
        "lastLoginTime": 1_511_000_000_000_i64,
        "userRoles": [{
            "group": { "id": GROUP, "name": "Simulated", "type": 2, "level": 4 },
            "profile": { "id": "5f00000000000000000000f1", "name": "LIMITED ADMIN" },
        }],
    });
    page_of(&question, vec![user], identity)
}

/// `GET /coverages/operators/redundancy`: three stations outdoors, fewer the deeper inside.
pub(super) async fn redundancy(question: Question) -> Answer {
    coordinate(&question, "lat", 90.0)?;
    coordinate(&question, "lng", 180.0)?;
    let redundancy = match question.parameter("deviceSituation") {
        Some("INDOOR") => 2,
        Some("UNDERGROUND") => 1,
        _ => 3,
    };
    Ok(Json(json!({ "redundancy": redundancy })))
}

/// `GET /coverages/global/predictions`.
pub(super) async fn predictions(question: Question) -> Answer {
    let (lat, lng) = (coordinate(&question, "lat", 90.0)?, coordinate(&question, "lng", 180.0)?);
    Ok(Json(json!({ "locationCovered": true, "lat": lat, "lng": lng, "margins": [53, 46, 38] })))
}

/// `POST /coverages/global/predictions`.
pub(super) async fn predictions_of_many(Json(body): Json<Value>) -> Answer {
    let locations = body.get("locations").and_then(Value::as_array);
    let locations = locations.ok_or_else(|| Refusal::in_body("locations", "is required"))?;
    let row = |location: &Value| {
        let (lat, lng) = (location.get("lat"), location.get("lng"));
        json!({ "lat": lat, "lng": lng, "locationCovered": true, "margins": [53, 46, 38] })
    };
    Ok(Json(json!({ "data": locations.iter().map(row).collect::<Vec<_>>() })))
}

fn coordinate(question: &Question, name: &str, most: f64) -> Result<f64, Refusal> {
    let degrees = question.parameter(name).and_then(|degrees| degrees.parse::<f64>().ok());
    degrees
        .filter(|degrees| (-most..=most).contains(degrees))
        .ok_or_else(|| Refusal::parameter(name, "must be a number of degrees"))
}

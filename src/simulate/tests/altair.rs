//! What the studio answers.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::*;

/// A client that has a token.
struct Studio {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Studio {
    async fn start() -> (Running, Self) {
        let running = Simulator::start(World::new(1), Options::default()).await.unwrap();
        let http = Client::of(&running).http;
        let base = running.altair_url();
        let form = [("grant_type", "client_credentials"), ("client_id", "client-simulated")];
        let form = form.into_iter().chain([("client_secret", "secret-simulated"), ("scope", "thing")]);
        let asked = http.post(format!("{base}/oauth2/token")).form(&form.collect::<Vec<_>>());
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(3600), &json!("bearer")));
        let token = answer["access_token"].as_str().unwrap().to_owned();
        (running, Self { http, base, token })
    }

    fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}/spaces/s{path}", self.base)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.ask("GET", path)).await
    }

    /// A Thing with a property, a constant, an action and an event: the path of it.
    async fn thing(&self) -> String {
        let description = json!({
            "title": "tank-07", "@type": ["SigfoxDevice"],
            "properties": {
                "sigfoxId": { "type": "string", "const": "1A2345", "readOnly": true },
                "temperature": { "type": "number" },
            },
            "actions": { "downlink": { "input": { "type": "string" } } },
            "events": { "uplink": { "data": { "type": "string" } } },
        });
        let (status, thing) = answer(self.ask("POST", "/things").json(&description)).await;
        assert_eq!((status, &thing["status"]), (201, &json!({ "sigfoxId": "1A2345", "temperature": null })));
        format!("/things/{}", thing["uid"].as_str().unwrap())
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_wrong_client_and_a_revoked_token_are_refused_each_in_its_own_shape() {
    let (running, studio) = Studio::start().await;
    let form = [("grant_type", "client_credentials"), ("client_id", "x"), ("client_secret", "y")];
    let (status, refused) =
        answer(studio.http.post(format!("{}/oauth2/token", studio.base)).form(&form)).await;
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    let form = [
        ("token", studio.token.as_str()),
        ("client_id", "client-simulated"),
        ("client_secret", "secret-simulated"),
    ];
    assert_eq!(answer(studio.http.post(format!("{}/oauth2/revoke", studio.base)).form(&form)).await.0, 200);
    let unauthenticated = json!({ "error": { "status": 401, "message": "Unauthenticated" } });
    assert_eq!(studio.get("/things").await, (401, unauthenticated));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_thing_is_found_by_its_marker_patched_and_deleted() {
    let (running, studio) = Studio::start().await;
    let path = studio.thing().await;
    for (query, found) in [
        ("property:sigfoxId=eq:1A2345", 1),
        ("property:sigfoxId=eq:FFFF", 0),
        ("@type=SigfoxDevice&title=tank-07", 1),
        ("title=other", 0),
    ] {
        let (_, list) = studio.get(&format!("/things?{query}")).await;
        assert_eq!(list["data"].as_array().map(Vec::len), Some(found), "{query}");
        assert_eq!(list["paging"], json!({ "next_cursor": "", "previous_cursor": "" }));
    }
    let step = json!([{ "op": "add", "path": "/properties/humidity", "value": { "type": "number" } }]);
    let (status, patched) = answer(studio.ask("PATCH", &path).body(step.to_string())).await;
    assert_eq!((status, &patched["status"]["humidity"]), (200, &Value::Null));
    let uid = path.strip_prefix("/things/").unwrap();
    let many = json!([{ "id": uid, "patch": [] }, { "id": "none", "patch": [] }]);
    let (status, results) = answer(studio.ask("PATCH", "/things").body(many.to_string())).await;
    assert_eq!(
        (status, &results["has_errors"], &results["results"][1]["status"]),
        (207, &json!([1]), &json!(404))
    );
    assert_eq!(answer(studio.ask("DELETE", &path)).await.0, 204);
    assert_eq!(studio.get(&path).await.0, 404);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn values_are_current_or_of_their_time_and_a_time_is_taken_once() {
    let (running, studio) = Studio::start().await;
    let path = studio.thing().await;
    let put = |body: Value| answer(studio.ask("PUT", &format!("{path}/properties")).json(&body));
    assert_eq!(put(json!({ "temperature": 21.5 })).await.0, 200);
    assert_eq!(put(json!({ "unknown": 1 })).await.0, 400);
    assert_eq!(studio.get(&format!("{path}/properties/temperature")).await.1, json!({ "temperature": 21.5 }));
    let moment = json!({ "at": "2026-03-01T10:00:00.123Z", "properties": { "temperature": 19.0 } });
    for status in [201, 409] {
        let recorded = answer(studio.ask("POST", &format!("{path}/properties-history")).json(&moment)).await;
        assert_eq!(recorded.0, status);
    }
    let (_, history) = studio.get(&format!("{path}/properties-history/temperature")).await;
    assert_eq!(history["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(studio.get(&format!("{path}/properties")).await.1["temperature"], json!(21.5));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn an_action_waits_until_it_is_finished_and_an_event_is_kept() {
    let (running, studio) = Studio::start().await;
    let path = studio.thing().await;
    let input = json!({ "downlink": { "input": "0102030405060708" } });
    let (status, action) = answer(studio.ask("POST", &format!("{path}/actions/downlink")).json(&input)).await;
    assert_eq!((status, &action["downlink"]["status"]), (201, &json!("pending")));
    let time = action["downlink"]["timeRequested"].as_str().unwrap();
    assert!(time.ends_with("+0000") && time.as_bytes()[10] == b' ', "{time}");
    let id = action["downlink"]["href"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let finish = json!({ "downlink": { "status": "completed", "output": { "sent": true } } });
    let finished = answer(studio.ask("PUT", &format!("{path}/actions/downlink/{id}")).json(&finish)).await;
    assert!(finished.1["downlink"]["timeCompleted"].is_string(), "{finished:?}");
    let (_, listed) = studio.get(&format!("{path}/actions")).await;
    assert_eq!(listed["data"][0]["downlink"]["status"], json!("completed"));
    let event = json!({ "uplink": { "data": "920e" } });
    assert_eq!(answer(studio.ask("POST", &format!("{path}/events/uplink")).json(&event)).await.0, 201);
    assert_eq!(
        studio.get(&format!("{path}/events/uplink")).await.1["data"][0]["uplink"]["data"],
        json!("920e")
    );
    assert_eq!(answer(studio.ask("POST", &format!("{path}/actions/unknown")).json(&input)).await.0, 400);
    assert_eq!(studio.get(&format!("{path}/secrets")).await.0, 404);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn categories_have_names_that_stay() {
    let (running, studio) = Studio::start().await;
    let body = json!({ "name": "sigfox", "description": "by radio" });
    for status in [201, 409] {
        assert_eq!(answer(studio.ask("POST", "/categories").json(&body)).await.0, status);
    }
    assert_eq!(answer(studio.ask("POST", "/categories").json(&json!({ "name": "with blank" }))).await.0, 400);
    assert_eq!(studio.get("/categories/sigfox").await.1["description"], json!("by radio"));
    assert_eq!(answer(studio.ask("DELETE", "/categories/sigfox")).await.0, 204);
    assert_eq!(studio.get("/categories").await.1["data"], json!([]));
    running.shut_down().await.unwrap();
}

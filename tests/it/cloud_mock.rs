//! A Sigfox cloud (API v2) for one test: lists that the test sets, and faults by script. Written from the
//! documents; its cursors are exclusive, the less forgiving of the two ways to read them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a request is to fail, once.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Status(u16),
    RetryAfter(u64),
    Html,
    Truncated,
    Dropped,
    Huge,
    /// Every page says that the first page is next.
    Loop,
    /// Two pages say in turn that the other is next, each time by another address.
    EverOn,
    /// The next page lies on this host.
    Foreign(&'static str),
    Redirect(String),
}

/// What the cloud knows.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) types: Vec<Value>,
    pub(crate) devices: Vec<Value>,
    /// Messages of each device type.
    pub(crate) messages: BTreeMap<String, Vec<Value>>,
    /// Positions of each device.
    pub(crate) locations: BTreeMap<String, Vec<Value>>,
    /// Reports of v1 by kind, `error` or `warn`.
    pub(crate) reports: BTreeMap<String, Vec<Value>>,
    /// Callbacks that did not arrive.
    pub(crate) undelivered: Vec<Value>,
    /// Parts of a path, and how the next requests to it fail.
    pub(crate) faults: Vec<(&'static str, Fault)>,
    /// Paths with queries, as they were asked for.
    pub(crate) requests: Vec<String>,
}

/// A served world; it ends with its test.
pub(crate) struct MockCloud {
    pub(crate) address: SocketAddr,
    pub(crate) world: Arc<Mutex<World>>,
    server: JoinHandle<()>,
}

impl Drop for MockCloud {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl MockCloud {
    pub(crate) async fn start(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(world));
        let router = Router::new().fallback(answer).with_state((Arc::clone(&world), address));
        #[expect(clippy::disallowed_methods, reason = "a test's server, aborted when its handle is dropped")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, world, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// The same world as the API v1 tells it, if its rows are written so.
    pub(crate) fn v1_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.world.lock().unwrap().requests.iter().filter(|request| request.contains(part)).count()
    }
}

/// A message of a device.
pub(crate) fn message(device: &str, time_ms: i64, seq: u16, data: &str) -> Value {
    json!({
        "device": { "id": device }, "time": time_ms, "data": data, "seqNumber": seq, "rolloverCounter": 0,
        "rinfos": [], "satInfos": [], "nbFrames": 3, "computedLocation": [], "lqi": 2
    })
}

type Shared = (Arc<Mutex<World>>, SocketAddr);

async fn answer(
    State((world, address)): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response<Body> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let mut world = world.lock().unwrap();
    world.requests.push(request.uri().to_string());
    // "login:secret"
    let authorized =
        request.headers().get(header::AUTHORIZATION).is_some_and(|it| it == "Basic bG9naW46c2VjcmV0");
    if !authorized {
        return json_answer(StatusCode::UNAUTHORIZED, &json!({ "message": "Unauthorized" }));
    }
    let fault =
        world.faults.iter().position(|(part, _)| path.contains(part)).map(|at| world.faults.remove(at).1);
    let page = page(&world, &path, &query, address);
    match (fault, page) {
        (Some(Fault::EverOn), Some(page)) => {
            let turn = world.requests.len();
            let before = page["data"].as_array().and_then(|rows| rows.last()).map(|row| row["time"].clone());
            let before = before.filter(|_| !query.contains_key("before")).unwrap_or_else(|| i64::MAX.into());
            let next = format!("http://{address}{path}?limit=100&turn={turn}&before={before}");
            let page = json!({ "data": page["data"], "paging": { "next": next } });
            json_answer(StatusCode::OK, &page)
        }
        (Some(fault), page) => fail(&fault, page, &path, address),
        (None, Some(page)) => json_answer(StatusCode::OK, &page),
        (None, None) => json_answer(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
    }
}

fn fail(fault: &Fault, page: Option<Value>, path: &str, address: SocketAddr) -> Response<Body> {
    let mut page = page.unwrap_or_else(|| json!({ "data": [] }));
    match fault {
        Fault::Status(status) => {
            json_answer(StatusCode::from_u16(*status).unwrap(), &json!({ "message": "as scripted" }))
        }
        Fault::RetryAfter(seconds) => {
            let mut response = json_answer(StatusCode::TOO_MANY_REQUESTS, &json!({ "message": "slow down" }));
            response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            response
        }
        Fault::Html => Response::new(Body::from("<html><body>Please log in</body></html>")),
        Fault::Truncated => {
            let text = page.to_string();
            let half = text.chars().take(text.len() / 2).collect::<String>();
            Response::new(Body::from(half))
        }
        Fault::Dropped => Response::builder()
            .header(header::CONTENT_LENGTH, 1000)
            .body(Body::from_stream(futures_util::stream::iter([
                Ok("{\"data\":["),
                Err(std::io::Error::other("cut")),
            ])))
            .unwrap(),
        Fault::Huge => {
            let chunk = "x".repeat(1 << 20);
            Response::new(Body::from_stream(futures_util::stream::iter(
                std::iter::repeat_n(chunk, 50).map(Ok::<_, std::io::Error>),
            )))
        }
        Fault::Loop => {
            page["paging"] = json!({ "next": format!("http://{address}{path}?limit=100") });
            json_answer(StatusCode::OK, &page)
        }
        Fault::EverOn => json_answer(StatusCode::OK, &page),
        Fault::Foreign(host) => {
            page["paging"] = json!({ "next": format!("https://{host}{path}?limit=100&before=1") });
            json_answer(StatusCode::OK, &page)
        }
        Fault::Redirect(to) => {
            Response::builder().status(302).header(header::LOCATION, to).body(Body::empty()).unwrap()
        }
    }
}

fn page(world: &World, path: &str, query: &HashMap<String, String>, address: SocketAddr) -> Option<Value> {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<i64>().ok());
    let parts: Vec<&str> = path.trim_start_matches("/v2/").trim_start_matches("/api/").split('/').collect();
    let limit = usize::try_from(number("limit").unwrap_or(100)).unwrap().min(100);
    let timed: Vec<&Value> = match parts.as_slice() {
        ["device-types" | "devicetypes", id, "messages"] => {
            world.messages.get(*id).into_iter().flatten().collect()
        }
        ["devices", id, "locations"] => world.locations.get(*id)?.iter().collect(),
        ["devices", id, "messages"] => {
            world.messages.values().flatten().filter(|row| row["device"]["id"] == **id).collect()
        }
        ["devicetypes", _, "status", kind] => world.reports.get(*kind).into_iter().flatten().collect(),
        ["device-types", _, "callbacks-not-delivered"] => world.undelivered.iter().collect(),
        ["device-types" | "devicetypes"] => {
            return Some(listed(world.types.iter(), query, limit, path, address));
        }
        ["devices"] => {
            let wanted = query.get("deviceTypeId");
            let of_type = |device: &&Value| wanted.is_none_or(|id| device["deviceType"]["id"] == **id);
            return Some(listed(world.devices.iter().filter(of_type), query, limit, path, address));
        }
        ["devicetypes", id, "devices"] => {
            let of_type = world.devices.iter().filter(|device| device["type"] == **id);
            return Some(listed(of_type, query, limit, path, address));
        }
        _ => return None,
    };
    let (since, before) = (number("since").unwrap_or(0), number("before").unwrap_or(i64::MAX));
    let within = |row: &&Value| row["time"].as_i64().is_none_or(|time| since <= time && time < before);
    let mut rows: Vec<&Value> = timed.into_iter().filter(within).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row["time"].as_i64()));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().and_then(|row| row["time"].as_i64());
    let next = last
        .filter(|_| more)
        .map(|last| format!("http://{address}{path}?limit={limit}&since={since}&before={last}"));
    Some(json!({ "data": rows, "paging": next.map_or(json!({}), |next| json!({ "next": next })) }))
}

fn listed<'a>(
    rows: impl Iterator<Item = &'a Value>,
    query: &HashMap<String, String>,
    limit: usize,
    path: &str,
    address: SocketAddr,
) -> Value {
    let offset: usize = query.get("offset").map_or(0, |text| text.parse().unwrap());
    let mut rows: Vec<&Value> = rows.skip(offset).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let of_type = query.get("deviceTypeId").map(|id| format!("&deviceTypeId={id}")).unwrap_or_default();
    let next = format!("http://{address}{path}?limit={limit}{of_type}&offset={}", offset + limit);
    json!({ "data": rows, "paging": if more { json!({ "next": next }) } else { json!({}) } })
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

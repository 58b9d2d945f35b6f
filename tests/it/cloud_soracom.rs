//! Soracom against a scripted account: sessions, keys of pages, and data in both shapes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sigfox2mqtt::cloud::soracom::{Device, Soracom};
use sigfox2mqtt::cloud::{Access, Error, Pages};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the account holds.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) devices: Vec<Value>,
    /// Harvest data of each device, as it was written in the path.
    pub(crate) data: BTreeMap<String, Vec<Value>>,
    /// Sessions begun so far; only the newest is valid.
    pub(crate) sessions: u64,
    pub(crate) requests: Vec<String>,
    /// Bodies of what was posted, by path.
    pub(crate) posted: Vec<(String, Value)>,
    /// Devices a page.
    pub(crate) page: usize,
    /// The key of the next page stands in a link only.
    pub(crate) link_only: bool,
    /// Every page has the same key.
    pub(crate) circle: bool,
}

pub(crate) struct MockSoracom {
    pub(crate) address: SocketAddr,
    pub(crate) account: Arc<Mutex<Account>>,
    server: JoinHandle<()>,
}

impl Drop for MockSoracom {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl MockSoracom {
    pub(crate) async fn start(account: Account) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let account = Arc::new(Mutex::new(account));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&account));
        #[expect(clippy::disallowed_methods, reason = "a test's server, aborted when its handle is dropped")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, account, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.account.lock().unwrap());
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.account.lock().unwrap().requests.iter().filter(|request| request.contains(part)).count()
    }
}

/// A device that was last heard at this time.
pub(crate) fn device(id: &str, last_seen: Option<&str>) -> Value {
    json!({
        "device_id": id, "status": "active", "tags": { "name": format!("device {id}") },
        "lastSeen": last_seen.map(|time| json!({ "rssi": "-126.00", "snr": 18, "time": time }))
    })
}

/// A Harvest entry that was stored a second after its message came.
pub(crate) fn entry(id: &str, seconds: i64, seq: u16) -> Value {
    let content = json!({
        "device": id, "time": seconds.to_string(), "data": "0102", "seqNumber": seq.to_string(), "lqi": "Good"
    });
    json!({
        "resourceType": "SigfoxDevice", "resourceId": id, "time": seconds * 1000 + 1000,
        "contentType": "application/json", "content": content.to_string()
    })
}

async fn answer(
    State(account): State<Arc<Mutex<Account>>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    let mut account = account.lock().unwrap();
    account.requests.push(format!("{} {}", parts.method, parts.uri));
    if let Ok(value) = serde_json::from_slice(&body) {
        account.posted.push((path.clone(), value));
    }
    if path == "/v1/auth" {
        let right = account.posted.last().is_some_and(|(_, body)| body["authKey"] == "secret");
        if !right {
            return text(
                StatusCode::BAD_REQUEST,
                r#"{"code":"AUM0002","message":"Invalid username or password."}"#,
            );
        }
        account.sessions += 1;
        let token = format!("token-{}", account.sessions);
        return text(
            StatusCode::OK,
            &json!({ "apiKey": "api-key", "operatorId": "OP0", "token": token }).to_string(),
        );
    }
    let token = parts.headers.get("x-soracom-token").and_then(|token| token.to_str().ok());
    if token != Some(&format!("token-{}", account.sessions)) {
        return text(StatusCode::UNAUTHORIZED, r#"{"code":"AGW0004","message":"Expired"}"#);
    }
    let path: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (parts.method, path.as_slice()) {
        (Method::GET, ["sigfox_devices"]) => devices(&account, &query),
        (Method::GET, ["sigfox_devices", id, "data"]) => data(&account, id, &query),
        (Method::POST, ["sigfox_devices", _, "data"]) => text(StatusCode::ACCEPTED, ""),
        (Method::DELETE, ["sigfox_devices", _, "tags", _]) => text(StatusCode::NO_CONTENT, ""),
        (_, ["sigfox_devices", id, ..]) => {
            match account.devices.iter().find(|device| device["device_id"] == **id) {
                Some(device) => text(StatusCode::OK, &device.to_string()),
                None => text(StatusCode::NOT_FOUND, r#"{"code":"SFD0001","message":"No such device"}"#),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "{}"),
    }
}

/// Every other page is empty and has a key all the same. A key is twice the next device's place, odd before an
/// empty page.
fn devices(account: &Account, query: &HashMap<String, String>) -> Response<Body> {
    let key: usize = query.get("last_evaluated_key").map_or(0, |key| key.parse().unwrap());
    let size = if account.page == 0 { 100 } else { account.page };
    let (at, rows) = (key / 2, if key % 2 == 1 { 0 } else { size });
    let page: Vec<&Value> = account.devices.iter().skip(at).take(rows).collect();
    let mut response = text(StatusCode::OK, &json!(page).to_string());
    if account.devices.len() > at + rows || account.circle {
        let key = if account.circle { 1 } else { 2 * (at + rows) + usize::from(rows > 0) };
        let headers: &mut HeaderMap = response.headers_mut();
        if account.link_only {
            let link =
                format!("<https://api.soracom.io/v1/sigfox_devices?last_evaluated_key={key}>; rel=\"next\"");
            headers.insert("link", link.parse().unwrap());
        } else {
            headers.insert("x-soracom-next-key", key.to_string().parse().unwrap());
        }
    }
    response
}

fn data(account: &Account, id: &str, query: &HashMap<String, String>) -> Response<Body> {
    assert_eq!(query.get("sort").map(String::as_str), Some("asc"));
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<i64>().ok());
    let from = number("last_evaluated_key").map(|key| key + 1).or(number("from")).unwrap_or(0);
    let limit = usize::try_from(number("limit").unwrap_or(10)).unwrap();
    let mut rows: Vec<&Value> = account.data.get(id).into_iter().flatten().collect();
    rows.retain(|row| row["time"].as_i64().unwrap() >= from);
    rows.sort_by_key(|row| row["time"].as_i64());
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut response = text(StatusCode::OK, &json!(rows).to_string());
    if let Some(last) = rows.last().filter(|_| more) {
        response.headers_mut().insert("x-soracom-next-key", last["time"].to_string().parse().unwrap());
    }
    response
}

fn text(status: StatusCode, body: &str) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_owned())).unwrap()
}

fn client(cloud: &MockSoracom, key: &str) -> Soracom {
    let access = Access {
        url: cloud.url().parse().unwrap(),
        insecure: false,
        ca_file: None,
        rate: (1000, Duration::from_secs(1)),
        timeout: Duration::from_secs(30),
    };
    Soracom::new(&access, "keyId-1", &SecretString::from(key), None).unwrap()
}

async fn ids(mut pages: Pages<Device>) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    while let Some(page) = pages.next_page().await? {
        ids.extend(page.rows.iter().map(|device| device.id.to_string()));
    }
    Ok(ids)
}

fn five() -> Vec<Value> {
    ["A1", "A2", "A3", "A4", "A5"].iter().map(|id| device(id, None)).collect()
}

#[tokio::test]
async fn devices_come_by_keys_over_short_and_empty_pages() {
    for link_only in [false, true] {
        let account = Account { devices: five(), page: 2, link_only, ..Account::default() };
        let cloud = MockSoracom::start(account).await;
        let ids = ids(client(&cloud, "secret").devices(None)).await.unwrap();
        assert_eq!(ids, ["A1", "A2", "A3", "A4", "A5"], "link only: {link_only}");
        assert_eq!(cloud.count("/auth"), 1);
    }
}

#[tokio::test]
async fn the_same_key_twice_ends_the_list() {
    let cloud = MockSoracom::start(Account { devices: five(), circle: true, ..Account::default() }).await;
    let error = ids(client(&cloud, "secret").devices(None)).await.unwrap_err();
    assert!(matches!(error, Error::Circle { .. }), "{error:?}");
    assert!(cloud.count("/sigfox_devices") <= 3);
}

#[tokio::test]
async fn a_session_that_ended_is_begun_again_once() {
    let cloud = MockSoracom::start(Account { devices: five(), ..Account::default() }).await;
    let soracom = client(&cloud, "secret");
    assert_eq!(ids(soracom.devices(None)).await.unwrap().len(), 5);
    cloud.change(|account| account.sessions += 1);
    assert_eq!(ids(soracom.devices(None)).await.unwrap().len(), 5);
    assert_eq!(cloud.count("/auth"), 2);

    let kept = soracom.session().await;
    let access = Access {
        url: cloud.url().parse().unwrap(),
        insecure: false,
        ca_file: None,
        rate: (1000, Duration::from_secs(1)),
        timeout: Duration::from_secs(30),
    };
    let later = Soracom::new(&access, "keyId-1", &SecretString::from("secret"), kept).unwrap();
    assert_eq!(ids(later.devices(None)).await.unwrap().len(), 5);
    assert_eq!(cloud.count("/auth"), 2, "a session outlives a restart");
}

#[tokio::test]
async fn a_wrong_key_is_a_matter_of_credentials() {
    let cloud = MockSoracom::start(Account::default()).await;
    let error = ids(client(&cloud, "hunter2").devices(None)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_eq!(cloud.count("/auth"), 1, "it is not tried in a loop");
}

#[tokio::test]
async fn every_operation_is_sent_as_the_description_says() {
    let cloud = MockSoracom::start(Account { devices: five(), ..Account::default() }).await;
    let soracom = client(&cloud, "secret");
    assert_eq!(soracom.device("A1").send().await.unwrap().name.as_deref(), Some("device A1"));
    let missing = soracom.device("FFFF").send().await.unwrap_err();
    assert_eq!(missing.to_string(), "device FFFF not found");
    soracom.send("A1", "0102030405060708".parse().unwrap()).send().await.unwrap();
    soracom.set_group("A1", "g").send().await.unwrap();
    soracom.unset_group("A1").send().await.unwrap();
    soracom.enable_termination("A1").send().await.unwrap();
    soracom.disable_termination("A1").send().await.unwrap();
    soracom.terminate("A1", true).send().await.unwrap();
    soracom.put_tags("A1", &[("name".to_owned(), "x".to_owned())].into()).send().await.unwrap();
    soracom.delete_tag("A1", "a/b").send().await.unwrap();
    let registration = sigfox2mqtt::cloud::soracom::Registration {
        secret: SecretString::from("PAC"),
        product_certification: None,
        tags: BTreeMap::new(),
    };
    soracom.register("A1", &registration).send().await.unwrap();
    for request in [
        "POST /v1/sigfox_devices/A1/data",
        "POST /v1/sigfox_devices/A1/set_group",
        "POST /v1/sigfox_devices/A1/unset_group",
        "POST /v1/sigfox_devices/A1/enable_termination",
        "POST /v1/sigfox_devices/A1/disable_termination",
        "POST /v1/sigfox_devices/A1/terminate?delete_immediately=true",
        "PUT /v1/sigfox_devices/A1/tags",
        "DELETE /v1/sigfox_devices/A1/tags/a%2Fb",
        "POST /v1/sigfox_devices/A1/register",
    ] {
        assert_eq!(cloud.count(request), 1, "{request}");
    }
    let posted = cloud.account.lock().unwrap().posted.clone();
    let body = |end: &str| posted.iter().find(|(path, _)| path.ends_with(end)).map(|(_, body)| body.clone());
    assert_eq!(body("A1/data"), Some(json!({ "data": "0102030405060708" })));
    assert_eq!(body("set_group"), Some(json!({ "groupId": "g" })));
    assert_eq!(body("tags"), Some(json!([{ "tagName": "name", "tagValue": "x" }])));
    assert_eq!(body("register"), Some(json!({ "registrationSecret": "PAC", "tags": {} })));
}

//! The web page: HTML made here from what the store and the rooms know, one document an address.
//!
//! Without a script the pages are whole: tables, links and forms. The scripts in `assets` draw charts and maps, tell
//! times in the browser's zone, and put what has changed into the page when the gateway says that something has.

mod asset;
mod device;
mod devices;
mod frame;
mod gateway;
mod icon;
mod live;
mod login;
mod map;
mod roster;
mod setting;
mod sources;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use maud::{Markup, html};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::device::{Look, Viewing};
use self::devices::Filter;
use self::frame::{Frame, Page};
use self::live::Live;
use self::login::Arrival;
use self::roster::Roster;
use super::access::{Grant, is_for_a_person};
use super::answer;
use crate::clock;
use crate::command::Rooms;
use crate::config::Config;
use crate::control::Desk;
use crate::ingest::StatusBoard;
use crate::logging::Recent;
use crate::model::{DeviceId, Timestamp};
use crate::publish::{Condition, Name, Run};
use crate::store::StoreError;

/// What pages are made from.
#[derive(Debug)]
struct Site {
    config: Arc<Config>,
    frame: Frame,
    policy: HeaderValue,
    roster: Roster,
    board: StatusBoard,
    run: Run,
    recent: Recent,
    desk: Desk,
}

type Shared = State<Arc<Site>>;

/// The pages that show something; who may see them is not decided here.
/// `closing` ends what would never end by itself.
pub(super) fn router(rooms: &Rooms, closing: CancellationToken) -> Router {
    let live = Live::new(rooms.store.clone(), rooms.board.clone(), closing);
    let live = Router::new().route("/live", get(live::tell)).with_state(live);
    let site = Site {
        config: Arc::clone(&rooms.config),
        frame: frame(&rooms.config),
        policy: policy(tiles(&rooms.config)),
        roster: Roster::new(rooms),
        board: rooms.board.clone(),
        run: rooms.run.clone(),
        recent: rooms.recent.clone(),
        desk: Desk::new(rooms.clone()),
    };
    Router::new()
        .route("/", get(show_devices))
        .route("/device/{id}", get(show_device).post(command_device))
        .route("/device/{id}/charts", get(show_charts))
        .route("/map", get(show_map))
        .route("/sources", get(show_sources).post(sync))
        .route("/gateway", get(show_gateway).post(command_gateway))
        .with_state(Arc::new(site))
        .merge(live)
}

/// What a browser may have before it has shown the token: the form that asks for it, the assets, and word of what is
/// not there.
pub(super) fn open_router(config: &Config) -> Router {
    let pages = Router::new().route("/login", get(show_login)).fallback(no_such_page);
    let pages = pages.with_state(Arc::new(frame(config)));
    Router::new().route("/assets/{folder}/{name}", get(asset::serve)).with_state(asset::folder()).merge(pages)
}

fn frame(config: &Config) -> Frame {
    let has_login = config.http.as_ref().is_some_and(|http| http.token.is_some());
    Frame { gateway: config.gateway.id.clone(), folder: asset::folder(), has_login }
}

/// What a page may load, and from where: nothing but its own assets and answers, and the tiles that are configured.
fn policy(tiles: Option<&str>) -> HeaderValue {
    let origin =
        tiles.and_then(|tiles| url::Url::parse(tiles).ok()).map(|url| url.origin().ascii_serialization());
    let images = origin.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{images}; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn tiles(config: &Config) -> Option<&str> {
    config.http.as_ref()?.tiles.as_deref()
}

impl Site {
    /// Reads the disk for a page, apart from what serves others meanwhile.
    async fn read(
        self: Arc<Self>,
        read: impl FnOnce(&Self, Timestamp) -> Result<Page, StoreError> + Send + 'static,
    ) -> Response {
        let site = Arc::clone(&self);
        let page = tokio::task::spawn_blocking(move || read(&site, clock::now())).await;
        match page {
            Ok(Ok(page)) => self.answer(StatusCode::OK, &page),
            Ok(Err(error)) => self.trouble(StatusCode::SERVICE_UNAVAILABLE, &error.to_string(), 0),
            Err(_panicked) => self.trouble(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be made.", 0),
        }
    }

    fn answer(&self, status: StatusCode, page: &Page) -> Response {
        html_answer(status, &self.policy, &self.frame.around(page))
    }

    fn trouble(&self, status: StatusCode, words: &str, depth: usize) -> Response {
        self.answer(status, &trouble(status.canonical_reason().unwrap_or("Trouble"), words, depth))
    }

    fn viewing(&self, grant: Grant, now: Timestamp) -> Viewing<'_> {
        Viewing { roster: &self.roster, now, may_write: grant == Grant::Write, tiles: tiles(&self.config) }
    }

    /// A device's page; `refusal` says why a command was not done.
    async fn device(
        self: Arc<Self>,
        id: DeviceId,
        look: Look,
        grant: Grant,
        refusal: Option<String>,
    ) -> Response {
        let site = Arc::clone(&self);
        let page = tokio::task::spawn_blocking(move || {
            let viewing = site.viewing(grant, clock::now());
            device::page(&viewing, id, &look, refusal.as_deref()).map(|page| (page, refusal.is_some()))
        });
        match page.await {
            Ok(Ok((Some(page), is_refused))) => {
                let status = if is_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
                self.answer(status, &page)
            }
            Ok(Ok((None, _))) => {
                self.trouble(StatusCode::NOT_FOUND, &format!("No device {id} is known here."), 1)
            }
            Ok(Err(error)) => self.trouble(StatusCode::SERVICE_UNAVAILABLE, &error.to_string(), 1),
            Err(_panicked) => self.trouble(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be made.", 1),
        }
    }
}

async fn show_devices(State(site): Shared, filter: Result<Query<Filter>, QueryRejection>) -> Response {
    let filter = filter.map(|Query(filter)| filter).unwrap_or_default();
    site.read(move |site, now| {
        let condition = Condition::look(&site.roster.store, &site.run, &site.board);
        devices::page(&site.roster, &filter, &condition, now)
    })
    .await
}

async fn show_device(
    State(site): Shared,
    Extension(grant): Extension<Grant>,
    id: Result<Path<DeviceId>, PathRejection>,
    look: Result<Query<Look>, QueryRejection>,
) -> Response {
    let Ok(Path(id)) = id else {
        return site.trouble(StatusCode::NOT_FOUND, "This is no device: an id has 1 to 8 hex digits.", 1);
    };
    let look = look.map(|Query(look)| look).unwrap_or_default();
    site.device(id, look, grant, None).await
}

/// The charts of a device's page, without the page.
async fn show_charts(
    State(site): Shared,
    id: Result<Path<DeviceId>, PathRejection>,
    look: Result<Query<Look>, QueryRejection>,
) -> Response {
    let Ok(Path(id)) = id else { return answer::no_such_page().await };
    let look = look.map(|Query(look)| look).unwrap_or_default();
    let charts = {
        let site = Arc::clone(&site);
        tokio::task::spawn_blocking(move || device::charts(&site.roster, id, &look, clock::now())).await
    };
    match charts {
        Ok(Ok(Some(charts))) => html_answer(StatusCode::OK, &site.policy, &charts),
        Ok(Ok(None)) => answer::no_such_page().await,
        _ => answer::error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the history cannot be read"),
    }
}

/// A form of a device's page. What is done is seen on the page, to which the answer leads.
async fn command_device(
    State(site): Shared,
    Extension(grant): Extension<Grant>,
    id: Result<Path<DeviceId>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(Path(id)) = id else { return answer::no_such_page().await };
    let form = match body {
        Ok(body) => form(&body),
        Err(rejection) => return answer::unread(&rejection),
    };
    let told = match device::command(&form) {
        Ok((verb, payload)) => {
            let told = site.desk.tell(&format!("device/{id}/downlink/{verb}"), &payload).await;
            told.map(drop).map_err(|why| why.message)
        }
        Err(why) => Err(why),
    };
    match told {
        Ok(()) => see(&format!("{id}#downlinks")),
        Err(why) => site.device(id, Look::default(), grant, Some(why)).await,
    }
}

async fn show_map(State(site): Shared) -> Response {
    site.read(|site, now| map::page(&site.roster, tiles(&site.config), now)).await
}

async fn show_sources(State(site): Shared, Extension(grant): Extension<Grant>) -> Response {
    sources_page(site, grant, None).await
}

async fn sources_page(site: Arc<Site>, grant: Grant, refusal: Option<String>) -> Response {
    let may_write = grant == Grant::Write;
    site.read(move |site, now| {
        Ok(sources::page(&site.config, &site.board, may_write, refusal.as_deref(), now))
    })
    .await
}

async fn sync(
    State(site): Shared,
    Extension(grant): Extension<Grant>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let form = match body {
        Ok(body) => form(&body),
        Err(rejection) => return answer::unread(&rejection),
    };
    let source = form.into_iter().find(|(key, _)| key == "source").map(|(_, source)| source);
    match site.desk.tell("bridge/request/sync", &json!({ "source": source })).await {
        Ok(_) => see("sources"),
        Err(why) => sources_page(site, grant, Some(why.message)).await,
    }
}

async fn show_gateway(State(site): Shared, Extension(grant): Extension<Grant>) -> Response {
    gateway_page(site, grant, None).await
}

async fn gateway_page(site: Arc<Site>, grant: Grant, refusal: Option<String>) -> Response {
    let health = site.desk.tell("bridge/request/health", &json!({})).await.map_err(|why| why.message);
    let may_write = grant == Grant::Write;
    site.read(move |site, now| {
        let info = site.roster.view.retained(&Name::BridgeInfo, now)?;
        let parked = site.roster.store.parked()?;
        let (log, settings) = (site.recent.lines(), site.config.in_effect.clone());
        Ok(gateway::page(gateway::Told { info, health, log, parked, settings, may_write, refusal }, now))
    })
    .await
}

async fn command_gateway(
    State(site): Shared,
    Extension(grant): Extension<Grant>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let form = match body {
        Ok(body) => form(&body),
        Err(rejection) => return answer::unread(&rejection),
    };
    let Some((topic, payload)) = gateway::command(&form) else {
        return gateway_page(site, grant, Some("what is to be done was not said".to_owned())).await;
    };
    match site.desk.tell(topic, &payload).await {
        Ok(_) => see("gateway"),
        Err(why) => gateway_page(site, grant, Some(why.message)).await,
    }
}

async fn show_login(
    State(frame): State<Arc<Frame>>,
    arrival: Result<Query<Arrival>, QueryRejection>,
) -> Response {
    let arrival = arrival.map(|Query(arrival)| arrival).unwrap_or_default();
    let page = frame.around(&login::page(&arrival));
    std::future::ready(html_answer(StatusCode::OK, &policy(None), &page)).await
}

async fn no_such_page(State(frame): State<Arc<Frame>>, uri: Uri, headers: HeaderMap) -> Response {
    if !is_for_a_person(&headers) {
        return answer::no_such_page().await;
    }
    let depth = uri.path().trim_start_matches('/').matches('/').count();
    let words = "There is no page at this address.";
    html_answer(StatusCode::NOT_FOUND, &policy(None), &frame.around(&trouble("Not found", words, depth)))
}

/// A page that only says something, with the way back to the devices.
fn trouble(heading: &str, words: &str, depth: usize) -> Page {
    let home = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let body = html! {
        div.heading { h1 { (heading) } }
        p.empty { (words) " " a href=(home) { "To the devices" } }
    };
    Page { title: heading.to_owned(), tab: None, depth, body, has_charts: false, is_live: false }
}

fn html_answer(status: StatusCode, policy: &HeaderValue, page: &Markup) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, policy.clone()),
    ];
    (status, headers, page.0.clone()).into_response()
}

/// What a form says; one that cannot be read says nothing.
fn form(body: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(body).unwrap_or_default()
}

/// Leads to a page by a relative address.
fn see(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_unprintable) => StatusCode::NO_CONTENT.into_response(),
    }
}

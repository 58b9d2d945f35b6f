//! The files that pages are made with, inside the program: style sheet, scripts, land outlines, icon.
//!
//! Their folder is named by what is in them, so a browser keeps them for ever and asks anew after an update.

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crc::{CRC_64_XZ, Crc};

use crate::http::answer;

/// A name changes with its content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file: its name, its type, its bytes.
struct File(&'static str, &'static str, &'static [u8]);

const FILES: [File; 14] = [
    File("style.css", STYLE, include_bytes!("assets/style.css")),
    File("page.js", SCRIPT, include_bytes!("assets/page.js")),
    File("live.js", SCRIPT, include_bytes!("assets/live.js")),
    File("morph.js", SCRIPT, include_bytes!("assets/morph.js")),
    File("time.js", SCRIPT, include_bytes!("assets/time.js")),
    File("chart.js", SCRIPT, include_bytes!("assets/chart.js")),
    File("map.js", SCRIPT, include_bytes!("assets/map.js")),
    File("mapview.js", SCRIPT, include_bytes!("assets/mapview.js")),
    File("mapbrush.js", SCRIPT, include_bytes!("assets/mapbrush.js")),
    File("mercator.js", SCRIPT, include_bytes!("assets/mercator.js")),
    File("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    File("uplot.js", SCRIPT, include_bytes!("assets/vendor/uplot.js")),
    File("uplot.css", STYLE, include_bytes!("assets/vendor/uplot.css")),
    File("land.bin", "application/octet-stream", include_bytes!("assets/vendor/land.bin")),
];

/// The folder of all files, named by what is in them.
pub(super) fn folder() -> String {
    let crc = Crc::<u64>::new(&CRC_64_XZ);
    let mut digest = crc.digest();
    for File(name, _, bytes) in &FILES {
        digest.update(name.as_bytes());
        digest.update(bytes);
    }
    format!("{:016x}", digest.finalize())
}

/// `GET /assets/{folder}/{name}`. There is no older folder: what is kept for ever under its name must not be newer.
pub(super) async fn serve(
    State(folder): State<String>,
    Path((asked, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let file = FILES.iter().find(|file| file.0 == name && asked == folder);
    let Some(File(_, kind, bytes)) = file else {
        return answer::no_such_page().await;
    };
    let tag = format!("\"{folder}\"");
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| names(known, &tag));
    let Ok(etag) = HeaderValue::from_str(&tag) else { return StatusCode::NOT_FOUND.into_response() };
    if is_known {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag), (CACHE_CONTROL, FOR_EVER)]).into_response();
    }
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind)), (ETAG, etag), (CACHE_CONTROL, FOR_EVER)];
    (headers, *bytes).into_response()
}

/// Whether a browser's list of tags has this one; compression makes a tag a weak one (RFC 9110, 8.8.3).
fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
}

//! The web page as a browser without scripts gets it: whole, escaped, small, and only for who may see it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, Response};
use sigfox2mqtt::clock;
use sigfox2mqtt::model::{
    DeviceType, InventoryDevice, LinkQuality, Location, LocationSource, PayloadKind, Uplink,
};
use sigfox2mqtt::store::Store;

use crate::listener::{self, Listener};

const PAGES: [&str; 7] = ["/", "/device/1A2B3C", "/map", "/sources", "/gateway", "/login", "/device/FFFF"];
const HOSTILE: &str = "<script>alert(1)</script>\"'&";
const ESCAPED: &str = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;";
const TYPE: &str = "4d3091a05ee16b3cc86699ab";

/// A listed device of the factory.
fn listed(id: &str, name: &str) -> InventoryDevice {
    InventoryDevice {
        id: id.parse().unwrap(),
        name: Some(name.to_owned()),
        device_type: Some(TYPE.to_owned()),
        tags: BTreeMap::from([(HOSTILE.to_owned(), HOSTILE.to_owned())]),
        state: None,
        last_seen: None,
        location: None,
    }
}

/// Devices by id and name, of a type whose payload is a level, each with an uplink that was just heard.
fn fill(store: &Store, devices: &[(&str, &str)]) {
    let grammar = PayloadKind::Grammar("level::uint:8".to_owned());
    let (name, keep_alive_s) = (Some(HOSTILE.to_owned()), Some(3600));
    let kind = DeviceType { id: TYPE.to_owned(), name, payload: grammar, keep_alive_s, downlink: None };
    let devices: Vec<InventoryDevice> = devices.iter().map(|(id, name)| listed(id, name)).collect();
    store.record_inventory(&"factory".parse().unwrap(), &[kind], &devices, clock::now()).unwrap();
    let uplinks: Vec<Uplink> = devices.iter().map(|device| heard(&device.id.to_string(), 7)).collect();
    store.record_sweep(&uplinks, None).unwrap();
}

fn heard(device: &str, seq: u16) -> Uplink {
    let time = clock::now().minus(Duration::from_secs(90));
    let place = Location {
        latitude: 47.3,
        longitude: 0.7,
        accuracy_m: Some(1500.0),
        source: LocationSource::Network,
        time,
    };
    Uplink {
        link_quality: Some(LinkQuality::Good),
        rssi: Some(-118.0),
        location: Some(place),
        ..listener::uplink(device, time.as_seconds(), seq)
    }
}

async fn listener(http: &str, dir: &tempfile::TempDir) -> Listener {
    let listener = Listener::start_with(dir, http).await;
    fill(&listener.store, &[("1A2B3C", HOSTILE), ("2C", "Tank 3")]);
    listener
}

async fn get(listener: &Listener, path: &str) -> Response {
    listener.request(Method::GET, path).header("accept", "text/html").send().await.unwrap()
}

async fn html(listener: &Listener, path: &str) -> String {
    get(listener, path).await.text().await.unwrap()
}

async fn send(listener: &Listener, path: &str, form: &str) -> Response {
    listener.request(Method::POST, path).body(form.to_owned()).send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// What stands in an attribute, of every element that has it.
fn attributes<'h>(html: &'h str, name: &str) -> Vec<&'h str> {
    let begin = format!(" {name}=\"");
    html.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn a_hostile_name_is_shown_as_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("", &dir).await;
    for path in PAGES.into_iter().chain(["/?q=%3Cscript%3Ealert(1)%3C/script%3E%22'%26"]) {
        let page = html(&listener, path).await;
        assert!(!page.contains("<script>alert"), "{path}");
        assert!(!page.contains("alert(1)</script>"), "{path}");
    }
    for path in ["/", "/device/1A2B3C", "/?q=%3Cscript%3Ealert(1)%3C/script%3E%22'%26"] {
        assert!(html(&listener, path).await.contains(ESCAPED), "{path}");
    }
    listener.end().await;
}

#[tokio::test]
async fn a_page_runs_no_script_but_its_own_and_names_no_other_host() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("", &dir).await;
    for path in PAGES {
        let answer = get(&listener, path).await;
        let policy = header(&answer, "content-security-policy").to_owned();
        assert!(
            policy.contains("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{path}: {policy}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{path}");
        let page = answer.text().await.unwrap();
        assert!(
            !page.contains(" style=") && !page.contains("<style") && !page.contains("<script>"),
            "{path}"
        );
        assert!(!page.contains(" onclick") && !page.contains("javascript:"), "{path}");
        for address in ["href", "src", "action"].iter().flat_map(|name| attributes(&page, name)) {
            let is_relative = !address.starts_with('/') && !address.contains(':');
            assert!(is_relative, "{path}: {address} is not below the page's own path");
        }
    }
    listener.end().await;
}

#[tokio::test]
async fn tiles_are_loaded_from_the_host_that_is_configured_alone() {
    let dir = tempfile::tempdir().unwrap();
    let tiles = "https://tiles.example/osm/{z}/{x}/{y}.png";
    let listener = listener(&format!("tiles = \"{tiles}\""), &dir).await;
    let answer = get(&listener, "/map").await;
    assert!(header(&answer, "content-security-policy").contains("img-src 'self' https://tiles.example;"));
    assert_eq!(attributes(&answer.text().await.unwrap(), "data-tiles"), [tiles]);
    listener.end().await;
}

#[tokio::test]
async fn first_contact_is_small_and_the_second_is_smaller() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("", &dir).await;
    let packed = |path: String| listener.request(Method::GET, &path).header("accept-encoding", "gzip").send();
    let page = html(&listener, "/").await;
    let style = attributes(&page, "href").into_iter().find(|address| address.ends_with("style.css")).unwrap();
    let folder = style.strip_suffix("style.css").unwrap();
    let mut bytes = 0;
    for name in ["", "style.css", "page.js", "morph.js", "live.js", "time.js", "icon.svg"] {
        let path = if name.is_empty() { "/".to_owned() } else { format!("/{folder}{name}") };
        let answer = packed(path).await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "content-encoding")), (200, "gzip"), "{name}");
        bytes += answer.bytes().await.unwrap().len();
    }
    assert!(bytes < 20 * 1024, "{bytes} bytes");
    for name in [
        "chart.js",
        "uplot.js",
        "uplot.css",
        "map.js",
        "mapview.js",
        "mapbrush.js",
        "mercator.js",
        "land.bin",
    ] {
        bytes += packed(format!("/{folder}{name}")).await.unwrap().bytes().await.unwrap().len();
    }
    assert!(bytes < 100 * 1024, "{bytes} bytes with chart library and land");

    let asset = packed(format!("/{style}")).await.unwrap();
    assert!(header(&asset, "cache-control").contains("immutable"));
    let tag = header(&asset, "etag").to_owned();
    for known in [tag.clone(), format!("\"x\", W/{tag}")] {
        let again = listener.request(Method::GET, &format!("/{style}")).header("if-none-match", known);
        assert_eq!(again.send().await.unwrap().status(), 304);
    }
    for path in ["/assets/0000000000000000/style.css", "/assets/0/../../Cargo.toml"] {
        assert_eq!(get(&listener, path).await.status(), 404, "{path}");
    }
    listener.end().await;
}

#[tokio::test]
async fn whatever_happens_is_told_to_a_browser_as_an_event_that_it_does_not_drop() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("", &dir).await;
    let mut live =
        listener.request(Method::GET, "/live").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(header(&live, "content-type"), "text/event-stream");
    assert_eq!(header(&live, "content-encoding"), "", "what is compressed waits for more");
    listener.store.record_sweep(&[heard("2C", 8)], None).unwrap();
    let mut told = String::new();
    while !told.contains("\n\n") {
        told.push_str(std::str::from_utf8(&live.chunk().await.unwrap().unwrap()).unwrap());
    }
    let event: Vec<_> = told.lines().filter(|line| !line.is_empty()).collect();
    // Without data there is no event (HTML, section 9.2.6).
    assert_eq!(event, ["event: change", "data: now"]);
    listener.end().await;
}

#[tokio::test]
async fn what_the_gateway_does_and_by_which_settings_is_shown_without_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("token = \"writer\"", &dir).await;
    let shown = listener.request(Method::GET, "/gateway").bearer_auth("writer").send().await.unwrap();
    let page = shown.text().await.unwrap();
    for words in
        ["<strong>broker</strong>: it is not connected", "None since the start.", "[sources.factory]", "***"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("writer") && !page.contains("callback-token"), "a secret: {page}");
    let shown = listener.request(Method::GET, "/").bearer_auth("writer").send().await.unwrap();
    let page = shown.text().await.unwrap();
    let notice = page.split("<p class=\"notice\">").nth(1).unwrap().split("</p>").next().unwrap();
    assert!(notice.contains("<strong>broker</strong>, <strong>source factory</strong>"), "{notice}");
    listener.end().await;
}

#[tokio::test]
async fn a_name_that_never_ends_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    fill(&listener.store, &[("1A2B3C", &"🛰".repeat(10_000))]);
    for path in ["/", "/device/1A2B3C", "/map"] {
        let page = html(&listener, path).await;
        let longest = page.split(|c| c != '🛰').map(|run| run.chars().count()).max();
        assert_eq!(longest, Some(120), "{path}");
    }
    listener.end().await;
}

#[tokio::test]
async fn a_stranger_is_led_to_the_form_and_gets_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("token = \"writer\"\nread_token = \"reader\"", &dir).await;
    for (path, form) in [("/", "login?next="), ("/device/1A2B3C", "../login?next=device%2F1A2B3C")] {
        let answer = get(&listener, path).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, form));
        assert!(!answer.text().await.unwrap().contains("Tank 3"));
    }
    let form = html(&listener, "/login?next=sources").await;
    assert!(form.contains("name=\"next\" value=\"sources\"") && !form.contains("role=\"alert\""));
    assert!(!form.contains("<nav"), "what cannot be seen is not offered");
    assert!(html(&listener, "/login?wrong&next=sources").await.contains("This is not the token."));

    let shown = |token: &str| listener.request(Method::GET, "/device/1A2B3C").bearer_auth(token).send();
    let page = shown("writer").await.unwrap().text().await.unwrap();
    assert!(page.contains("Push a downlink") && page.contains("Log out"));
    let page = shown("reader").await.unwrap().text().await.unwrap();
    assert!(!page.contains("<button>") && !page.contains("Push a downlink"), "a reader changes nothing");
    listener.end().await;
}

#[tokio::test]
async fn a_downlink_is_pushed_and_cancelled_by_plain_forms() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("", &dir).await;
    let pushed = send(&listener, "/device/1a2b3c", "verb=push&data=0123+4567+89AB+cdef").await;
    assert_eq!((pushed.status().as_u16(), header(&pushed, "location")), (303, "1A2B3C#downlinks"));
    let page = html(&listener, "/device/1A2B3C").await;
    assert!(page.contains("0123456789abcdef") && page.contains(">queued<"), "{page}");
    let item = page.split("<code class=\"item\">").nth(1).unwrap().split('<').next().unwrap();
    let cancelled = send(&listener, "/device/1A2B3C", &format!("verb=cancel&item={item}")).await;
    assert_eq!(cancelled.status(), 303);
    assert!(html(&listener, "/device/1A2B3C").await.contains(">cancelled<"));

    for (form, words) in [
        ("verb=push&data=00", "exactly 8"),
        ("verb=push&data=", "nothing to send"),
        ("verb=push&fields=%7B", "no JSON object"),
        ("verb=cancel&item=nothing", "nothing"),
        ("verb=cancel", "was not said"),
    ] {
        let refused = send(&listener, "/device/1A2B3C", form).await;
        assert_eq!(refused.status(), 422, "{form}");
        let page = refused.text().await.unwrap();
        let alert = page.split("role=\"alert\">").nth(1).unwrap().split('<').next().unwrap();
        assert!(alert.contains(words), "{form}: {alert}");
    }
    assert_eq!(send(&listener, "/device/1A2B3C", &"x".repeat(70_000)).await.status(), 413);
    let foreign = listener.request(Method::POST, "/device/1A2B3C").header("origin", "https://evil.example");
    assert_eq!(foreign.body("verb=cancel&all=yes").send().await.unwrap().status(), 403);
    listener.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_on_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener("", &dir).await;
    for (path, words) in [
        ("/device/FFFF", "No device FFFF is known here."),
        ("/device/nothing", "an id has 1 to 8 hex digits"),
        ("/nothing", "There is no page at this address."),
        ("/a/b/c", "There is no page at this address."),
    ] {
        let answer = get(&listener, path).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (404, "text/html; charset=utf-8")
        );
        assert!(answer.text().await.unwrap().contains(words), "{path}");
    }
    for (path, accept) in [("/nothing", "*/*"), ("/api/v1/nothing", "text/html")] {
        let answer = listener.request(Method::GET, path).header("accept", accept).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (404, "application/json"));
    }
    listener.end().await;
}

#[tokio::test]
async fn of_a_thousand_devices_a_page_shows_fifty_and_the_search_finds_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    let devices: Vec<(String, String)> =
        (0..1000).map(|number| (format!("{:X}", 0x10_0000 + number), format!("Meter {number:04}"))).collect();
    let devices: Vec<(&str, &str)> = devices.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    fill(&listener.store, &devices);
    let rows = |page: &str| page.matches("<tr id=").count();
    let first = html(&listener, "/").await;
    assert!(first.contains("<strong>1000</strong> in all, <strong>1000</strong> online"));
    assert!(first.contains("Page 1 of 20") && first.contains("Meter 0049") && !first.contains("Meter 0050"));
    assert_eq!(rows(&first), 50);
    for (query, count) in [
        ("?page=20", 50),
        ("?page=99999", 50),
        ("?page=x", 50),
        ("?q=meter+0999", 1),
        ("?q=1003e7", 1),
        ("?q=factory&page=2", 50),
        ("?q=nothing", 0),
        ("?state=offline", 0),
        ("?state=online&q=Meter+00", 50),
    ] {
        assert_eq!(rows(&html(&listener, &format!("/{query}")).await), count, "{query}");
    }
    listener.end().await;
}

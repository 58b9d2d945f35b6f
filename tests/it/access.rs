//! Who is let in to what the listener shows, as a browser, a script and another site's page meet it.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};

use crate::listener::Listener;

const TOKENS: &str = "token = \"writer\"\nread_token = \"reader\"";
const SHOWN: &str = "/api/v1/sources";

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn what_is_shown_needs_a_token_and_health_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start_with(&dir, TOKENS).await;
    let get = |path: &str| listener.request(Method::GET, path);
    assert_eq!(status(get("/healthz")).await, 200);
    assert_eq!(status(get(SHOWN).bearer_auth("writer")).await, 200);
    assert_eq!(status(get(SHOWN).bearer_auth("reader")).await, 200);
    assert_eq!(status(get(SHOWN).basic_auth("anybody", Some("writer"))).await, 200);
    assert_eq!(status(get(SHOWN).bearer_auth("wrong")).await, 401);
    assert_eq!(status(get(SHOWN).bearer_auth("callback-token")).await, 401);
    let refused = get(SHOWN).header("accept", "text/html").send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "www-authenticate").contains("Bearer")),
        (401, true)
    );
    assert_eq!(status(listener.request(Method::POST, SHOWN).bearer_auth("reader")).await, 403);
    assert_eq!(listener.counts().unauthorized, 2);
    listener.end().await;
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_ends_with_the_logout() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start_with(&dir, TOKENS).await;
    let log_in = |token: &str| {
        let form = format!("token={token}&next=device%2F1A2B3C");
        listener.request(Method::POST, "/login").body(form)
    };
    let answer = log_in("reader").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "location").as_str()), (303, "device/1A2B3C"));
    let cookie = header(&answer, "set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "a browser would not send it back over http: {cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = |method, path: &str| listener.request(method, path).header("cookie", &cookie);
    assert_eq!(status(with_cookie(Method::GET, SHOWN)).await, 200);
    assert_eq!(status(with_cookie(Method::POST, SHOWN)).await, 403, "the token was the reader's");

    assert_eq!(status(log_in("wrong")).await, 401);
    let again = log_in("wrong").header("accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(header(&again, "location"), "login?wrong&next=device%2F1A2B3C");
    assert_eq!(header(&again, "set-cookie"), "");
    assert_eq!(status(log_in("reader").header("origin", "https://evil.example")).await, 403);

    let gone = with_cookie(Method::POST, "/logout").send().await.unwrap();
    assert!(header(&gone, "set-cookie").contains("Max-Age=0"));
    assert_eq!(status(with_cookie(Method::GET, SHOWN)).await, 401);
    listener.end().await;
}

#[tokio::test]
async fn over_https_the_cookie_never_travels_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start_https(&dir, TOKENS).await;
    let answer = listener.request(Method::POST, "/login").body("token=writer").send().await.unwrap();
    assert!(header(&answer, "set-cookie").ends_with("; Secure"));
    assert_eq!(header(&answer, "location"), "./");
    listener.end().await;
}

#[tokio::test]
async fn without_a_token_this_machine_alone_is_let_in_and_no_other_site() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    for (name, value, expected) in [
        ("accept", "*/*", 200),
        ("host", "localhost:80", 200),
        ("host", "rebound.example", 403),
        ("origin", "https://evil.example", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-origin", 200),
    ] {
        let request = listener.request(Method::GET, SHOWN).header(name, value);
        assert_eq!(status(request).await, expected, "{name}: {value}");
    }
    listener.end().await;
}

#[tokio::test]
async fn every_answer_tells_browsers_to_make_nothing_else_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::start(&dir).await;
    for path in ["/healthz", SHOWN, "/nothing/here", "/callback/factory/uplink"] {
        let answer = listener.request(Method::GET, path).send().await.unwrap();
        let headers: &HeaderMap = answer.headers();
        for (name, value) in [
            ("content-security-policy", "default-src 'none'"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert!(headers[name].to_str().unwrap().contains(value), "{path} {name}");
        }
    }
    listener.end().await;
}

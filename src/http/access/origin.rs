//! Where a request comes from, by what browsers say of it and scripts cannot change. Pure.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method};

use super::is_reading;

/// Whether a page of another site sent this. Programs that are no browser say nothing of the kind and are no way
/// for another site to borrow somebody's session (Fetch Metadata, section 2.3; the origin for browsers or addresses
/// that do not say it). Another port of the same host is another site.
pub(super) fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    match text(headers, "sec-fetch-site") {
        Some("same-origin" | "none") => return false,
        // A link to the page from elsewhere is followed.
        Some(_) => return !(is_reading(method) && text(headers, "sec-fetch-mode") == Some("navigate")),
        None => {}
    }
    let Some(origin) = text(headers, ORIGIN.as_str()) else { return false };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let host = text(headers, HOST.as_str());
    !authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

/// Whether the request names this machine itself. Any other name was made to lead here by somebody else's name
/// server, who would otherwise read through a visitor's browser what is open to this machine alone.
pub(super) fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, HOST.as_str()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || name == "localhost" || name.ends_with(".localhost")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is no text is no name of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn another_sites_page_is_foreign_and_a_link_is_not() {
        let host = ("host", "gateway:8080");
        for (method, pairs, foreign) in [
            (Method::POST, vec![host], false),
            (Method::POST, vec![host, ("origin", "http://gateway:8080")], false),
            (Method::POST, vec![host, ("origin", "https://Gateway:8080")], false),
            (Method::POST, vec![host, ("origin", "http://gateway")], true),
            (Method::POST, vec![host, ("origin", "http://gateway:8080.evil.example")], true),
            (Method::POST, vec![host, ("origin", "null")], true),
            (Method::POST, vec![("origin", "http://gateway:8080")], true),
            (Method::POST, vec![host, ("sec-fetch-site", "same-origin"), ("origin", "https://proxy")], false),
            (Method::POST, vec![host, ("sec-fetch-site", "none")], false),
            (Method::POST, vec![host, ("sec-fetch-site", "same-site")], true),
            (
                Method::POST,
                vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
                true,
            ),
            (
                Method::GET,
                vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
                false,
            ),
            (Method::GET, vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], true),
            (Method::GET, vec![host, ("origin", "https://evil.example")], true),
        ] {
            assert_eq!(is_foreign(&method, &headers(&pairs)), foreign, "{method} {pairs:?}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for (host, own) in [
            ("127.0.0.1:8080", true),
            ("127.1.2.3", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("gateway.localhost", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8080", false),
            ("evil.example:8080", false),
            ("192.168.0.4:8080", false),
            ("", false),
        ] {
            assert_eq!(names_this_machine(&headers(&[("host", host)])), own, "{host}");
        }
        assert!(names_this_machine(&HeaderMap::new()), "HTTP/1.0 names no host, and no browser speaks it");
    }
}

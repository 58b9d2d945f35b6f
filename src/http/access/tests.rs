//! What each caller may do.

use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST};

use super::*;

fn access(listen: &str, token: Option<&str>) -> Access {
    let listen: SocketAddr = listen.parse().unwrap();
    let read_token = token.map(|_| SecretString::from("reader"));
    let token = token.map(SecretString::from);
    let settings = Http { listen, token, read_token, tls: None, metrics: true, tiles: None };
    Access::new(&settings, "gw1", Arc::default(), Arc::default())
}

fn with(headers: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

#[test]
fn reading_and_writing_need_the_token_where_there_is_one() {
    let access = access("127.0.0.1:80", Some("writer"));
    let start = Instant::now();
    access.sessions().begin("s".to_owned(), Grant::Read, start);
    let unknown = |is_wrong| Verdict::Unknown { is_wrong };
    for (name, value, reading, writing) in [
        (HOST, "gateway", unknown(false), unknown(false)),
        (AUTHORIZATION, "Bearer writer", Verdict::Granted(Grant::Write), Verdict::Granted(Grant::Write)),
        (AUTHORIZATION, "Bearer reader", Verdict::Granted(Grant::Read), Verdict::ReadOnly),
        (AUTHORIZATION, "Bearer wrong", unknown(true), unknown(true)),
        (AUTHORIZATION, "Bearer ", unknown(true), unknown(true)),
        (AUTHORIZATION, "nonsense", unknown(true), unknown(true)),
        (COOKIE, "sigfox2mqtt-gw1=s", Verdict::Granted(Grant::Read), Verdict::ReadOnly),
        (COOKIE, "sigfox2mqtt-gw2=s", unknown(false), unknown(false)),
        (COOKIE, "sigfox2mqtt-gw1=forged", unknown(false), unknown(false)),
    ] {
        let headers = with(&[(name, value)]);
        assert_eq!(access.judge(&Method::GET, &headers, start), reading, "{value}");
        assert_eq!(access.judge(&Method::POST, &headers, start), writing, "{value}");
        assert_eq!(access.judge(&Method::DELETE, &headers, start), writing, "{value}");
    }
}

#[test]
fn without_a_token_only_this_machine_by_its_own_name_is_let_in() {
    let access = access("127.0.0.1:80", None);
    for (host, granted) in [("127.0.0.1:80", true), ("localhost", true), ("rebound.example", false)] {
        let verdict = access.judge(&Method::POST, &with(&[(HOST, host)]), Instant::now());
        assert_eq!(verdict == Verdict::Granted(Grant::Write), granted, "{host}: {verdict:?}");
    }
}

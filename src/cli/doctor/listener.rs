//! Looks at the address that callbacks are to come to, as far as can be told from here.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::Finding;
use crate::config::{Config, Source};

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let check = "callbacks";
    let called: Vec<_> = config.sources.iter().filter(|source| source.callback_token.is_some()).collect();
    let Some(http) = &config.http else {
        let missing = |source: &&Source| {
            let name = &source.name;
            Finding::fail(
                check,
                format!("sources.{name} waits for callbacks, but nothing listens: add [http] with `listen`"),
            )
        };
        return called.iter().map(missing).collect();
    };
    let mut findings = vec![address(http.listen)];
    for source in called {
        let path = format!("/callback/{}/…", source.name);
        findings.push(if http.listen.ip().is_loopback() {
            let message = format!(
                "{path} is heard on this machine only: a reverse proxy or tunnel must hand it to {}; whether one does cannot be told from here",
                http.listen
            );
            Finding::warn(check, message)
        } else if http.tls.is_none() {
            Finding::warn(check, format!("{path} is heard unencrypted: set tls_cert_file and tls_key_file, or use a reverse proxy"))
        } else {
            Finding::pass(check, format!("{path} is heard on https port {}; whether the cloud reaches it cannot be told from here", http.listen.port()))
        });
    }
    findings
}

fn address(listen: SocketAddr) -> Finding {
    let check = "listener";
    if TcpListener::bind(listen).is_ok() {
        return Finding::pass(check, format!("{listen} is free for the daemon"));
    }
    match TcpStream::connect_timeout(&listen, Duration::from_secs(2)) {
        Ok(_) => Finding::pass(check, format!("{listen} is in use, which is right if the daemon runs")),
        Err(error) => Finding::fail(
            check,
            format!("{listen} can be neither bound nor reached ({error}): change http.listen"),
        ),
    }
}

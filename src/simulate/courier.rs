//! Lets the world go on: devices send when their time has come, and callbacks are called over HTTP.
//!
//! Judges no answer; that is the world's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::world::{Delivery, Outcome};

/// The cloud waits so long for an answer, at whatever speed the world lives: it is the gateway's real time.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer is read further.
const LONGEST_ANSWER: usize = 64 * 1024;
/// So many callbacks are called at once; the others wait in the agenda.
const AT_ONCE: usize = 500;

/// Runs until told to stop; callbacks under way are abandoned, as a cloud's are when it restarts.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) -> anyhow::Result<()> {
    let client = client()?;
    let mut under_way = FuturesUnordered::new();
    shared.world().start(shared.now());
    loop {
        // Registered before the agenda is looked at, so that nothing that is added in between is missed.
        let changed = shared.changed.notified();
        let now = shared.now();
        let mut wait = Duration::from_secs(3600);
        if under_way.len() < AT_ONCE {
            let mut world = shared.world();
            under_way.extend(world.advance(now).into_iter().map(|delivery| call(&client, delivery)));
            wait = world.next_due().map_or(wait, |due| shared.clock.real(due.since(now)));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = changed => {}
            () = tokio::time::sleep(wait) => {}
            Some((delivery, outcome)) = under_way.next() => {
                let now = shared.now();
                shared.world().settle(delivery, &outcome, now);
            }
        }
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    // Callbacks go to https addresses too; the first provider that anyone installs stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    Ok(reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?)
}

async fn call(client: &reqwest::Client, delivery: Delivery) -> (Delivery, Outcome) {
    let outcome = answer(client, &delivery).await.unwrap_or_else(|error| {
        Outcome::Failed(if error.is_timeout() { "timeout" } else { "no answer" }.to_owned())
    });
    tracing::debug!(url = delivery.url(), failed = delivery.failed, ?outcome, "callback called");
    (delivery, outcome)
}

async fn answer(client: &reqwest::Client, delivery: &Delivery) -> Result<Outcome, reqwest::Error> {
    let callback = &delivery.callback;
    let method = match callback.method.as_str() {
        "GET" => reqwest::Method::GET,
        "PUT" => reqwest::Method::PUT,
        _ => reqwest::Method::POST,
    };
    let mut request = client.request(method, delivery.url());
    for (name, value) in &callback.headers {
        request = request.header(name, value);
    }
    if let Some(body) = delivery.body() {
        request = request.header("Content-Type", &callback.content_type).body(body);
    }
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Ok(Outcome::Failed("answer too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Outcome::Answered { status, body })
}

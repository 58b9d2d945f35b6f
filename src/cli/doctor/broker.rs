//! Tries the broker: connects, logs in and subscribes to what the daemon subscribes to.

use std::time::Duration;

use super::Finding;
use crate::config::{Config, Mqtt};
use crate::mqtt::topic::Topics;
use crate::mqtt::watch::watch;

/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn try_out(config: &Config) -> Finding {
    let check = "broker";
    if config.mqtt.url.scheme() == "embedded" {
        return Finding::pass(
            check,
            format!("the built-in one starts with the daemon on {}", config.mqtt.url),
        );
    }
    match connect(&config.mqtt).await {
        Ok(()) => Finding::pass(check, format!("{} lets us in and takes our subscriptions", config.mqtt.url)),
        Err(error) => {
            let advice = "look at [mqtt]: url, username, password_file, ca_file; and at the broker's rules for this user";
            Finding::fail(check, format!("{error:#}: {advice}"))
        }
    }
}

/// Connects as any client would, under a name of its own: a running daemon keeps its session.
pub(in crate::cli) async fn connect(mqtt: &Mqtt) -> anyhow::Result<()> {
    let filters = Topics::new(&mqtt.base, &mqtt.discovery.prefix).subscriptions();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let watched = tokio::time::timeout(PATIENCE, watch(mqtt, &filters)).await;
    let watched = watched.unwrap_or_else(|_elapsed| {
        anyhow::bail!("{} does not answer within {} s", mqtt.url, PATIENCE.as_secs())
    });
    drop(watched?);
    Ok(())
}

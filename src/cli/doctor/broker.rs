//! Tries the broker: connects, logs in and subscribes to what the daemon subscribes to; and looks who else is there.

use std::time::Duration;

use serde_json::Value;

use super::Finding;
use crate::config::{Config, Mqtt};
use crate::mqtt::topic::Topics;
use crate::mqtt::watch::watch;

/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the broker may take to bring what it keeps.
const GLANCE: Duration = Duration::from_secs(1);

pub(super) async fn try_out(config: &Config) -> Vec<Finding> {
    let check = "broker";
    if config.mqtt.url.scheme() == "embedded" {
        let found = format!("the built-in one starts with the daemon on {}", config.mqtt.url);
        return vec![Finding::pass(check, found)];
    }
    match connect(&config.mqtt).await {
        Ok(()) => {
            let found = format!("{} lets us in and takes our subscriptions", config.mqtt.url);
            let tried = Finding::pass(check, found);
            std::iter::once(tried).chain(neighbour(config).await).collect()
        }
        Err(error) => {
            let advice = "look at [mqtt]: url, username, password_file, ca_file; and at the broker's rules for this user";
            vec![Finding::fail(check, format!("{error:#}: {advice}"))]
        }
    }
}

/// Another gateway that publishes below our base, as far as we may read what the broker keeps.
async fn neighbour(config: &Config) -> Option<Finding> {
    let topics = Topics::new(&config.mqtt.base, &config.mqtt.discovery.prefix);
    let (info, state) = (topics.bridge("info"), topics.bridge("state"));
    let mut kept = watch(&config.mqtt, &[&info, &state]).await.ok()?;
    let (mut other, mut is_online) = (None, false);
    while let Ok(Ok(seen)) = tokio::time::timeout(GLANCE, kept.next()).await {
        let document: Value = serde_json::from_slice(&seen.payload).unwrap_or_default();
        let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        if seen.topic == info {
            other = text("gateway").filter(|gateway| *gateway != config.gateway.id);
        } else {
            is_online = text("state").as_deref() == Some("online");
        }
        if other.is_some() && is_online {
            break;
        }
    }
    let other = other.filter(|_| is_online)?;
    let base = &config.mqtt.base;
    let message =
        format!("gateway `{other}` publishes below `{base}` as well: give each gateway its own mqtt.base");
    Some(Finding::warn("broker", message))
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

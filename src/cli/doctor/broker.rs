//! Tries the broker: connects, logs in and subscribes to what the daemon subscribes to; and looks who else is there.

use std::time::Duration;

use serde_json::{Value, json};

use super::Finding;
use crate::config::{Config, DiscoveryMode, Mqtt};
use crate::model::DeviceId;
use crate::mqtt::topic::Topics;
use crate::mqtt::watch::watch;
use crate::mqtt::{Fault, Properties, Publish, Verdict};
use crate::publish::document::Hello;

/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the broker may take to bring back what we say.
const ECHO: Duration = Duration::from_secs(3);

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
            let mut findings = vec![Finding::pass(check, found)];
            match neighbour(config).await {
                // It would take our hello for a gateway's.
                Some(other) => findings.push(other),
                None => findings.extend(rights(config).await.map(|message| Finding::fail(check, message))),
            }
            findings
        }
        Err(error) => {
            let advice = "look at [mqtt]: url, username, password_file, ca_file; and at the broker's rules for this user";
            vec![Finding::fail(check, format!("{error:#}: {advice}"))]
        }
    }
}

/// What the broker's rules keep us from. Many brokers take a subscription and then bring nothing, and drop what may not
/// be written without a word, so a hello is said and waited for; MQTT 5 also answers each publish.
async fn rights(config: &Config) -> Option<String> {
    let mqtt = &config.mqtt;
    let topics = Topics::new(&mqtt.base, &mqtt.discovery.prefix);
    let hello = topics.hello();
    let asked = tokio::time::timeout(PATIENCE, async {
        let mut client = watch(mqtt, &[&hello]).await?;
        let mut denied = Vec::new();
        // Empty and not kept: nobody makes anything of them.
        for topic in trials(config, &topics) {
            if let Verdict::Refused(_) = client.publish(&message(&topic, String::new())).await? {
                denied.push(topic);
            }
        }
        let greeting = message(&hello, json!(Hello::new(&config.gateway.id, true)).to_string());
        if let Verdict::Refused(_) = client.publish(&greeting).await? {
            denied.push(hello.clone());
        }
        let came_back = async {
            while client.next().await?.topic != hello {}
            Ok::<(), Fault>(())
        };
        let is_heard = matches!(tokio::time::timeout(ECHO, came_back).await, Ok(Ok(())));
        Ok::<_, anyhow::Error>((denied, is_heard))
    });
    let Ok(Ok((denied, is_heard))) = asked.await else { return None };
    let user = mqtt.username.as_deref().unwrap_or("without a name");
    let advice = "give it the rights in config/mosquitto-gateway.acl";
    if !denied.is_empty() {
        return Some(format!("its rules do not let user {user} write to {}: {advice}", denied.join(", ")));
    }
    (!is_heard).then(|| {
        format!("its rules do not let user {user} write to {hello}, or not read there, so no command would arrive: {advice}")
    })
}

/// A topic of every kind that the daemon publishes, of a device that is none.
fn trials(config: &Config, topics: &Topics) -> Vec<String> {
    let device = DeviceId::new(0, 1);
    let mut trials: Vec<String> =
        ["info", "state", "event/doctor"].map(|name| topics.device(device, name)).into();
    trials.push(topics.response("doctor"));
    if config.mqtt.discovery.mode != DiscoveryMode::Off {
        trials.push(topics.discovery("device", &format!("sigfox2mqtt_{}_doctor", config.gateway.id)));
    }
    trials
}

fn message(topic: &str, payload: String) -> Publish {
    Publish {
        topic: topic.to_owned(),
        payload: payload.into(),
        retain: false,
        properties: Properties::default(),
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

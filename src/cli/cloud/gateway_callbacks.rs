//! `cloud sigfox callbacks new TYPE --for-gateway URL`: makes the callbacks that this gateway wants, and leaves alone
//! those that are there already.

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{Options, answer};
use crate::cli::output;
use crate::cloud::Error;
use crate::cloud::sigfox::{Callback, Sigfox};
use crate::config::Source;
use crate::model::{DownlinkMode, SourceName};

/// A callback that the gateway takes: the last level of its address, `callbackType` and `callbackSubtype` of the API,
/// and its variables. A quoted one is a text that may hold a number or `null`; an object is injected as it is
/// (support.sigfox.com: bidir, data-advanced, acknowledge, error-callbacks).
struct Wanted {
    path: &'static str,
    codes: (u8, u8),
    quoted: &'static [&'static str],
    injected: &'static [&'static str],
}

/// BIDIR brings every message, so UPLINK is not among them; GEOLOC can no longer be made.
const WANTED: [Wanted; 5] = [
    Wanted {
        path: "bidir",
        codes: (0, 3),
        quoted: &["device", "time", "data", "seqNumber", "ack", "longPolling", "rssi", "station"],
        injected: &[],
    },
    Wanted {
        path: "ack",
        codes: (1, 4),
        quoted: &["device", "time", "infoCode", "infoMessage", "downlinkAck", "downlinkOverusage"],
        injected: &[],
    },
    Wanted {
        path: "advanced",
        codes: (1, 6),
        quoted: &["device", "time", "data", "seqNumber", "lqi", "operatorName", "countryCode"],
        injected: &["duplicates", "computedLocation"],
    },
    Wanted {
        path: "status",
        codes: (1, 0),
        quoted: &["device", "time", "temp", "batt", "seqNumber"],
        injected: &[],
    },
    Wanted { path: "error", codes: (2, 2), quoted: &["device", "time", "severity", "info"], injected: &[] },
];

/// Makes what is missing, each for itself; shows what became of each.
pub(super) async fn make(
    cloud: &Sigfox,
    source: &Source,
    device_type: &str,
    gateway: &Url,
    options: &Options,
) -> anyhow::Result<()> {
    let name = &source.name;
    let token = source.callback_token.as_ref().with_context(|| {
        format!("sources.{name} has no `callback_token`: the gateway would refuse the cloud's callbacks")
    })?;
    let there = cloud.callbacks(device_type).send().await?;
    let (mut rows, mut failed) = (Vec::new(), 0);
    for wanted in &WANTED {
        let address = address(gateway, name, wanted.path)?;
        let known = there.iter().find(|callback| wanted.is(callback, &address));
        let made = match known {
            Some(known) => Ok((known.id.clone(), "there already")),
            None => new(cloud, device_type, wanted, &address, token).await.map(|id| (Some(id), "made")),
        };
        rows.push(match made {
            Ok((id, outcome)) => json!({ "kind": wanted.path, "outcome": outcome, "id": id, "url": address.as_str() }),
            Err(error) => {
                failed += 1;
                json!({ "kind": wanted.path, "outcome": error.to_string(), "id": null, "url": address.as_str() })
            }
        });
    }
    answer::show(&Value::from(rows), options)?;
    let mode = cloud.device_type(device_type).send().await?.downlink;
    if mode.is_some_and(|mode| mode != DownlinkMode::Callback) {
        output::complain(&format!(
            "its downlink mode is not CALLBACK, so nobody is asked for downlinks: \
             `sigfox2mqtt cloud sigfox device-types edit {device_type} downlinkMode=1` sets it"
        ));
    }
    if failed > 0 {
        bail!("{failed} of {} callbacks could not be made", WANTED.len());
    }
    Ok(())
}

async fn new(
    cloud: &Sigfox,
    device_type: &str,
    wanted: &Wanted,
    address: &Url,
    token: &SecretString,
) -> Result<String, Error> {
    let id = cloud.new_callback(device_type, wanted.body(address, token)).send().await?;
    if wanted.path == "bidir" {
        // Of several only this one is asked for downlinks.
        cloud.downlink_callback(device_type, &id).send().await?;
    }
    Ok(id)
}

impl Wanted {
    fn is(&self, callback: &Callback, address: &Url) -> bool {
        let (callback_type, subtype) = (i64::from(self.codes.0), i64::from(self.codes.1));
        callback.callback_type == Some(callback_type)
            && (callback_type == 2 || callback.callback_subtype == Some(subtype))
            && callback.url.as_deref() == Some(address.as_str())
    }

    /// As the API takes it (v2 `createUrlCallback`).
    fn body(&self, address: &Url, token: &SecretString) -> Value {
        json!({
            "channel": "URL",
            "callbackType": self.codes.0,
            "callbackSubtype": self.codes.1,
            "enabled": true,
            "url": address.as_str(),
            "httpMethod": "POST",
            "headers": { "Authorization": format!("Bearer {}", token.expose_secret()) },
            "sendSni": address.scheme() == "https",
            "contentType": "application/json",
            "bodyTemplate": self.template(),
        })
    }

    fn template(&self) -> String {
        let quoted = self.quoted.iter().map(|name| format!("\"{name}\":\"{{{name}}}\""));
        let injected = self.injected.iter().map(|name| format!("\"{name}\":{{{name}}}"));
        format!("{{{}}}", quoted.chain(injected).collect::<Vec<_>>().join(","))
    }
}

/// Where the gateway behind this address takes callbacks of a kind.
fn address(gateway: &Url, source: &SourceName, path: &str) -> anyhow::Result<Url> {
    let mut address = gateway.clone();
    let wrong = || format!("{gateway} is no address of a gateway, expected such as https://gateway.example");
    address.path_segments_mut().ok().with_context(wrong)?.pop_if_empty().extend([
        "callback",
        source.as_str(),
        path,
    ]);
    if !matches!(address.scheme(), "http" | "https") || address.query().is_some() {
        bail!(wrong());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lie_below_the_gateway_s() {
        let source: SourceName = "factory".parse().unwrap();
        for (gateway, expected) in [
            ("https://gw.example", Some("https://gw.example/callback/factory/ack")),
            ("https://gw.example/", Some("https://gw.example/callback/factory/ack")),
            ("http://gw.example:8080/sigfox", Some("http://gw.example:8080/sigfox/callback/factory/ack")),
            ("mqtt://gw.example", None),
            ("mailto:gw", None),
            ("https://gw.example/?a=b", None),
        ] {
            let address = address(&gateway.parse().unwrap(), &source, "ack").ok();
            assert_eq!(address.map(String::from).as_deref(), expected, "{gateway}");
        }
    }

    #[test]
    fn every_template_is_json_once_its_variables_are_filled_in() {
        for wanted in &WANTED {
            let mut filled = wanted.template();
            for name in wanted.quoted {
                filled = filled.replace(&format!("{{{name}}}"), "null");
            }
            for name in wanted.injected {
                filled = filled.replace(&format!("{{{name}}}"), "[]");
            }
            assert!(serde_json::from_str::<Value>(&filled).unwrap().is_object(), "{filled}");
        }
    }
}

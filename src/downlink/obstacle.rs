//! Why downlinks of a device will not be sent as things are in its cloud: its type's mode, its type's callbacks.

use super::Queues;
use crate::cloud::sigfox::Callback;
use crate::config::{Config, DownlinkVia};
use crate::model::{Device, DownlinkMode, SourceName};
use crate::store::{Store, StoreError};

/// `callbackType` and `callbackSubtype` of DATA/BIDIR (Sigfox API v2, callbacks).
const BIDIR: (Option<i64>, Option<i64>) = (Some(0), Some(3));

/// Why an item of this device will not be sent as things are, beginning with a word that programs can tell. It is
/// queued all the same: things can be set right before it expires.
#[must_use]
pub fn obstacle(store: &Store, config: &Config, device: &Device) -> Option<String> {
    let source = config.sources.iter().find(|source| source.name == device.source)?;
    let known =
        device.device_type.as_deref().and_then(|id| store.device_type(&source.name, id).ok().flatten());
    if let Some(reason) = wrong_mode(source.downlink, known.as_ref().and_then(|known| known.downlink)) {
        return Some(reason.to_owned());
    }
    if source.downlink != DownlinkVia::Callback {
        return None;
    }
    let note = store.note(&key(&source.name, &known?.id)).ok().flatten()?;
    String::from_utf8(note).ok().filter(|fault| !fault.is_empty())
}

fn wrong_mode(via: DownlinkVia, mode: Option<DownlinkMode>) -> Option<&'static str> {
    match (via, mode) {
        (DownlinkVia::None, _) => Some("no_downlink: the device's source has downlink = \"none\""),
        (DownlinkVia::Callback, Some(DownlinkMode::Direct | DownlinkMode::None | DownlinkMode::Managed)) => {
            Some("wrong_mode: the device type's downlink mode in the Sigfox cloud is not `callback`")
        }
        (DownlinkVia::Direct, Some(DownlinkMode::Callback | DownlinkMode::None | DownlinkMode::Managed)) => {
            Some("wrong_mode: the device type's downlink mode in the Sigfox cloud is not `direct`")
        }
        _ => None,
    }
}

/// What keeps a device type's callbacks from asking this gateway for downlinks, beginning with a word that programs
/// can tell.
#[must_use]
pub fn callback_fault(callbacks: &[Callback], source: &SourceName) -> Option<String> {
    let bidir = |callback: &&Callback| {
        (callback.callback_type, callback.callback_subtype) == BIDIR && callback.enabled != Some(false)
    };
    let ours = format!("/callback/{source}/bidir");
    let to_us = |callback: &Callback| {
        callback
            .url
            .as_deref()
            .is_some_and(|url| url.split(['?', '#']).next().unwrap_or(url).ends_with(&ours))
    };
    let enabled: Vec<&Callback> = callbacks.iter().filter(bidir).collect();
    // Where the cloud does not say which one it asks, any may be it.
    let asked: Vec<&Callback> =
        enabled.iter().copied().filter(|callback| callback.downlink != Some(false)).collect();
    let fault = match (enabled.as_slice(), asked.as_slice()) {
        ([], _) => "no_callback: the device type has no BIDIR callback that is enabled".to_owned(),
        (_, []) => {
            "no_callback: none of the device type's BIDIR callbacks is the one for downlinks".to_owned()
        }
        (_, asked) if !asked.iter().any(|callback| to_us(callback)) => {
            format!("wrong_callback: the device type's BIDIR callback does not go to …{ours}")
        }
        (_, asked) if asked.iter().all(|callback| callback.dead == Some(true)) => {
            "dead_callback: the cloud has given up the device type's BIDIR callback".to_owned()
        }
        _ => return None,
    };
    Some(fault)
}

impl Queues {
    /// Takes down what a look at a device type's callbacks found.
    pub fn note_callbacks(
        &self,
        source: &SourceName,
        device_type: &str,
        callbacks: &[Callback],
    ) -> Result<(), StoreError> {
        let fault = callback_fault(callbacks, source).unwrap_or_default();
        let key = key(source, device_type);
        if self.store.note(&key)?.unwrap_or_default() != fault.as_bytes() {
            self.store.set_note(&key, fault.as_bytes())?;
            self.store.device_type_changed(source, device_type);
            if !fault.is_empty() {
                tracing::warn!(%source, device_type, fault, "no downlinks for a device type");
            }
        }
        Ok(())
    }
}

fn key(source: &SourceName, device_type: &str) -> String {
    format!("bidir/{source}/{device_type}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(subtype: i64, url: &str) -> Callback {
        Callback {
            id: None,
            channel: Some("URL".to_owned()),
            callback_type: Some(0),
            callback_subtype: Some(subtype),
            url: Some(url.to_owned()),
            http_method: None,
            enabled: Some(true),
            dead: None,
            downlink: Some(subtype == 3),
        }
    }

    #[test]
    fn what_keeps_the_cloud_from_asking_us_is_said() {
        let source = "factory".parse().unwrap();
        let right = callback(3, "https://gateway.example/callback/factory/bidir");
        let query = Callback {
            url: Some("https://g.example/x/callback/factory/bidir?a=b".to_owned()),
            ..right.clone()
        };
        let off = Callback { enabled: Some(false), ..right.clone() };
        let other = Callback { downlink: Some(false), ..right.clone() };
        let v1 = Callback { downlink: None, dead: None, ..right.clone() };
        let dead = Callback { dead: Some(true), ..right.clone() };
        let elsewhere = callback(3, "https://gateway.example/callback/office/bidir");
        let uplink = callback(2, "https://gateway.example/callback/factory/uplink");
        for (callbacks, word) in [
            (vec![right.clone()], None),
            (vec![uplink.clone(), query], None),
            (vec![v1], None),
            (vec![off, right.clone()], None),
            (vec![], Some("no_callback")),
            (vec![uplink], Some("no_callback")),
            (vec![other], Some("no_callback")),
            (vec![elsewhere], Some("wrong_callback")),
            (vec![dead], Some("dead_callback")),
        ] {
            let fault = callback_fault(&callbacks, &source);
            assert_eq!(fault.as_deref().and_then(|fault| fault.split(':').next()), word, "{callbacks:?}");
        }
    }
}

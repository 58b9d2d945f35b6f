//! `cloud sigfox callbacks`.

use clap::Subcommand;
use serde_json::Value;
use url::Url;

use super::sigfox::Within;
use super::{Options, answer, gateway_callbacks};
use crate::cloud::sigfox::{Sigfox, UndeliveredOf};
use crate::config::Source;
use crate::model::DeviceId;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the callbacks of a device type
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks list 5f0000000000000000000001")]
    List { device_type: String },
    /// Makes a callback and prints its id, or makes those that this gateway wants
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks new 5f0000000000000000000001 --for-gateway https://gateway.example"
    )]
    New {
        device_type: String,
        /// The callback in the API's own names: JSON, @FILE, or - for standard input
        #[arg(value_name = "JSON", required_unless_present = "for_gateway")]
        callback: Option<String>,
        /// Makes every callback that the gateway takes, with the source's token; this is where the cloud reaches it
        #[arg(long, value_name = "URL", conflicts_with = "callback")]
        for_gateway: Option<Url>,
    },
    /// Changes keys of a callback (v2)
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks update 5f0000000000000000000001 5f00000000000000000000c1 '{\"sendSni\":true}'"
    )]
    Update {
        device_type: String,
        callback: String,
        /// What changes in the API's own names: JSON, @FILE, or - for standard input
        #[arg(value_name = "JSON")]
        change: String,
    },
    /// Deletes a callback
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks delete 5f0000000000000000000001 5f00000000000000000000c1"
    )]
    Delete { device_type: String, callback: String },
    /// Switches a callback on
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks enable 5f0000000000000000000001 5f00000000000000000000c1"
    )]
    Enable { device_type: String, callback: String },
    /// Switches a callback off
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks disable 5f0000000000000000000001 5f00000000000000000000c1"
    )]
    Disable { device_type: String, callback: String },
    /// Makes a callback the one that answers with downlinks
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks downlink 5f0000000000000000000001 5f00000000000000000000c1"
    )]
    Downlink { device_type: String, callback: String },
    /// Lists callbacks that did not arrive, the newest first
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks errors --device 1A2B3C --from 1d")]
    Errors {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        within: Within,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Of {
    /// Of this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Of all devices of this type
    #[arg(long, value_name = "ID")]
    device_type: Option<String>,
    /// Of all devices of this group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
}

pub(super) async fn execute(
    cloud: &Sigfox,
    source: &Source,
    verb: &Verb,
    options: &Options,
) -> anyhow::Result<()> {
    match verb {
        Verb::List { device_type } => answer::one(cloud.callbacks(device_type), options).await,
        Verb::New { device_type, for_gateway: Some(gateway), .. } => {
            gateway_callbacks::make(cloud, source, device_type, gateway, options).await
        }
        Verb::New { device_type, callback, .. } => {
            let callback = json(callback.as_deref().unwrap_or_default())?;
            answer::one(cloud.new_callback(device_type, callback), options).await
        }
        Verb::Update { device_type, callback, change } => {
            answer::done(cloud.update_callback(device_type, callback, json(change)?), options).await
        }
        Verb::Delete { device_type, callback } => {
            answer::confirm(&format!("deleting callback {callback} of device type {device_type}"), options)?;
            answer::done(cloud.delete_callback(device_type, callback), options).await
        }
        Verb::Enable { device_type, callback } => {
            answer::done(cloud.enable_callback(device_type, callback, true), options).await
        }
        Verb::Disable { device_type, callback } => {
            answer::done(cloud.enable_callback(device_type, callback, false), options).await
        }
        Verb::Downlink { device_type, callback } => {
            answer::done(cloud.downlink_callback(device_type, callback), options).await
        }
        Verb::Errors { of, within } => {
            let of = match of {
                Of { device: Some(id), .. } => UndeliveredOf::Device(*id),
                Of { device_type: Some(id), .. } => UndeliveredOf::DeviceType(id.clone()),
                Of { group, .. } => UndeliveredOf::Group(group.clone().unwrap_or_default()),
            };
            answer::list(cloud.undelivered(&of, within.into()), options).await
        }
    }
}

fn json(argument: &str) -> anyhow::Result<Value> {
    let value = super::argument::json(argument, "the callback")?;
    anyhow::ensure!(value.is_object(), "the callback is no JSON object");
    Ok(value)
}

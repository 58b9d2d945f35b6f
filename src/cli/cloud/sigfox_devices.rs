//! `cloud sigfox devices`.

use clap::Subcommand;

use super::sigfox::Within;
use super::{Options, answer};
use crate::cloud::sigfox::{DeviceFilter, Sigfox};
use crate::model::DeviceId;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists devices
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices list --all")]
    List {
        /// Of this type; v1 has no other list
        #[arg(long, value_name = "ID")]
        device_type: Option<String>,
        /// Of this group (v2)
        #[arg(long, value_name = "ID")]
        group: Option<String>,
    },
    /// Shows a device
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices get 1A2B3C --raw")]
    Get { id: DeviceId },
    /// Tells whether a device may send
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices token 1A2B3C")]
    Token { id: DeviceId },
    /// Lists messages, the newest first
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices messages 1A2B3C --limit 10")]
    Messages(Of),
    /// Lists places, the newest first
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices locations 1A2B3C --from 1d")]
    Locations(Of),
    /// Lists errors (v1)
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices errors 1A2B3C")]
    Errors(Of),
    /// Lists warnings (v1)
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices warnings 1A2B3C")]
    Warnings(Of),
    /// Tells whether the network hears a device (v1)
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices network-state 1A2B3C")]
    NetworkState { id: DeviceId },
    /// Counts the messages of the last day, week and month
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices metrics 1A2B3C")]
    Metrics { id: DeviceId },
    /// Tells what a device used of its contract in a year
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices consumption 1A2B3C 2026")]
    Consumption {
        id: DeviceId,
        year: u16,
        /// Only this month, 1 to 12 (v2)
        #[arg(value_parser = clap::value_parser!(u8).range(1..=12))]
        month: Option<u8>,
    },
    /// Accepts the next message whatever its sequence number (v2)
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox devices disengage 1A2B3C")]
    Disengage { id: DeviceId },
}

#[derive(Debug, clap::Args)]
pub(super) struct Of {
    id: DeviceId,
    #[command(flatten)]
    within: Within,
}

pub(super) async fn execute(cloud: &Sigfox, verb: &Verb, options: &Options) -> anyhow::Result<()> {
    match verb {
        Verb::List { device_type, group } => {
            let filter = DeviceFilter { device_type: device_type.clone(), group: group.clone() };
            answer::list(cloud.devices(&filter), options).await
        }
        Verb::Get { id } => answer::one(cloud.device(*id), options).await,
        Verb::Token { id } => answer::one(cloud.device_token(*id), options).await,
        Verb::Messages(of) => answer::list(cloud.device_messages(of.id, (&of.within).into()), options).await,
        Verb::Locations(of) => {
            answer::list(cloud.device_locations(of.id, (&of.within).into()), options).await
        }
        Verb::Errors(of) => answer::list(cloud.device_errors(of.id, (&of.within).into()), options).await,
        Verb::Warnings(of) => answer::list(cloud.device_warnings(of.id, (&of.within).into()), options).await,
        Verb::NetworkState { id } => answer::one(cloud.device_network_state(*id), options).await,
        Verb::Metrics { id } => answer::one(cloud.device_metrics(*id), options).await,
        Verb::Consumption { id, year, month } => {
            answer::one(cloud.device_consumption(*id, *year, *month), options).await
        }
        Verb::Disengage { id } => answer::done(cloud.disengage_device(*id), options).await,
    }
}

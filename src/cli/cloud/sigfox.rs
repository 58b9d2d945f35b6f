//! `cloud sigfox`: the calls of the Sigfox API, v1 and v2 under one set of verbs.

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::{Options, answer, sigfox_callbacks, sigfox_devices, source};
use crate::cli::{Globals, reading};
use crate::cloud::sigfox::{Place, Sigfox, Situation, Window};
use crate::config::SourceKind;
use crate::model::Timestamp;

/// Calls the Sigfox API
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types list")]
pub(super) struct Args {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Groups of the account
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud sigfox groups list")]
    Groups(Groups),
    /// What devices have in common
    #[command(
        subcommand,
        after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types messages 5f0000000000000000000001"
    )]
    DeviceTypes(DeviceTypes),
    /// What the cloud sends of its own accord
    #[command(
        subcommand,
        after_help = "Example:\n  sigfox2mqtt cloud sigfox callbacks list 5f0000000000000000000001"
    )]
    Callbacks(sigfox_callbacks::Verb),
    /// Devices
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud sigfox devices get 1A2B3C")]
    Devices(sigfox_devices::Verb),
    /// Where the network hears devices
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud sigfox coverage redundancy 48.85 2.35")]
    Coverage(Coverage),
    /// Users of the account
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud sigfox users list")]
    Users(Users),
}

#[derive(Debug, Subcommand)]
enum Groups {
    /// Lists groups
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox groups list")]
    List {
        /// Directly below this one
        #[arg(long, value_name = "ID")]
        parent: Option<String>,
    },
    /// Shows a group
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox groups get 5f00000000000000000000a1")]
    Get { id: String },
}

#[derive(Debug, Subcommand)]
enum DeviceTypes {
    /// Lists device types
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types list --json")]
    List,
    /// Shows a device type
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types get 5f0000000000000000000001")]
    Get { id: String },
    /// Changes keys of a device type, in the API's own names
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types edit 5f0000000000000000000001 keepAlive=3600"
    )]
    Edit {
        id: String,
        /// A key and its new value: JSON, or else text
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Lists errors of its devices (v1)
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types errors 5f0000000000000000000003"
    )]
    Errors(Of),
    /// Lists warnings of its devices (v1)
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types warnings 5f0000000000000000000003"
    )]
    Warnings(Of),
    /// Lists messages of its devices, the newest first
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types messages 5f0000000000000000000001 --from 1d --all"
    )]
    Messages(Of),
    /// Accepts the next message of each of its devices whatever its sequence number
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox device-types disengage 5f0000000000000000000001"
    )]
    Disengage { id: String },
}

#[derive(Debug, clap::Args)]
struct Of {
    id: String,
    #[command(flatten)]
    within: Within,
}

/// Which time a list covers.
#[derive(Debug, clap::Args)]
pub(super) struct Within {
    /// From this time on: RFC 3339, a date, or so long ago, such as 3d
    #[arg(long, value_name = "TIME", value_parser = reading::time)]
    from: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = reading::time)]
    to: Option<Timestamp>,
}

impl From<&Within> for Window {
    fn from(within: &Within) -> Self {
        Self { since: within.from, before: within.to }
    }
}

#[derive(Debug, Subcommand)]
enum Coverage {
    /// Tells how many base stations hear a device at a place
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud sigfox coverage redundancy 48.85 2.35 --situation indoor"
    )]
    Redundancy {
        #[command(flatten)]
        place: At,
        /// Where the device stands
        #[arg(long, value_enum, default_value_t = Where::Outdoor)]
        situation: Where,
        /// In this operator's network (v2)
        #[arg(long, value_name = "ID")]
        operator: Option<String>,
    },
    /// Tells how well a device will be heard at a place
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox coverage predictions 48.85 2.35")]
    Predictions {
        #[command(flatten)]
        place: At,
        /// Radius around it in metres
        #[arg(long, value_name = "METRES")]
        radius: Option<u32>,
    },
}

#[derive(Debug, clap::Args)]
struct At {
    /// Degrees north
    #[arg(allow_negative_numbers = true)]
    latitude: f64,
    /// Degrees east
    #[arg(allow_negative_numbers = true)]
    longitude: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Where {
    Outdoor,
    Indoor,
    Underground,
}

#[derive(Debug, Subcommand)]
enum Users {
    /// Lists users
    #[command(after_help = "Example:\n  sigfox2mqtt cloud sigfox users list")]
    List {
        /// Of this group
        #[arg(long, value_name = "ID")]
        group: Option<String>,
    },
}

pub(super) async fn execute(args: &Args, options: &Options, globals: &Globals) -> anyhow::Result<()> {
    let is_sigfox = |kind: &SourceKind| matches!(kind, SourceKind::Sigfox { .. });
    let (source, access) = source(globals, options, "sigfox", is_sigfox)?;
    let SourceKind::Sigfox { api, login, password } = &source.kind else {
        bail!("source `{}` is not of kind sigfox", source.name);
    };
    let cloud = Sigfox::new(&access, *api, login, password)?;
    match &args.noun {
        Noun::Groups(Groups::List { parent }) => answer::list(cloud.groups(parent.as_deref()), options).await,
        Noun::Groups(Groups::Get { id }) => answer::one(cloud.group(id), options).await,
        Noun::DeviceTypes(verb) => device_types(&cloud, verb, options).await,
        Noun::Callbacks(verb) => sigfox_callbacks::execute(&cloud, &source, verb, options).await,
        Noun::Devices(verb) => sigfox_devices::execute(&cloud, verb, options).await,
        Noun::Coverage(Coverage::Redundancy { place, situation, operator }) => {
            let call = cloud.redundancy(place.into(), (*situation).into(), operator.as_deref());
            answer::one(call, options).await
        }
        Noun::Coverage(Coverage::Predictions { place, radius }) => {
            answer::one(cloud.prediction(place.into(), *radius), options).await
        }
        Noun::Users(Users::List { group }) => answer::list(cloud.users(group.as_deref()), options).await,
    }
}

async fn device_types(cloud: &Sigfox, verb: &DeviceTypes, options: &Options) -> anyhow::Result<()> {
    match verb {
        DeviceTypes::List => answer::list(cloud.device_types(), options).await,
        DeviceTypes::Get { id } => answer::one(cloud.device_type(id), options).await,
        DeviceTypes::Edit { id, changes } => {
            answer::done(cloud.edit_device_type(id, object(changes)?), options).await
        }
        DeviceTypes::Errors(of) => {
            answer::list(cloud.device_type_errors(&of.id, (&of.within).into()), options).await
        }
        DeviceTypes::Warnings(of) => {
            answer::list(cloud.device_type_warnings(&of.id, (&of.within).into()), options).await
        }
        DeviceTypes::Messages(of) => {
            answer::list(cloud.device_type_messages(&of.id, (&of.within).into()), options).await
        }
        DeviceTypes::Disengage { id } => answer::done(cloud.disengage_device_type(id), options).await,
    }
}

/// An object from `KEY=VALUE`: a value is JSON if it can be read so, else text.
pub(super) fn object(pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut object = Map::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not KEY=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_no_json| Value::from(value));
        object.insert(key.to_owned(), value);
    }
    Ok(object)
}

impl From<&At> for Place {
    fn from(at: &At) -> Self {
        Self { latitude: at.latitude, longitude: at.longitude }
    }
}

impl From<Where> for Situation {
    fn from(at: Where) -> Self {
        match at {
            Where::Outdoor => Self::Outdoor,
            Where::Indoor => Self::Indoor,
            Where::Underground => Self::Underground,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_json_where_it_can_be_and_text_elsewhere() {
        let pairs = ["keepAlive=3600", "name=tank", "payloadConfig=a::uint:8=b", "description=null"];
        let object = object(&pairs.map(str::to_owned)).unwrap();
        let expected = serde_json::json!({
            "keepAlive": 3600, "name": "tank", "payloadConfig": "a::uint:8=b", "description": null
        });
        assert_eq!(Value::Object(object), expected);
        assert!(super::object(&["name".to_owned()]).is_err());
    }
}

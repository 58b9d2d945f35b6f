//! `cloud soracom`: the calls of Soracom Air for Sigfox.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::Subcommand;
use secrecy::SecretString;

use super::{Options, answer, source};
use crate::cli::{Globals, reading};
use crate::cloud::soracom::{Match, Registration, Soracom, TagFilter};
use crate::config::SourceKind;
use crate::model::{DownlinkPayload, Timestamp};

/// Calls the Soracom API
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices list")]
pub(super) struct Args {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Sigfox devices of the account
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud soracom devices get 7BFD29")]
    Devices(Verb),
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists devices
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices list --tag site=north")]
    List {
        /// Only those with this tag
        #[arg(long, value_name = "NAME=VALUE")]
        tag: Option<String>,
        /// The tag's value need only begin so
        #[arg(long, requires = "tag")]
        prefix: bool,
    },
    /// Shows a device
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices get 7BFD29 --json")]
    Get { id: String },
    /// Lists what Harvest keeps of a device, the oldest first
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices data 7BFD29 --from 1d --all")]
    Data {
        id: String,
        /// From this time on: RFC 3339, a date, or so long ago, such as 3d
        #[arg(long, value_name = "TIME", value_parser = reading::time)]
        from: Option<Timestamp>,
        /// Before this time
        #[arg(long, value_name = "TIME", value_parser = reading::time)]
        to: Option<Timestamp>,
    },
    /// Puts eight bytes into a device's one downlink slot, in the place of what waits there
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices send 7BFD29 0102030405060708")]
    Send {
        id: String,
        /// 16 hex digits
        data: DownlinkPayload,
    },
    /// Registers a device; its porting code is read from the file
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud soracom devices register 7BFD29 --secret-file pac --yes"
    )]
    Register {
        id: String,
        /// A file with the registration secret
        #[arg(long, value_name = "FILE")]
        secret_file: std::path::PathBuf,
        /// Its product certificate
        #[arg(long, value_name = "ID")]
        product_certification: Option<String>,
        /// A tag; may be given again
        #[arg(long = "tag", value_name = "NAME=VALUE")]
        tags: Vec<String>,
    },
    /// Puts a device into a group
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud soracom devices set-group 7BFD29 8be6ac53-9ae1-4a39-9f4a-8b9b8c1b6c0e"
    )]
    SetGroup { id: String, group: String },
    /// Takes a device out of its group
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices unset-group 7BFD29")]
    UnsetGroup { id: String },
    /// Adds or changes tags
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud soracom devices put-tags 7BFD29 name='greenhouse 3'"
    )]
    PutTags {
        id: String,
        #[arg(required = true, value_name = "NAME=VALUE")]
        tags: Vec<String>,
    },
    /// Takes a tag away
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices delete-tag 7BFD29 site --yes")]
    DeleteTag { id: String, tag: String },
    /// Permits a device's termination
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices enable-termination 7BFD29")]
    EnableTermination { id: String },
    /// Forbids a device's termination
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices disable-termination 7BFD29")]
    DisableTermination { id: String },
    /// Terminates a device for good
    #[command(after_help = "Example:\n  sigfox2mqtt cloud soracom devices terminate 7BFD29 --yes")]
    Terminate {
        id: String,
        /// At once instead of at the end of the month
        #[arg(long)]
        immediately: bool,
    },
}

pub(super) async fn execute(args: &Args, options: &Options, globals: &Globals) -> anyhow::Result<()> {
    let is_soracom = |kind: &SourceKind| matches!(kind, SourceKind::Soracom { .. });
    let (source, access) = source(globals, options, "soracom", is_soracom)?;
    let SourceKind::Soracom { auth_key_id, auth_key } = &source.kind else {
        bail!("source `{}` is not of kind soracom", source.name);
    };
    let cloud = Soracom::new(&access, auth_key_id, auth_key, None)?;
    let Noun::Devices(verb) = &args.noun;
    devices(&cloud, verb, options).await
}

async fn devices(cloud: &Soracom, verb: &Verb, options: &Options) -> anyhow::Result<()> {
    match verb {
        Verb::List { tag, prefix } => {
            let filter = tag.as_ref().map(|tag| tag_filter(tag, *prefix)).transpose()?;
            answer::list(cloud.devices(filter.as_ref()), options).await
        }
        Verb::Get { id } => answer::one(cloud.device(id), options).await,
        Verb::Data { id, from, to } => answer::list(cloud.data(id, *from, *to), options).await,
        Verb::Send { id, data } => answer::done(cloud.send(id, *data), options).await,
        Verb::Register { id, secret_file, product_certification, tags } => {
            let secret = std::fs::read_to_string(secret_file)
                .with_context(|| format!("cannot read {}", secret_file.display()))?;
            answer::confirm(&format!("registering device {id}"), options)?;
            let registration = Registration {
                secret: SecretString::from(secret.trim()),
                product_certification: product_certification.clone(),
                tags: pairs(tags)?,
            };
            answer::one(cloud.register(id, &registration), options).await
        }
        Verb::SetGroup { id, group } => answer::one(cloud.set_group(id, group), options).await,
        Verb::UnsetGroup { id } => answer::one(cloud.unset_group(id), options).await,
        Verb::PutTags { id, tags } => answer::one(cloud.put_tags(id, &pairs(tags)?), options).await,
        Verb::DeleteTag { id, tag } => {
            answer::confirm(&format!("deleting tag {tag} of device {id}"), options)?;
            answer::done(cloud.delete_tag(id, tag), options).await
        }
        Verb::EnableTermination { id } => answer::one(cloud.enable_termination(id), options).await,
        Verb::DisableTermination { id } => answer::one(cloud.disable_termination(id), options).await,
        Verb::Terminate { id, immediately } => {
            answer::confirm(&format!("terminating device {id}"), options)?;
            answer::one(cloud.terminate(id, *immediately), options).await
        }
    }
}

fn tag_filter(tag: &str, prefix: bool) -> anyhow::Result<TagFilter> {
    let (name, value) = pair(tag)?;
    Ok(TagFilter { name, value, matched: if prefix { Match::Prefix } else { Match::Exact } })
}

fn pairs(tags: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    tags.iter().map(|tag| pair(tag)).collect()
}

fn pair(tag: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = tag.split_once('=').with_context(|| format!("`{tag}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

//! `cloud altair things` and `cloud altair history`.

use anyhow::Context;
use clap::Subcommand;

use super::altair::named;
use super::{Options, answer, argument};
use crate::cli::reading;
use crate::cloud::altair::{Altair, Moment, ThingFilter};
use crate::model::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists Things
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud altair things list --property sigfoxId=eq:1A2B3C --json"
    )]
    List {
        /// Only those of this category
        #[arg(long, value_name = "NAME")]
        category: Option<String>,
        /// Only those with this @type
        #[arg(long = "type", value_name = "TYPE")]
        of_type: Option<String>,
        /// Only those with this value; OP is eq, neq, gt, gte, lt, lte or contains
        #[arg(long = "property", value_name = "NAME=OP:VALUE")]
        properties: Vec<String>,
        /// A parameter in the API's own names; may be given again
        #[arg(long = "query", value_name = "NAME=VALUE")]
        query: Vec<String>,
    },
    /// Shows a Thing
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair things get 01JQTH1 --json")]
    Get { id: String },
    /// Makes a Thing
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair things create '{\"title\":\"tank 3\"}'")]
    Create {
        /// Its description in the API's own names: JSON, @FILE, or - for standard input
        #[arg(value_name = "JSON")]
        description: String,
        /// In this category
        #[arg(long, value_name = "NAME")]
        category: Option<String>,
    },
    /// Changes a Thing's description by JSON Patch (RFC 6902)
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud altair things patch 01JQTH1 '[{\"op\":\"replace\",\"path\":\"/title\",\"value\":\"x\"}]'"
    )]
    Patch {
        id: String,
        /// The steps: JSON, @FILE, or - for standard input
        #[arg(value_name = "JSON")]
        steps: String,
    },
    /// Deletes a Thing with all that it holds
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair things delete 01JQTH1 --yes")]
    Delete { id: String },
    /// Makes a new secret for a Thing's own client; the old one ends
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair things reset-secret 01JQTH1 --yes")]
    ResetSecret { id: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum History {
    /// Lists what is kept of all properties or of one
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair history list 01JQTH1 temperature --all")]
    List { thing: String, property: Option<String> },
    /// Keeps values of a past moment
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud altair history add 01JQTH1 2026-03-01T10:00:00Z temperature=21.5"
    )]
    Add {
        thing: String,
        /// RFC 3339, a date, or so long ago, such as 3d
        #[arg(value_name = "TIME", value_parser = reading::time)]
        at: Timestamp,
        /// JSON, or as text what is none
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<String>,
    },
}

pub(super) async fn execute(cloud: &Altair, verb: &Verb, options: &Options) -> anyhow::Result<()> {
    match verb {
        Verb::List { category, of_type, properties, query } => {
            let filter = ThingFilter {
                category: category.clone(),
                r#type: of_type.clone(),
                properties: pairs(properties)?,
                query: pairs(query)?,
            };
            answer::list(cloud.things(&filter), options).await
        }
        Verb::Get { id } => answer::one(cloud.thing(id), options).await,
        Verb::Create { description, category } => {
            let description = argument::json(description, "the description")?;
            answer::one(cloud.create_thing(category.as_deref(), description), options).await
        }
        Verb::Patch { id, steps } => {
            answer::one(cloud.patch_thing(id, argument::json(steps, "the patch")?), options).await
        }
        Verb::Delete { id } => {
            answer::confirm(&format!("deleting Thing {id}"), options)?;
            answer::done(cloud.delete_thing(id), options).await
        }
        Verb::ResetSecret { id } => {
            answer::confirm(&format!("replacing the secret of Thing {id}"), options)?;
            answer::one(cloud.reset_secret(id), options).await
        }
    }
}

pub(super) async fn history(cloud: &Altair, verb: &History, options: &Options) -> anyhow::Result<()> {
    match verb {
        History::List { thing, property } => {
            answer::list(cloud.history(thing, property.as_deref()), options).await
        }
        History::Add { thing, at, values } => {
            let moment = Moment { at: *at, properties: named(values)? };
            answer::done(cloud.add_history(thing, &[moment]), options).await
        }
    }
}

fn pairs(texts: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').with_context(|| format!("`{text}` is not NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}

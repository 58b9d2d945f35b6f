//! `cloud altair`: the calls of Altair IoT Studio, with the credentials of a mirror of the configuration.

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Map, Value};

use super::{Options, altair_things, answer};
use crate::cli::Globals;
use crate::cloud::Access;
use crate::cloud::altair::{Altair, Login};

/// Calls the API of Altair IoT Studio
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt cloud altair things list --source studio")]
pub(super) struct Args {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Things of the space
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair things list")]
    Things(altair_things::Verb),
    /// Current values of a Thing's properties
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair properties get 01JQTH1")]
    Properties(Properties),
    /// Earlier values of a Thing's properties
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair history list 01JQTH1 --all")]
    History(altair_things::History),
    /// What a Thing was asked to do
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair actions list 01JQTH1")]
    Actions(Actions),
    /// What a Thing has reported
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair events list 01JQTH1")]
    Events(Events),
    /// Categories of the space
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair categories list")]
    Categories(Categories),
    /// The token that calls are made with
    #[command(subcommand, after_help = "Example:\n  sigfox2mqtt cloud altair token revoke")]
    Token(Token),
}

#[derive(Debug, Subcommand)]
enum Properties {
    /// Shows the values of all properties or of one
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair properties get 01JQTH1 temperature")]
    Get { thing: String, property: Option<String> },
    /// Sets values: as JSON, or as text what is none
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair properties set 01JQTH1 temperature=21.5")]
    Set {
        thing: String,
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Actions {
    /// Lists what a Thing was asked to do, of one of its actions or of all
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair actions list 01JQTH1 downlink")]
    List { thing: String, action: Option<String> },
    /// Asks a Thing to do something
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud altair actions create 01JQTH1 downlink 0123456789abcdef"
    )]
    Create {
        thing: String,
        action: String,
        /// JSON, or as text what is none; @FILE, or - for standard input
        #[arg(default_value = "null")]
        input: String,
    },
    /// Says that an action has ended
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair actions complete 01JQTH1 downlink 01JQAC1")]
    Complete {
        thing: String,
        action: String,
        id: String,
        /// How it has ended
        #[arg(long, default_value = "completed")]
        status: String,
        /// What came of it: JSON, or as text what is none; @FILE, or - for standard input
        #[arg(long, value_name = "JSON")]
        output: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Events {
    /// Lists what a Thing has reported, of one of its events or of all
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair events list 01JQTH1 error")]
    List { thing: String, event: Option<String> },
    /// Reports something in a Thing's name
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair events create 01JQTH1 error '\"broken\"'")]
    Create {
        thing: String,
        event: String,
        /// JSON, or as text what is none; @FILE, or - for standard input
        data: String,
    },
}

#[derive(Debug, Subcommand)]
enum Categories {
    /// Lists categories
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair categories list --json")]
    List,
    /// Shows a category
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair categories get sigfox")]
    Get { name: String },
    /// Makes a category
    #[command(
        after_help = "Example:\n  sigfox2mqtt cloud altair categories create sigfox --description 'by radio'"
    )]
    Create {
        name: String,
        #[arg(long)]
        description: Option<String>,
    },
    /// Deletes a category; its Things stay
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair categories delete sigfox")]
    Delete { name: String },
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Asks for a token and gives it back: shows that the credentials are good
    #[command(after_help = "Example:\n  sigfox2mqtt cloud altair token revoke")]
    Revoke,
}

pub(super) async fn execute(args: &Args, options: &Options, globals: &Globals) -> anyhow::Result<()> {
    let scope = match args.noun {
        Noun::Categories(_) => "category",
        _ => "thing",
    };
    let cloud = client(globals, options, scope)?;
    let answered = call(&cloud, &args.noun, options).await;
    // The answer counts: what is not given back ends by itself.
    if let Err(error) = cloud.revoke().await {
        tracing::debug!(%error, "the token ends by itself");
    }
    answered
}

fn client(globals: &Globals, options: &Options, scope: &str) -> anyhow::Result<Altair> {
    let config = globals.load()?.config;
    let right = config.mirrors.into_iter().map(|mirror| (mirror.name.to_string(), mirror));
    let mirror = super::chosen(right.collect(), options, "mirrors", "altair")?;
    let mut access = Access::from(&mirror);
    access.insecure |= options.insecure;
    Ok(Altair::new(&access, &Login::from(&mirror), scope)?)
}

async fn call(cloud: &Altair, noun: &Noun, options: &Options) -> anyhow::Result<()> {
    match noun {
        Noun::Things(verb) => altair_things::execute(cloud, verb, options).await,
        Noun::History(verb) => altair_things::history(cloud, verb, options).await,
        Noun::Properties(Properties::Get { thing, property }) => {
            answer::one(cloud.properties(thing, property.as_deref()), options).await
        }
        Noun::Properties(Properties::Set { thing, values }) => {
            answer::done(cloud.set_properties(thing, named(values)?, true), options).await
        }
        Noun::Actions(Actions::List { thing, action }) => {
            answer::list(cloud.actions(thing, action.as_deref()), options).await
        }
        Noun::Actions(Actions::Create { thing, action, input }) => {
            answer::one(cloud.create_action(thing, action, &value(input)?), options).await
        }
        Noun::Actions(Actions::Complete { thing, action, id, status, output }) => {
            let output = output.as_deref().map(value).transpose()?;
            answer::done(cloud.finish_action(thing, (action, id), status, output), options).await
        }
        Noun::Events(Events::List { thing, event }) => {
            answer::list(cloud.events(thing, event.as_deref()), options).await
        }
        Noun::Events(Events::Create { thing, event, data }) => {
            answer::one(cloud.create_event(thing, event, &value(data)?), options).await
        }
        Noun::Categories(Categories::List) => answer::list(cloud.categories(), options).await,
        Noun::Categories(Categories::Get { name }) => answer::one(cloud.category(name), options).await,
        Noun::Categories(Categories::Create { name, description }) => {
            answer::one(cloud.create_category(name, description.as_deref()), options).await
        }
        Noun::Categories(Categories::Delete { name }) => {
            answer::confirm(&format!("deleting category {name}"), options)?;
            answer::done(cloud.delete_category(name), options).await
        }
        Noun::Token(Token::Revoke) => {
            cloud.log_in().await?;
            cloud.revoke().await?;
            answer::said("done", options)
        }
    }
}

/// Values as `NAME=VALUE`.
pub(super) fn named(values: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut named = Map::new();
    for text in values {
        let (name, text) = text.split_once('=').with_context(|| format!("`{text}` is not NAME=VALUE"))?;
        named.insert(name.to_owned(), value(text)?);
    }
    Ok(named)
}

/// A value: JSON, or as text what is none.
fn value(argument: &str) -> anyhow::Result<Value> {
    let text = super::argument::text(argument)?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

//! `decode`: one payload by a grammar or a decoder, and files of vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{Exit, Globals, output, reading};
use crate::clock;
use crate::config;
use crate::control::Question;
use crate::decode::grammar::{Dialect, Field, Grammar};
use crate::decode::vector::VectorFile;
use crate::decode::{Decoder, Registry};
use crate::model::{DeviceId, Fields, Payload};

/// Decodes one payload, or runs a file of vectors
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Example:\n  sigfox2mqtt decode --format 'level::uint:16:/100 alarm:2:bool:0' 007b01"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    by: By,
    /// Whose grammar `--format` is
    #[arg(long, value_enum, default_value_t = DialectName::Sigfox, conflicts_with_all = ["decoder", "device"])]
    dialect: DialectName,
    /// The payload, two digits a byte
    #[arg(required = true)]
    hex: Option<String>,
    /// Prints {"fields":{…},"errors":[…]}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct By {
    /// A grammar: fields of the form NAME:INDEX:TYPE
    #[arg(long, value_name = "GRAMMAR")]
    format: Option<String>,
    /// A decoder: a built-in one, or one of the configuration
    #[arg(long, value_name = "NAME")]
    decoder: Option<String>,
    /// The decoder of this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DialectName {
    /// Sigfox custom grammar, with operations
    Sigfox,
    /// Soracom binary parser
    Soracom,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs a file of vectors: payloads beside the fields that they must give
    #[command(after_help = "Example:\n  sigfox2mqtt decode test vectors.toml")]
    Test {
        /// TOML or JSON with [[uplink]] and [[downlink]]
        file: PathBuf,
        /// Prints how each vector went as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    if let Some(Command::Test { file, json }) = &args.command {
        return test(file, *json, globals);
    }
    let payload = payload(args.hex.as_deref().unwrap_or_default())?;
    let device = args.by.device.unwrap_or_else(|| DeviceId::new(0, 1));
    let decoder = decoder(args, globals)?;
    let (fields, errors) = match &decoder {
        Some(decoder) => {
            let decoded = decoder.decode(device, clock::now(), &payload);
            (decoded.fields, decoded.errors)
        }
        None => by_type(device, &payload, globals)?,
    };
    if args.json {
        output::print(&json!({ "fields": fields, "errors": errors }).to_string())?;
    } else {
        output::print(&table(decoder.as_deref(), &payload, &fields, &errors))?;
    }
    Ok(Exit::Done)
}

/// The bytes of a text, or the column at which it is no longer hexadecimal.
fn payload(text: &str) -> anyhow::Result<Payload> {
    if let Some((digit, column)) = text.chars().zip(1..).find(|(digit, _)| !digit.is_ascii_hexdigit()) {
        bail!(
            "the payload is not hexadecimal: column {column}: `{}` (expected 0 to 9, a to f)",
            digit.escape_debug()
        );
    }
    if text.len() % 2 == 1 {
        bail!("the payload ends with half a byte at column {} (expected two digits a byte)", text.len());
    }
    text.parse().context("the payload cannot be read")
}

/// The decoder that was asked for; none: that of a device's type, which only the store knows.
fn decoder(args: &Args, globals: &Globals) -> anyhow::Result<Option<Arc<Decoder>>> {
    if let Some(text) = &args.by.format {
        let dialect = match args.dialect {
            DialectName::Sigfox => Dialect::Sigfox,
            DialectName::Soracom => Dialect::Soracom,
        };
        let grammar = Grammar::parse(text, dialect).context("the grammar is wrong")?;
        return Ok(Some(Arc::new(Decoder::of_grammar(grammar))));
    }
    if let Some(name) = &args.by.decoder {
        return Named::new(globals).find(name).map(Some);
    }
    let device = args.by.device.ok_or_else(|| anyhow!("expected --format, --decoder or --device"))?;
    Ok(registry(&globals.load()?.config)?.resolve(device, None, None).decoder)
}

/// What the decoder of a device's type makes of a payload.
fn by_type(device: DeviceId, payload: &Payload, globals: &Globals) -> anyhow::Result<(Fields, Vec<String>)> {
    let question = Question::Decode { device, data: payload.clone(), time: clock::now() };
    let answer = reading::answer(globals, &question)?;
    let fields = answer.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
    let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten();
    Ok((fields, errors.filter_map(Value::as_str).map(str::to_owned).collect()))
}

/// Decoders by name: those of a configuration that was asked for come first, then the built-in ones, which need
/// no configuration at all.
struct Named<'a> {
    globals: &'a Globals,
    registry: Option<Registry>,
}

impl<'a> Named<'a> {
    fn new(globals: &'a Globals) -> Self {
        Self { globals, registry: None }
    }

    fn find(&mut self, name: &str) -> anyhow::Result<Arc<Decoder>> {
        let asked_for = self.globals.config.is_some();
        if !asked_for {
            if let Some(builtin) = Decoder::builtin(name) {
                return Ok(Arc::new(builtin));
            }
        }
        let found = if asked_for || self.globals.config_file().exists() {
            let registry = match &self.registry {
                Some(registry) => registry,
                None => self.registry.insert(registry(&self.globals.load()?.config)?),
            };
            registry.named(name)
        } else {
            None
        };
        found.ok_or_else(|| {
            let builtin: Vec<&str> = crate::decode::builtin_names().map(|(name, _)| name).collect();
            anyhow!(
                "there is no decoder `{name}` (expected one of the configuration, or {})",
                builtin.join(", ")
            )
        })
    }
}

fn registry(config: &config::Config) -> anyhow::Result<Registry> {
    Registry::new(config).map_err(|problems| {
        let lines: Vec<String> =
            problems.into_iter().map(|(key, message)| format!("{key}: {message}")).collect();
        anyhow!("{}", lines.join("\n"))
    })
}

/// Each field with its value and, where a grammar reads it, with its type and place, and the value that int
/// would give for uint or the reverse.
fn table(decoder: Option<&Decoder>, payload: &Payload, fields: &Fields, errors: &[String]) -> String {
    let read: &[Field] = decoder.and_then(Decoder::grammar).map(Grammar::fields).unwrap_or_default();
    let value = |key: &str| fields.get(key).map_or_else(|| "-".to_owned(), shown);
    let unit = |key: &str| {
        let info = decoder.and_then(|decoder| decoder.catalogue().iter().find(|info| info.key == key));
        info.and_then(|info| info.settings.unit.clone()).unwrap_or_default()
    };
    let mut rows: Vec<[String; 6]> = Vec::new();
    for field in read {
        let other = field.other_sign(payload.as_bytes()).as_ref().map(shown).unwrap_or_default();
        let (name, of) = (field.name().to_owned(), field.type_name());
        rows.push([name, value(field.name()), unit(field.name()), of, field.to_string(), other]);
    }
    for key in fields.keys().filter(|key| !read.iter().any(|field| field.name() == **key)) {
        rows.push([printable(key), value(key), unit(key), String::new(), String::new(), String::new()]);
    }
    let heads = ["FIELD", "VALUE", "UNIT", "TYPE", "READS", "OTHER SIGN"];
    // Columns in which nothing stands are left out.
    let used = |column: usize| {
        column < 2 || rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()))
    };
    let used: Vec<bool> = (0..heads.len()).map(used).collect();
    let chosen = |cells: &[String]| -> Vec<String> {
        cells.iter().zip(&used).filter(|(_, used)| **used).map(|(cell, _)| cell.clone()).collect()
    };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(chosen(&heads.map(str::to_owned)));
    table.add_rows(rows.iter().map(|row| chosen(row)));
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.extend(errors.iter().map(|error| format!(" error: {}", printable(error))));
    lines.join("\n")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", printable(text)),
        other => printable(&other.to_string()),
    }
}

/// A device's text as a terminal may be given it.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escaped: Box<dyn Iterator<Item = char>> = if character.is_control() {
                Box::new(character.escape_default())
            } else {
                Box::new(std::iter::once(character))
            };
            escaped
        })
        .collect()
}

fn test(file: &Path, json: bool, globals: &Globals) -> anyhow::Result<Exit> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let vectors = VectorFile::parse(&text).map_err(|message| anyhow!("{}: {message}", file.display()))?;
    let mut named = Named::new(globals);
    let outcomes = vectors.run(|name| named.find(name).map_err(|error| format!("{error:#}")));
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    if json {
        output::print(&serde_json::to_string(&outcomes)?)?;
    } else {
        for outcome in &outcomes {
            let line = match &outcome.failure {
                None => format!("ok      {}", printable(&outcome.name)),
                Some(failure) => format!("FAILED  {}: {}", printable(&outcome.name), printable(failure)),
            };
            output::print(&line)?;
        }
        output::print(&format!("{} of {} vectors hold", outcomes.len() - failed, outcomes.len()))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

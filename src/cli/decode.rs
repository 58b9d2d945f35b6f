//! `decode`: one payload by a grammar or a decoder, and files of vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{Exit, Globals, output};
use crate::clock;
use crate::config;
use crate::decode::grammar::{Dialect, Grammar};
use crate::decode::vector::VectorFile;
use crate::decode::{Decoded, Decoder, Registry};
use crate::model::{DeviceId, Payload};
use crate::store::{self, Store};

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
    #[arg(long, value_enum, default_value_t = DialectName::Sigfox, requires = "format")]
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
    let decoder = decoder(args, globals)?;
    let device = args.by.device.unwrap_or_else(|| DeviceId::new(0, 1));
    let decoded = decoder.decode(device, clock::now(), &payload);
    if args.json {
        let document = json!({ "fields": decoded.fields, "errors": decoded.errors });
        output::print(&document.to_string())?;
    } else {
        output::print(&table(&decoder, &payload, &decoded))?;
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

fn decoder(args: &Args, globals: &Globals) -> anyhow::Result<Arc<Decoder>> {
    if let Some(text) = &args.by.format {
        let dialect = match args.dialect {
            DialectName::Sigfox => Dialect::Sigfox,
            DialectName::Soracom => Dialect::Soracom,
        };
        let grammar = Grammar::parse(text, dialect).context("the grammar is wrong")?;
        return Ok(Arc::new(Decoder::of_grammar(grammar)));
    }
    if let Some(name) = &args.by.decoder {
        return Named::new(globals).find(name);
    }
    let device = args.by.device.ok_or_else(|| anyhow!("expected --format, --decoder or --device"))?;
    of_device(device, globals)
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
        if self.globals.config.is_none() {
            if let Some(builtin) = Decoder::builtin(name) {
                return Ok(Arc::new(builtin));
            }
        }
        let registry = match &self.registry {
            Some(registry) => registry,
            None => self.registry.insert(registry(&self.globals.load()?.config)?),
        };
        registry.named(name).ok_or_else(|| {
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

/// The decoder of a device: its own, or by what the store knows of its type.
fn of_device(device: DeviceId, globals: &Globals) -> anyhow::Result<Arc<Decoder>> {
    let config = globals.load()?.config;
    let registry = registry(&config)?;
    if let Some(decoder) = registry.resolve(device, None, None).decoder {
        return Ok(decoder);
    }
    let dir = config.gateway.data_dir.clone();
    if !dir.is_dir() {
        bail!(
            "device {device} has no decoder in the configuration, and there is no store yet that knows its type"
        );
    }
    let options = store::Options { dir, cache: config.store.cache, flush: config.store.flush };
    let (store, _syncer) = Store::open(options).with_context(|| {
        format!("device {device} has no decoder in the configuration, and its type is in the store, which is not free")
    })?;
    let known = store.device(device)?.ok_or_else(|| anyhow!("device {device} not found"))?;
    let device_type = match &known.device_type {
        Some(id) => store.device_type(&known.source, id)?,
        None => None,
    };
    let named = device_type.as_ref().map(|of| (of.id.as_str(), of.name.as_deref()));
    let resolved = registry.resolve(device, named, device_type.as_ref().map(|of| &of.payload));
    resolved.decoder.ok_or_else(|| {
        let problem = resolved.problem.map(|problem| format!(": {problem}")).unwrap_or_default();
        anyhow!("device {device} has no decoder{problem}")
    })
}

/// Each field with its value and, where a grammar reads it, with its type and place, and the value that int
/// would give for uint or the reverse.
fn table(decoder: &Decoder, payload: &Payload, decoded: &Decoded) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(grammar) = decoder.grammar() {
        table.set_header(["FIELD", "VALUE", "TYPE", "READS", "OTHER SIGN"]);
        for field in grammar.fields() {
            let other = field.other_sign(payload.as_bytes()).as_ref().map(shown).unwrap_or_default();
            let value = decoded.fields.get(field.name()).map_or_else(|| "-".to_owned(), shown);
            table.add_row([field.name().to_owned(), value, field.type_name(), field.to_string(), other]);
        }
    } else {
        table.set_header(["FIELD", "VALUE", "UNIT"]);
    }
    let of_grammar = |key: &str| {
        decoder.grammar().is_some_and(|grammar| grammar.fields().iter().any(|field| field.name() == key))
    };
    for (key, value) in decoded.fields.iter().filter(|(key, _)| !of_grammar(key)) {
        let info = decoder.catalogue().iter().find(|info| info.key == *key);
        let unit = info.and_then(|info| info.settings.unit.clone()).unwrap_or_default();
        table.add_row([printable(key), shown(value), unit]);
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.extend(decoded.errors.iter().map(|error| format!(" error: {}", printable(error))));
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

//! `init`: asks for what a configuration needs, or takes it from flags, tries it, and writes it with comments.

mod answers;
mod prompt;
mod text;

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::answers::{Answers, Choice, Kind};
use super::doctor::{broker, source};
use super::{Exit, Globals, output};
use crate::cloud::Access;
use crate::cloud::sigfox::{DeviceFilter, Sigfox};
use crate::cloud::soracom::Soracom;
use crate::config::{Config, Environment, Loaded, SourceKind};
use crate::model::SourceName;

/// Writes a first configuration: asks for what it needs, or takes it from flags, and tries it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sigfox2mqtt --config ./config.toml init --kind sigfox --login 5f00 --password-file ./password"
)]
pub(crate) struct Args {
    /// Which cloud
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// What the source is called
    #[arg(long, value_name = "NAME")]
    source: Option<SourceName>,
    /// Version of the Sigfox API: v2 or v1
    #[arg(long)]
    api: Option<String>,
    /// Where the API is, if not at its usual place
    #[arg(long)]
    url: Option<String>,
    /// Login of the Sigfox API's user
    #[arg(long)]
    login: Option<String>,
    /// A file with its password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the Soracom account lives: jp or global
    #[arg(long)]
    coverage: Option<String>,
    /// Id of the Soracom key
    #[arg(long, value_name = "ID")]
    auth_key_id: Option<String>,
    /// A file with the Soracom key
    #[arg(long, value_name = "FILE")]
    auth_key_file: Option<PathBuf>,
    /// Id or name of a device type that is taken; can be repeated; else all
    #[arg(long = "device-type", value_name = "TYPE")]
    device_types: Vec<String>,
    /// Id of a device that is taken; can be repeated; else all
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
    /// Address and port to listen on, for callbacks, health and metrics; else nothing listens
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// A file with the token that the cloud's callbacks must present
    #[arg(long, value_name = "FILE", requires = "listen")]
    callback_token_file: Option<PathBuf>,
    /// A file with the token that the web page asks for
    #[arg(long, value_name = "FILE", requires = "listen")]
    web_token_file: Option<PathBuf>,
    /// The broker; else the one on this machine
    #[arg(long, value_name = "URL")]
    mqtt_url: Option<String>,
    /// User at the broker
    #[arg(long, value_name = "USER")]
    mqtt_username: Option<String>,
    /// A file with the user's password
    #[arg(long, value_name = "FILE")]
    mqtt_password_file: Option<PathBuf>,
    /// Name of the gateway; else the host name
    #[arg(long, value_name = "ID")]
    gateway_id: Option<String>,
    /// Writes the configuration without trying it
    #[arg(long)]
    no_test: bool,
}

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    let file = globals.config_file();
    // Looked at first, so that nobody answers questions in vain; `write` makes sure of it.
    if file.exists() {
        bail!(
            "{} is there already, and init never overwrites (expected another `--config FILE`)",
            file.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut answers = Answers::from_flags(args)?;
    if io::stdin().is_terminal() {
        answers.ask_for_the_rest(|answers, of| runtime.block_on(choices(answers, of, &file, globals)))?;
    } else if let Some(missing) = answers.missing() {
        output::complain(&format!(
            "sigfox2mqtt: {missing} is missing (expected on the command line, or answered in a terminal)"
        ));
        return Ok(Exit::Usage);
    }
    let text = text::fill_in(&answers);
    let loaded = parse(&text, &file, &globals.environment)?;
    if !args.no_test {
        runtime.block_on(try_out(&loaded.config))?;
    }
    write(&file, &text)?;
    output::print(&format!("{} is written. Next: sigfox2mqtt --config {0} run", file.display()))?;
    Ok(Exit::Done)
}

fn parse(text: &str, file: &Path, environment: &Environment) -> anyhow::Result<Loaded> {
    let folder = file.parent().unwrap_or(Path::new(""));
    Ok(Config::parse(text, &file.display().to_string(), folder, environment)?)
}

/// What an account has to be chosen from, ids and names: a Sigfox cloud's device types and their devices, Soracom's
/// devices. A page of each: whoever has more takes all or uses flags.
async fn choices(
    answers: &Answers,
    choice: Choice,
    file: &Path,
    globals: &Globals,
) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let loaded = parse(&text::fill_in(answers), file, &globals.environment)?;
    let [of] = loaded.config.sources.as_slice() else { return Ok(Vec::new()) };
    match &of.kind {
        SourceKind::Sigfox { .. } if choice == Choice::DeviceTypes => {
            let account = source::account(of).await?;
            Ok(account.device_types.into_iter().map(|row| (row.id, row.name)).collect())
        }
        SourceKind::Sigfox { api, login, password } => {
            let client = Sigfox::new(&Access::from(of), *api, login, password)?;
            let mut rows = Vec::new();
            for row in source::account(of).await?.device_types {
                if of.filter.takes_type(&row.id, row.name.as_deref()) {
                    let of_type = DeviceFilter { device_type: Some(row.id), ..DeviceFilter::default() };
                    let page = client.devices(&of_type).next_page().await?;
                    let listed = page.map(|page| page.rows).unwrap_or_default();
                    rows.extend(listed.into_iter().map(|device| (device.id.to_string(), device.name)));
                }
            }
            Ok(rows)
        }
        SourceKind::Soracom { auth_key_id, auth_key } => {
            let client = Soracom::new(&Access::from(of), auth_key_id, auth_key, None)?;
            let page = client.devices(None).next_page().await?;
            let rows = page.map(|page| page.rows).unwrap_or_default();
            Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
        }
    }
}

async fn try_out(config: &Config) -> anyhow::Result<()> {
    let unless = "nothing is written (`--no-test` writes it anyway)";
    for of in &config.sources {
        source::account(of).await.with_context(|| format!("source `{}` was tried; {unless}", of.name))?;
    }
    if config.mqtt.url.scheme() != "embedded" {
        broker::connect(&config.mqtt).await.with_context(|| format!("the broker was tried; {unless}"))?;
    }
    Ok(())
}

/// Never over a file that is there; readable by its owner alone, because it may hold secrets.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let place = || format!("{} cannot be written", file.display());
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(place)?;
    }
    let mut opened =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).with_context(place)?;
    opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).with_context(place)
}

//! `init`: asks for what a configuration needs, or takes it from flags, tries it, and writes it with comments.

mod answers;
mod prompt;
mod text;

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::answers::{Answers, Choice, Choices, Kind};
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
        bail!(already_there(&file));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut answers = Answers::from_flags(args)?;
    let is_person = io::stdin().is_terminal();
    if is_person {
        answers.ask_for_the_rest(
            |answers, of| {
                let asked = || runtime.block_on(choices(answers, of, &file, globals));
                output::meanwhile("asking the cloud", asked)
            },
            |answers| fault_of_the_broker(answers, globals),
        )?;
    } else if let Some(missing) = answers.missing() {
        output::complain(&format!(
            "sigfox2mqtt: {missing} is missing (expected on the command line, or answered in a terminal)"
        ));
        return Ok(Exit::Usage);
    }
    let text = text::fill_in(&answers);
    let loaded = parse(&text, &file, &globals.environment)?;
    if !args.no_test {
        let tried = output::meanwhile("trying it", || runtime.block_on(try_out(&loaded.config)));
        if let Err(error) = tried {
            if !is_person {
                return Err(error.context("nothing is written (`--no-test` writes it anyway)"));
            }
            prompt::say(&format!("{error:#}"))?;
            if !prompt::yes("Write it all the same?")? {
                bail!("nothing is written");
            }
        }
    }
    write(&file, &text, globals)?;
    output::print(&format!("{} is written. Next: {}", file.display(), next(&file, globals)))?;
    Ok(Exit::Done)
}

fn already_there(file: &Path) -> String {
    let shown = file.display();
    if fs::read_to_string(file).is_ok_and(|text| text == text::SHIPPED) {
        return format!(
            "{shown} is the package's own, and init never overwrites: move it away (`sudo mv {shown} {shown}.example`)"
        );
    }
    format!("{shown} is there already, and init never overwrites (expected another `--config FILE`)")
}

/// What is wrong with the broker's address alone; the rest may not be known yet.
fn fault_of_the_broker(answers: &Answers, globals: &Globals) -> Option<String> {
    let text = text::fill_in(answers);
    let problems = Config::parse(&text, "", Path::new(""), &globals.environment).err()?.problems;
    problems.into_iter().find(|problem| problem.key == "mqtt.url").map(|problem| problem.message)
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
) -> anyhow::Result<Choices> {
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
    for of in &config.sources {
        source::account(of).await.with_context(|| format!("source `{}` was tried", of.name))?;
    }
    if config.mqtt.url.scheme() != "embedded" {
        broker::connect(&config.mqtt).await.context("the broker was tried")?;
    }
    Ok(())
}

/// Never over a file that is there; readable by its owner alone, because it may hold secrets. Where root writes the
/// service's configuration, its owner is the service's user.
fn write(file: &Path, text: &str, globals: &Globals) -> anyhow::Result<()> {
    let place = || format!("{} cannot be written", file.display());
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(place)?;
    }
    let mut opened =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).with_context(place)?;
    opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).with_context(place)?;
    let Some(user) = globals.service_user() else { return Ok(()) };
    fchown(&opened, Some(user.uid), Some(user.gid))
        .with_context(|| format!("{} belongs to root", file.display()))
}

/// What a person does then.
fn next(file: &Path, globals: &Globals) -> String {
    if globals.service_user().is_some() && Path::new("/run/systemd/system").is_dir() {
        return "sigfox2mqtt doctor, then systemctl enable --now sigfox2mqtt".to_owned();
    }
    format!("sigfox2mqtt --config {} run", file.display())
}

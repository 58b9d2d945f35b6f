//! What a first configuration needs: from flags, else asked for.

use std::path::Path;

use anyhow::Context;

use super::Args;
use super::prompt;
use crate::cloud;

/// Which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// The Sigfox cloud
    Sigfox,
    /// Soracom Air for Sigfox
    Soracom,
}

/// What of an account a person chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    DeviceTypes,
    Devices,
}

/// Ids and names.
pub(super) type Choices = Vec<(String, Option<String>)>;

/// Of more than so many nobody chooses by numbers.
const MOST_CHOICES: usize = 50;

/// Where a secret is.
#[derive(Clone)]
pub(super) enum Secret {
    /// In a file, by its whole path.
    File(String),
    /// Typed; it is written into the configuration, which only its owner can read.
    Typed(String),
}

/// What is known so far.
#[derive(Clone, Default)]
pub(super) struct Answers {
    pub(super) kind: Option<Kind>,
    pub(super) source: Option<String>,
    pub(super) api: Option<String>,
    pub(super) url: Option<String>,
    pub(super) coverage: Option<String>,
    /// Login or id of a key.
    pub(super) login: Option<String>,
    /// Password or key.
    pub(super) secret: Option<Secret>,
    pub(super) device_types: Vec<String>,
    pub(super) devices: Vec<String>,
    /// Where callbacks, health and metrics are listened for.
    pub(super) listen: Option<String>,
    pub(super) callback_token: Option<Secret>,
    pub(super) web_token: Option<Secret>,
    pub(super) mqtt_url: Option<String>,
    pub(super) mqtt_username: Option<String>,
    pub(super) mqtt_password: Option<Secret>,
    pub(super) gateway_id: Option<String>,
}

impl Answers {
    pub(super) fn from_flags(args: &Args) -> anyhow::Result<Self> {
        let kind = args.kind.or(match (&args.login, &args.auth_key_id) {
            (Some(_), None) => Some(Kind::Sigfox),
            (None, Some(_)) => Some(Kind::Soracom),
            _ => None,
        });
        let soracom = kind == Some(Kind::Soracom);
        let secret = if soracom { &args.auth_key_file } else { &args.password_file };
        Ok(Self {
            kind,
            source: args.source.as_ref().map(ToString::to_string),
            api: args.api.clone(),
            url: args.url.clone(),
            coverage: args.coverage.clone(),
            login: if soracom { args.auth_key_id.clone() } else { args.login.clone() },
            secret: secret.as_deref().map(file).transpose()?,
            device_types: args.device_types.clone(),
            devices: args.devices.clone(),
            listen: args.listen.clone(),
            callback_token: args.callback_token_file.as_deref().map(file).transpose()?,
            web_token: args.web_token_file.as_deref().map(file).transpose()?,
            mqtt_url: args.mqtt_url.clone(),
            mqtt_username: args.mqtt_username.clone(),
            mqtt_password: args.mqtt_password_file.as_deref().map(file).transpose()?,
            gateway_id: args.gateway_id.clone(),
        })
    }

    /// The flag of the first thing that nothing can be written without.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let soracom = self.kind == Some(Kind::Soracom);
        match self {
            Self { kind: None, .. } => Some("--kind"),
            Self { login: None, .. } if soracom => Some("--auth-key-id"),
            Self { login: None, .. } => Some("--login"),
            Self { secret: None, .. } if soracom => Some("--auth-key-file"),
            Self { secret: None, .. } => Some("--password-file"),
            _ => None,
        }
    }

    /// Asks a person for what no flag gave; `choices` lists what the account has, which tries the login too, and
    /// `fault` says what is wrong with the broker's address.
    pub(super) fn ask_for_the_rest(
        &mut self,
        choices: impl Fn(&Self, Choice) -> anyhow::Result<Choices>,
        fault: impl Fn(&Self) -> Option<String>,
    ) -> anyhow::Result<()> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => match prompt::choose("Which cloud?", &["Sigfox", "Soracom Air for Sigfox"])? {
                1 => Kind::Soracom,
                _ => Kind::Sigfox,
            },
        };
        self.kind = Some(kind);
        let asks_for_types = kind == Kind::Sigfox && self.device_types.is_empty();
        let first = if asks_for_types { Choice::DeviceTypes } else { Choice::Devices };
        let listed = self.log_in(kind, |answers| choices(answers, first))?;
        let is_listed = listed.is_ok();
        if asks_for_types {
            self.device_types = choose("device types", listed)?;
            if is_listed && self.devices.is_empty() {
                self.devices = choose("devices", choices(self, Choice::Devices))?;
            }
        } else if self.devices.is_empty() {
            self.devices = choose("devices", listed)?;
        }
        self.ask_for_the_broker(fault)
    }

    /// Asks for login and secret until the cloud takes them or cannot be asked; gives what it lists then.
    fn log_in(
        &mut self,
        kind: Kind,
        list: impl Fn(&Self) -> anyhow::Result<Choices>,
    ) -> anyhow::Result<anyhow::Result<Choices>> {
        let (login, secret) = match kind {
            Kind::Sigfox => ("Login of the API user", "Its password"),
            Kind::Soracom => ("Id of the Soracom key (keyId-…)", "The key"),
        };
        let by_flags = (self.login.clone(), self.secret.clone());
        let is_asked = by_flags.0.is_none() || by_flags.1.is_none();
        loop {
            if self.login.is_none() {
                self.login = Some(prompt::text(login, None)?);
            }
            if self.secret.is_none() {
                self.secret = Some(Secret::Typed(prompt::secret(secret)?));
            }
            match list(self) {
                Err(error) if is_asked && is_refusal(&error) => {
                    prompt::say(&format!("{error:#}. Once more:"))?;
                    (self.login, self.secret) = by_flags.clone();
                }
                listed => return Ok(listed),
            }
        }
    }

    fn ask_for_the_broker(&mut self, fault: impl Fn(&Self) -> Option<String>) -> anyhow::Result<()> {
        while self.mqtt_url.is_none() {
            let typed = prompt::text("The broker", Some("mqtt://127.0.0.1:1883"))?;
            // What most people mean by a bare name.
            let url = if typed.contains("://") { typed } else { format!("mqtt://{typed}") };
            let asked = Self { mqtt_url: Some(url), ..self.clone() };
            if let Some(fault) = fault(&asked) {
                prompt::say(&format!("This {fault}."))?;
                continue;
            }
            *self = asked;
            if self.mqtt_username.is_none() {
                let user = prompt::text("User at the broker (empty: none)", Some(""))?;
                self.mqtt_username = Some(user).filter(|user| !user.is_empty());
            }
        }
        if self.mqtt_username.is_some() && self.mqtt_password.is_none() {
            self.mqtt_password = Some(Secret::Typed(prompt::secret("Its password")?));
        }
        Ok(())
    }
}

/// Whether the cloud was asked and did not take the login.
fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(cloud::Error::Unauthorized { .. }))
}

/// Some of what an account has, by their ids; none for all. A cloud that does not answer is no reason to stop asking:
/// it is tried again before anything is written.
fn choose(what: &str, listed: anyhow::Result<Choices>) -> anyhow::Result<Vec<String>> {
    let rows = match listed {
        Ok(rows) => rows,
        Err(error) => {
            prompt::say(&format!("The cloud does not list {what}: {error:#}"))?;
            return Ok(Vec::new());
        }
    };
    if rows.len() < 2 {
        return Ok(Vec::new());
    }
    if rows.len() > MOST_CHOICES {
        let many = rows.len();
        prompt::say(&format!(
            "All {what} are taken, {many} or more; the configuration can name some of them."
        ))?;
        return Ok(Vec::new());
    }
    let named = |(id, name): &(String, Option<String>)| match name {
        Some(name) => format!("{name} ({id})"),
        None => id.clone(),
    };
    let names: Vec<String> = rows.iter().map(named).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chosen = prompt::choose_several(&format!("Which {what}?"), &names)?;
    Ok(chosen.into_iter().filter_map(|index| Some(rows.get(index)?.0.clone())).collect())
}

fn file(path: &Path) -> anyhow::Result<Secret> {
    let whole = std::fs::canonicalize(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Secret::File(whole.display().to_string()))
}

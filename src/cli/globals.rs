//! What every command is given: the options before it, and the surroundings of the process.

use std::path::{Path, PathBuf};

use super::user::User;
use crate::config::{Config, Environment, Loaded};

/// Where the configuration is looked for last.
const SYSTEM_WIDE: &str = "/etc/sigfox2mqtt/config.toml";

/// Options that every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Options {
    /// The configuration; else that of the variable `SIGFOX2MQTT_CONFIG`, else `/etc/sigfox2mqtt/config.toml`
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged, such as `debug` or `sigfox2mqtt::ingest=debug,info`
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

/// What every command is given.
#[derive(Debug, Clone)]
pub(crate) struct Globals {
    /// The configuration that was asked for by `--config`.
    pub(crate) config: Option<PathBuf>,
    /// What is to be logged.
    pub(crate) log: Option<String>,
    /// The surroundings of the process.
    pub(crate) environment: Environment,
}

impl Globals {
    pub(super) fn of_process(options: Options) -> Self {
        Self { config: options.config, log: options.log, environment: Environment::of_process() }
    }

    /// The configuration's file: the option, else the variable, else the system's.
    pub(crate) fn config_file(&self) -> PathBuf {
        let variable =
            || self.environment.variables.get("SIGFOX2MQTT_CONFIG").filter(|path| !path.is_empty());
        self.config.clone().or_else(|| variable().map(PathBuf::from)).unwrap_or_else(|| SYSTEM_WIDE.into())
    }

    /// The user that the packaged service runs as, where root asks about its configuration: what root may do says
    /// nothing of what the service may.
    pub(super) fn service_user(&self) -> Option<User> {
        let is_the_services = self.config_file() == Path::new(SYSTEM_WIDE);
        User::of_service().filter(|_| is_the_services && User::is_root())
    }

    /// The configuration; all of its problems at once are the error.
    pub(crate) fn load(&self) -> anyhow::Result<Loaded> {
        Ok(Config::load(&self.config_file(), &self.environment)?)
    }

    /// The configuration for what asks the daemon or the store; its secrets may be kept from this user.
    pub(crate) fn load_as_guest(&self) -> anyhow::Result<Config> {
        Ok(Config::load_as_guest(&self.config_file(), &self.environment)?.config)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_option_wins_over_the_variable_and_the_variable_over_the_system() {
        for (option, variable, file) in [
            (Some("a.toml"), Some("b.toml"), "a.toml"),
            (None, Some("b.toml"), "b.toml"),
            (None, Some(""), SYSTEM_WIDE),
            (None, None, SYSTEM_WIDE),
        ] {
            let variables = variable.map(|value| ("SIGFOX2MQTT_CONFIG".to_owned(), value.to_owned()));
            let environment = Environment {
                variables: variables.into_iter().collect::<BTreeMap<_, _>>(),
                host_name: String::new(),
            };
            let globals = Globals { config: option.map(PathBuf::from), log: None, environment };
            assert_eq!(globals.config_file(), PathBuf::from(file));
        }
    }
}

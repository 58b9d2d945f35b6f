//! What the surroundings of the process say: variables that set keys, folders of the service manager, the host name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::check::unknown;
use super::keys::{self, FILE, Known};
use super::path::KeyPath;
use super::problem::{Place, Problems};
use super::settings::Settings;
use super::value::Kind;

/// Variables that begin so set a key: `SIGFOX2MQTT__MQTT__URL` is `mqtt.url`.
const PREFIX: &str = "SIGFOX2MQTT__";

/// The surroundings of the process, as far as a configuration depends on them.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The variables of the environment.
    pub variables: BTreeMap<String, String>,
    /// The name of this host.
    pub host_name: String,
}

impl Environment {
    /// That of this process; variables that are no UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { variables, host_name: gethostname::gethostname().to_string_lossy().into_owned() }
    }

    /// The first folder that a variable of the service manager names.
    pub(super) fn folder(&self, variable: &str) -> Option<PathBuf> {
        let folders = self.variables.get(variable)?;
        folders.split(':').find(|folder| !folder.is_empty()).map(PathBuf::from)
    }

    /// The host name as the name of a gateway.
    pub(super) fn gateway_id(&self) -> String {
        let plain =
            |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.host_name.chars().take(32).map(plain).collect();
        let name = name.trim_matches('-');
        if name.is_empty() { "gateway".to_owned() } else { name.to_owned() }
    }

    /// Lays the variables over what the file says.
    pub(super) fn overlay(&self, settings: &mut Settings, problems: &mut Problems) {
        for (variable, text) in &self.variables {
            let Some(segments) = variable.strip_prefix(PREFIX) else { continue };
            let path = spelled(segments, settings);
            let place = Place::Variable { variable: variable.clone() };
            let kind = match keys::find(&path) {
                Some(Known::Key(key)) => key.kind,
                Some(Known::SecretFile) => Kind::File,
                Some(Known::Table) => {
                    problems.add(place, &path, "is a table, expected the variable to name a key of it");
                    continue;
                }
                None => {
                    problems.add(place, &path, unknown(&path));
                    continue;
                }
            };
            open_tables(&path, &place, settings);
            match kind.parse(text) {
                Ok(value) => {
                    if let Some(other) = other_form(&path, kind) {
                        settings.unsay(&other);
                    }
                    settings.say(path, value, place);
                }
                Err(message) => {
                    problems.add(place.clone(), &path, message);
                    settings.mark_faulty(path, place);
                }
            }
        }
    }
}

/// The path that a variable means: names that are there or known count in any case, with `_` for `-`.
fn spelled(segments: &str, settings: &Settings) -> KeyPath {
    let same = |a: &str, b: &str| a.replace('-', "_").eq_ignore_ascii_case(&b.replace('-', "_"));
    segments.split("__").fold(KeyPath::default(), |table, segment| {
        let there = settings.tables_in(&table).into_iter().map(|(name, _)| name);
        let found = keys::names_in(&table).into_iter().chain(there).find(|name| same(name, segment));
        table.join(&found.unwrap_or_else(|| segment.to_lowercase()))
    })
}

fn open_tables(path: &KeyPath, place: &Place, settings: &mut Settings) {
    let mut table = path.split_last().map(|(table, _)| table);
    while let Some(path) = table {
        table = path.split_last().map(|(parent, _)| parent);
        settings.open(path, place.clone());
    }
}

/// A secret from the environment replaces the file of it, and the other way round.
fn other_form(path: &KeyPath, kind: Kind) -> Option<KeyPath> {
    let (table, name) = path.split_last()?;
    match kind {
        Kind::Secret => Some(table.join(&format!("{name}{FILE}"))),
        Kind::File => name.strip_suffix(FILE).map(|name| table.join(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_becomes_the_name_of_a_gateway() {
        for (host, id) in [
            ("raspberrypi", "raspberrypi"),
            ("Gate.Way-1.local", "gate-way-1-local"),
            ("", "gateway"),
            ("---", "gateway"),
            ("müller", "m-ller"),
            (&"x".repeat(64), &"x".repeat(32)),
        ] {
            let environment = Environment { host_name: host.to_owned(), ..Environment::default() };
            assert_eq!(environment.gateway_id(), id);
        }
    }

    #[test]
    fn the_service_manager_may_name_several_folders() {
        let variables = BTreeMap::from([("STATE_DIRECTORY".to_owned(), "/var/lib/a:/var/lib/b".to_owned())]);
        let environment = Environment { variables, ..Environment::default() };
        assert_eq!(environment.folder("STATE_DIRECTORY"), Some(PathBuf::from("/var/lib/a")));
        assert_eq!(environment.folder("CREDENTIALS_DIRECTORY"), None);
    }
}

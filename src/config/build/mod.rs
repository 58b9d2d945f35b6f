//! From single keys to a `Config`: what must be there, what belongs together, what excludes each other.
//!
//! Every rule reports and goes on, so that all problems come out at once.

mod decoder;
mod gateway;
mod mirror;
mod mqtt;
mod source;

use super::environment::Environment;
use super::path::KeyPath;
use super::problem::Place;
use super::reader::Reader;
use super::settings::Settings;
use super::{Config, Problems};

pub use mqtt::REQUEST_VERBS;

/// The configuration. It may be used only if no problem was reported: a source or mirror that cannot be built is
/// left out, and a faulty key has its default, so that everything else can still be judged.
pub(super) fn build(reader: &mut Reader<'_>, environment: &Environment) -> Option<Config> {
    Some(Config {
        gateway: gateway::gateway(reader, environment)?,
        mqtt: mqtt::mqtt(reader)?,
        http: gateway::http(reader),
        sources: source::sources(reader),
        devices: decoder::devices(reader),
        device_types: decoder::device_types(reader),
        decoders: decoder::decoders(reader),
        downlink: gateway::downlink(reader)?,
        store: gateway::store(reader)?,
        mirrors: mirror::mirrors(reader),
        sparkplug: mirror::sparkplug(reader),
        in_effect: serde_json::Value::Null,
    })
}

/// Whether the text is of a version that can be judged at all; if not, nothing else is worth saying.
pub(super) fn check_version(reader: &mut Reader<'_>) -> bool {
    let mut top = reader.table(KeyPath::default());
    match top.integer::<i64>("version") {
        Some(1) => true,
        Some(newer @ 2..) => {
            let message =
                format!("{newer} is newer than this program, which reads version 1: upgrade sigfox2mqtt");
            top.problem("version", message);
            false
        }
        Some(other) => {
            top.problem("version", format!("{other} is no version, expected 1"));
            true
        }
        None if top.is_written("version") => true,
        None => {
            top.missing("version", "`version = 1`");
            true
        }
    }
}

/// What only the decoders themselves can judge: grammars, expressions, names of built-in decoders.
pub(super) fn check_decoders(config: &Config, settings: &Settings, problems: &mut Problems) {
    for (spelled, message) in crate::decode::Registry::new(config).err().unwrap_or_default() {
        let (key, place) = match settings.spelled(&spelled) {
            Some((path, place)) => (path.to_string(), place),
            None => (spelled, Place::Default),
        };
        let within = format!("{key}.");
        if !problems.problems.iter().any(|known| known.key == key || known.key.starts_with(&within)) {
            problems.add(place, key, message);
        }
    }
}

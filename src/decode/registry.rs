//! All decoders of a configuration, and those of the clouds as they turn up.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::decoder::Decoder;
use super::grammar::Grammar;
use crate::config::{Config, DecoderSettings, DeviceSettings, DeviceTypeSettings};
use crate::model::{DeviceId, PayloadKind};

/// So many of the clouds' grammars are kept compiled; beyond that all are forgotten and compiled again.
const MOST_CLOUD_GRAMMARS: usize = 256;

/// The longest script in bytes.
const LONGEST_SCRIPT: u64 = 512 << 10;

/// All decoders of a configuration, and those of the clouds as they turn up.
#[derive(Debug)]
pub struct Registry {
    named: BTreeMap<String, Arc<Decoder>>,
    devices: BTreeMap<DeviceId, Resolved>,
    device_types: BTreeMap<String, Resolved>,
    cloud: Mutex<HashMap<String, Resolved>>,
}

/// Which decoder is a device's.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its name for documents (`decoder`); none: no decoder. The cloud's own grammar is called `cloud`.
    pub name: Option<String>,
    /// The decoder; none: payloads are published raw.
    pub decoder: Option<Arc<Decoder>>,
    /// Why the decoder that was meant cannot be used.
    pub problem: Option<String>,
}

impl Registry {
    /// Reads the scripts that a configuration names and compiles its decoders; all problems at once, each with the
    /// key it is about.
    pub fn new(config: &Config) -> Result<Self, Vec<(String, String)>> {
        Self::compile(&config.decoders, &config.devices, &config.device_types)
    }

    /// The same from the parts of a configuration that it needs.
    pub fn compile(
        decoders: &BTreeMap<String, DecoderSettings>,
        devices: &BTreeMap<DeviceId, DeviceSettings>,
        device_types: &BTreeMap<String, DeviceTypeSettings>,
    ) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let mut named = builtins();
        for (name, settings) in decoders {
            let script = match settings.script.as_deref().map(read_script).transpose() {
                Ok(script) => script,
                Err(message) => {
                    problems.push((format!("decoders.{name}.script"), message));
                    continue;
                }
            };
            match Decoder::compile(settings, script.as_deref()) {
                Ok(decoder) => {
                    named.insert(name.clone(), Arc::new(decoder));
                }
                Err(found) => problems.extend(found.into_iter().map(|problem| {
                    let dot = if problem.key.is_empty() { "" } else { "." };
                    (format!("decoders.{name}{dot}{}", problem.key), problem.message)
                })),
            }
        }
        let mut resolve = |key: String, name: &Option<String>| {
            let name = name.as_ref()?;
            let found = named.get(name);
            // What is wrong with a decoder that the configuration has was said above.
            if found.is_none() && !decoders.contains_key(name) {
                problems.push((key, unknown_decoder(name)));
            }
            Some(Resolved::to(name, Arc::clone(found?)))
        };
        let of_device = |(id, settings): (&DeviceId, &DeviceSettings)| {
            Some((*id, resolve(format!("devices.{id}.decoder"), &settings.decoder)?))
        };
        let devices = devices.iter().filter_map(of_device).collect();
        let of_type = |(id, settings): (&String, &DeviceTypeSettings)| {
            Some((id.clone(), resolve(format!("device_types.{id}.decoder"), &settings.decoder)?))
        };
        let device_types = device_types.iter().filter_map(of_type).collect();
        if problems.is_empty() {
            Ok(Self { named, devices, device_types, cloud: Mutex::default() })
        } else {
            Err(problems)
        }
    }

    /// The decoder of a device, first found: its own, its type's (by id or name), the cloud's grammar.
    #[must_use]
    pub fn resolve(
        &self,
        device: DeviceId,
        device_type: Option<(&str, Option<&str>)>,
        cloud: Option<&PayloadKind>,
    ) -> Resolved {
        let of_type = || {
            let (id, name) = device_type?;
            self.device_types.get(id).or_else(|| self.device_types.get(name?))
        };
        match self.devices.get(&device).or_else(of_type) {
            Some(resolved) => resolved.clone(),
            None => cloud.map_or_else(Resolved::raw, |kind| self.of_cloud(kind)),
        }
    }

    /// The decoder of this name: one of the configuration, or a built-in one.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<Decoder>> {
        self.named.get(name).cloned()
    }

    fn of_cloud(&self, kind: &PayloadKind) -> Resolved {
        let builtin =
            |name: &str| self.named(name).map_or_else(Resolved::raw, |decoder| Resolved::to(name, decoder));
        match kind {
            PayloadKind::Grammar(text) => self.of_cloud_grammar(text),
            PayloadKind::Text => builtin("text"),
            PayloadKind::SensitV2 => builtin("sensit-v2"),
            PayloadKind::Raw | PayloadKind::Geolocation => Resolved::raw(),
        }
    }

    fn of_cloud_grammar(&self, text: &str) -> Resolved {
        let mut cloud = self.cloud.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cloud.get(text) {
            return known.clone();
        }
        // A type that has no grammar yet is no fault of its owner's.
        let resolved = if text.trim().is_empty() {
            Resolved::raw()
        } else {
            match Grammar::parse_from_cloud(text) {
                Ok(grammar) => Resolved::to("cloud", Arc::new(Decoder::of_grammar(grammar))),
                Err(error) => Resolved {
                    problem: Some(format!("the cloud's payload configuration cannot be read: {error}")),
                    ..Resolved::raw()
                },
            }
        };
        if cloud.len() >= MOST_CLOUD_GRAMMARS {
            cloud.clear();
        }
        cloud.insert(text.to_owned(), resolved.clone());
        resolved
    }
}

impl Resolved {
    fn to(name: &str, decoder: Arc<Decoder>) -> Self {
        Self { name: Some(name.to_owned()), decoder: Some(decoder), problem: None }
    }

    fn raw() -> Self {
        Self { name: None, decoder: None, problem: None }
    }
}

/// The text of a script; a little more than the longest that is taken, so that a longer one is refused as such.
fn read_script(path: &Path) -> Result<String, String> {
    let said =
        |error: io::Error| format!("{} cannot be read: {error} (expected a JavaScript file)", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(said)?;
    file.take(LONGEST_SCRIPT + 1).read_to_string(&mut text).map_err(said)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= LONGEST_SCRIPT) {
        Ok(text)
    } else {
        Err(format!("{} is too long (expected at most {} KiB)", path.display(), LONGEST_SCRIPT >> 10))
    }
}

fn unknown_decoder(name: &str) -> String {
    let builtin: Vec<&str> = super::builtin_names().map(|(name, _)| name).collect();
    let name: String = name.chars().take(40).collect();
    format!(
        "there is no decoder `{name}` (expected a name of `[decoders]`, or one of {})",
        builtin.join(", ")
    )
}

fn builtins() -> BTreeMap<String, Arc<Decoder>> {
    let builtin = |name: &str| Some((name.to_owned(), Arc::new(Decoder::builtin(name)?)));
    super::builtin_names().filter_map(|(name, _)| builtin(name)).collect()
}

#[cfg(test)]
mod tests;

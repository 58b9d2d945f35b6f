//! Settings of devices, of their types and of decoders.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A device's own settings.
#[derive(Debug, Clone, Default)]
pub struct DeviceSettings {
    /// What it is called here.
    pub name: Option<String>,
    /// Its decoder: a name of `[decoders]` or of a built-in one.
    pub decoder: Option<String>,
    /// How often it is expected to send.
    pub expected_interval: Option<Duration>,
}

/// Settings of a device type.
#[derive(Debug, Clone, Default)]
pub struct DeviceTypeSettings {
    /// The decoder of its devices.
    pub decoder: Option<String>,
    /// How often its devices are expected to send.
    pub expected_interval: Option<Duration>,
}

/// A decoder of the configuration.
#[derive(Debug, Clone, Default)]
pub struct DecoderSettings {
    /// A grammar.
    pub format: Option<String>,
    /// Whose grammar it is.
    pub dialect: Dialect,
    /// A built-in decoder that this one refines.
    pub builtin: Option<String>,
    /// A JavaScript file.
    pub script: Option<PathBuf>,
    /// The grammar of the eight bytes of a downlink.
    pub encode: Option<String>,
    /// Expressions over the fields, in the order of the file.
    pub computed: Vec<(String, String)>,
    /// An expression that is true of the uplink that proves that a downlink arrived.
    pub acknowledged_by: Option<String>,
    /// What is known about each field.
    pub fields: BTreeMap<String, FieldSettings>,
}

/// Whose grammar a format is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Sigfox's, extended by Soracom's operations.
    #[default]
    Sigfox,
    /// Soracom's binary parser.
    Soracom,
}

/// What is known about a field; Home Assistant's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSettings {
    /// What people call it.
    pub name: Option<String>,
    /// Unit of measurement.
    pub unit: Option<String>,
    /// Home Assistant's device class.
    pub device_class: Option<String>,
    /// Home Assistant's state class.
    pub state_class: Option<String>,
    /// Digits after the point that are shown.
    pub precision: Option<u8>,
    /// Icon, such as `mdi:water`.
    pub icon: Option<String>,
    /// `diagnostic` or `config`.
    pub entity_category: Option<String>,
}

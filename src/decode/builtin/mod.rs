//! Decoders of devices whose layouts are public, by name; one small pure file each, with its source.

mod adeunis;
mod oyster;
mod plain;
mod sensit;
mod simple;
mod unabiz;

use super::{Decoded, FieldKind};
use crate::config::FieldSettings;
use crate::model::Fields;

/// Makes the eight bytes of a downlink, or says what is wrong with its fields.
pub(super) type Encode = fn(&Fields) -> Result<[u8; 8], String>;

/// A decoder that needs no configuration.
#[derive(Debug)]
pub(super) struct Builtin {
    /// Its name in a configuration.
    pub(super) name: &'static str,
    /// What sends such payloads.
    pub(super) device: &'static str,
    /// The fields that it can give.
    pub(super) fields: &'static [Known],
    /// How a payload is read.
    pub(super) layout: Layout,
    /// Makes a downlink, where the device knows any.
    pub(super) encode: Option<Encode>,
}

/// How a payload is read.
#[derive(Debug)]
pub(super) enum Layout {
    /// By a grammar of the Sigfox dialect.
    Grammar(&'static str),
    /// By a function, where the layout depends on its own bytes.
    Function(fn(&[u8]) -> Decoded),
}

/// What is known about a field of a built-in decoder; Home Assistant's names.
#[derive(Debug)]
pub(super) struct Known {
    key: &'static str,
    kind: FieldKind,
    unit: Option<&'static str>,
    device_class: Option<&'static str>,
    state_class: Option<&'static str>,
    entity_category: Option<&'static str>,
}

const ALL: [&Builtin; 11] = [
    &adeunis::FTD,
    &adeunis::TEMP,
    &simple::GPS_FLOATS,
    &simple::HARDWARIO_CLIMATE,
    &plain::HEX,
    &oyster::OYSTER,
    &simple::QUORUM_A1QX,
    &sensit::V2,
    &sensit::V3,
    &plain::TEXT,
    &unabiz::UNABIZ,
];

/// The built-in decoder of this name.
pub(super) fn named(name: &str) -> Option<&'static Builtin> {
    all().find(|builtin| builtin.name == name)
}

/// Every built-in decoder, by name.
pub(super) fn all() -> impl Iterator<Item = &'static Builtin> {
    ALL.into_iter()
}

impl Known {
    /// A measurement in a unit.
    const fn number(key: &'static str, unit: &'static str, device_class: &'static str) -> Self {
        let (unit, device_class) = (Some(unit), Some(device_class));
        Self { device_class, unit, state_class: Some("measurement"), ..Self::count(key) }
    }

    /// An angle.
    const fn degrees(key: &'static str) -> Self {
        Self { unit: Some("°"), state_class: Some("measurement"), ..Self::count(key) }
    }

    /// A number without a unit.
    const fn count(key: &'static str) -> Self {
        let kind = FieldKind::Number;
        Self { key, kind, unit: None, device_class: None, state_class: None, entity_category: None }
    }

    /// A number that only ever grows, until it starts again.
    const fn counter(key: &'static str) -> Self {
        Self { state_class: Some("total_increasing"), ..Self::count(key) }
    }

    /// True or false.
    const fn bool(key: &'static str) -> Self {
        Self { kind: FieldKind::Bool, ..Self::count(key) }
    }

    /// A text.
    const fn text(key: &'static str) -> Self {
        Self { kind: FieldKind::Text, ..Self::count(key) }
    }

    /// The same, of a device class.
    const fn class(self, device_class: &'static str) -> Self {
        Self { device_class: Some(device_class), ..self }
    }

    /// The voltage of the battery.
    const fn battery() -> Self {
        Self::number("battery_voltage", "V", "voltage").diagnostic()
    }

    /// About the device, not about what it measures.
    const fn diagnostic(self) -> Self {
        Self { entity_category: Some("diagnostic"), ..self }
    }

    /// Its key in `fields`.
    pub(super) fn key(&self) -> &'static str {
        self.key
    }

    /// What kind of value it has.
    pub(super) fn kind(&self) -> FieldKind {
        self.kind
    }

    /// The same in the words of a configuration.
    pub(super) fn settings(&self) -> FieldSettings {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        FieldSettings {
            unit: owned(self.unit),
            device_class: owned(self.device_class),
            state_class: owned(self.state_class),
            entity_category: owned(self.entity_category),
            ..FieldSettings::default()
        }
    }
}

/// The reason for a payload of a length that the device does not send.
fn wrong_length(payload: &[u8], expected: &str) -> Decoded {
    Decoded::nothing(format!("expected {expected}; the payload has {}", payload.len()))
}

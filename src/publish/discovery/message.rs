//! Discovery messages as they are written: a device with all of its entities, or an entity alone.

use std::borrow::Cow;

use bytes::Bytes;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::{Entity, EntityId};
use crate::model::DeviceId;
use crate::publish::document::print;

/// An entity's settings in the order in which they are written.
pub(super) type Settings = Vec<(&'static str, Setting)>;

/// What a setting says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Setting {
    Text(Cow<'static, str>),
    Number(u8),
    Flag(bool),
    Texts(&'static [&'static str]),
    /// Topics whose documents say `online` while the entity is there.
    Online(Vec<Online>),
}

/// A topic of `availability`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Online {
    topic: String,
    value_template: &'static str,
}

impl Setting {
    pub(super) fn online(topics: impl IntoIterator<Item = String>) -> Self {
        let online = |topic| Online { topic, value_template: "{{ value_json.state }}" };
        Self::Online(topics.into_iter().map(online).collect())
    }
}

impl From<&'static str> for Setting {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Setting {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// The device that entities belong to (`dev`).
#[derive(Debug, Serialize)]
pub(super) struct Block<'a> {
    pub(super) ids: [String; 1],
    pub(super) name: String,
    pub(super) mf: &'static str,
    pub(super) mdl: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sn: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) via_device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sw: Option<&'static str>,
}

/// Who tells of it (`o`).
#[derive(Debug, Serialize)]
struct Origin {
    name: &'static str,
    sw: &'static str,
}

const ORIGIN: Origin = Origin { name: "sigfox2mqtt", sw: env!("CARGO_PKG_VERSION") };

/// A device with its entities. One that is named with its platform alone is removed.
pub(super) fn whole(device: &Block<'_>, entities: &[Entity], removed: &[EntityId]) -> Bytes {
    #[derive(Serialize)]
    struct Whole<'a> {
        dev: &'a Block<'a>,
        o: Origin,
        cmps: Components<'a>,
    }
    print(&Whole { dev: device, o: ORIGIN, cmps: Components { entities, removed } })
}

/// An entity's message where it comes alone.
pub(super) fn alone(device: &Block<'_>, entity: &Entity) -> Bytes {
    print(&Alone { device, entity })
}

struct Components<'a> {
    entities: &'a [Entity],
    removed: &'a [EntityId],
}

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (component, key) in self.removed {
            map.serialize_entry(key, &Component { component, settings: &[] })?;
        }
        for Entity { key, component, settings } in self.entities {
            map.serialize_entry(key, &Component { component, settings })?;
        }
        map.end()
    }
}

struct Component<'a> {
    component: &'static str,
    settings: &'a [(&'static str, Setting)],
}

impl Serialize for Component<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("p", self.component)?;
        for (key, setting) in self.settings {
            map.serialize_entry(key, setting)?;
        }
        map.end()
    }
}

struct Alone<'a> {
    device: &'a Block<'a>,
    entity: &'a Entity,
}

impl Serialize for Alone<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, setting) in &self.entity.settings {
            map.serialize_entry(key, setting)?;
        }
        map.serialize_entry("dev", self.device)?;
        map.serialize_entry("o", &ORIGIN)?;
        map.end()
    }
}

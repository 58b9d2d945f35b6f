//! What Home Assistant is told of devices and of the gateway, so that entities appear by themselves. Pure.
//!
//! After Home Assistant's documentation of MQTT discovery; entity ids are suggested, unique ids never change.

mod message;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use crc::{CRC_16_IBM_3740, Crc};
use serde_json::json;

use self::message::{Block, Setting, Settings};
use crate::decode::{FieldInfo, FieldKind};
use crate::model::{DeviceId, SourceName};
use crate::mqtt::topic::Topics;

/// What every discovery message needs to know of the gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gateway<'a> {
    pub(super) id: &'a str,
    pub(super) topics: &'a Topics,
}

/// A device as Home Assistant is to know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described<'a> {
    pub(super) id: DeviceId,
    pub(super) name: &'a str,
    pub(super) model: Option<&'a str>,
    pub(super) fields: &'a [FieldInfo],
    /// Whether a downlink can be pushed to it.
    pub(super) takes_downlinks: bool,
}

/// An entity as it is remembered: its component and its key.
pub(super) type EntityId = (&'static str, String);

/// Every component that we have entities of.
const COMPONENTS: [&str; 5] = ["binary_sensor", "button", "device_tracker", "sensor", "text"];

/// An entity: its key within the device, its component (`sensor`, …) and its settings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entity {
    pub(super) key: String,
    pub(super) component: &'static str,
    settings: Settings,
}

impl Entity {
    /// As it is remembered.
    pub(super) fn id(self) -> EntityId {
        (self.component, self.key)
    }
}

/// Reads what was remembered as `<component> <key>`.
pub(super) fn parse_entity(text: &str) -> Option<EntityId> {
    let (component, key) = text.split_once(' ')?;
    Some((COMPONENTS.into_iter().find(|known| *known == component)?, key.to_owned()))
}

impl Gateway<'_> {
    /// The discovery message of a device with these entities, and without those that were removed.
    pub(super) fn device(&self, device: &Described<'_>, entities: &[Entity], removed: &[EntityId]) -> Bytes {
        message::whole(&self.device_block(device), entities, removed)
    }

    /// The discovery message of one entity, for hosts that know no device discovery.
    pub(super) fn component(&self, device: &Described<'_>, entity: &Entity) -> Bytes {
        message::alone(&self.device_block(device), entity)
    }

    /// The discovery message of the gateway itself.
    pub(super) fn itself(&self, entities: &[Entity], removed: &[EntityId]) -> Bytes {
        message::whole(&self.own_block(), entities, removed)
    }

    /// The discovery message of one of the gateway's own entities.
    pub(super) fn own_component(&self, entity: &Entity) -> Bytes {
        message::alone(&self.own_block(), entity)
    }

    fn own_block(&self) -> Block<'static> {
        Block {
            ids: [self.node(None)],
            name: format!("sigfox2mqtt {}", self.id),
            mf: "sigfox2mqtt",
            mdl: Some("Gateway"),
            sn: None,
            via_device: None,
            sw: Some(env!("CARGO_PKG_VERSION")),
        }
    }

    /// The name under which a device, or the gateway, is known to Home Assistant.
    pub(super) fn node(&self, device: Option<DeviceId>) -> String {
        match device {
            Some(device) => format!("sigfox2mqtt_{}_{device}", self.id),
            None => format!("sigfox2mqtt_{}", self.id),
        }
    }

    fn device_block<'a>(&self, device: &Described<'a>) -> Block<'a> {
        Block {
            ids: [self.node(Some(device.id))],
            name: device.name.chars().take(200).collect(),
            mf: "Sigfox",
            mdl: device.model,
            sn: Some(device.id),
            via_device: Some(self.node(None)),
            sw: None,
        }
    }

    /// The entities of a device: its fields, then what every device has.
    pub(super) fn entities(&self, device: &Described<'_>) -> Vec<Entity> {
        let topic = |name: &str| self.topics.device(device.id, name);
        let of_device = |key: &str, component: &'static str, name: &str, settings: Settings| {
            self.entity(Some(device.id), key, component, name, settings)
        };
        let mut entities: Vec<Entity> =
            device.fields.iter().map(|field| self.field(device.id, field)).collect();
        entities.push(of_device(
            "last_seen",
            "sensor",
            "Last seen",
            vec![
                ("state_topic", topic("availability").into()),
                ("value_template", "{{ value_json.last_seen }}".into()),
                ("device_class", "timestamp".into()),
                ("entity_category", "diagnostic".into()),
            ],
        ));
        entities.push(of_device(
            "link_quality",
            "sensor",
            "Link quality",
            vec![
                ("state_topic", topic("state").into()),
                ("value_template", "{{ value_json.lqi }}".into()),
                ("device_class", "enum".into()),
                ("options", Setting::Texts(&["limit", "average", "good", "excellent"])),
                ("entity_category", "diagnostic".into()),
            ],
        ));
        entities.push(of_device(
            "rssi",
            "sensor",
            "RSSI",
            vec![
                ("state_topic", topic("state").into()),
                ("value_template", "{{ value_json.rssi }}".into()),
                ("device_class", "signal_strength".into()),
                ("state_class", "measurement".into()),
                ("unit_of_measurement", "dBm".into()),
                ("entity_category", "diagnostic".into()),
            ],
        ));
        entities.push(of_device(
            "location",
            "device_tracker",
            "Location",
            vec![("json_attributes_topic", topic("location").into()), ("source_type", "gps".into())],
        ));
        if device.takes_downlinks {
            entities.push(of_device(
                "downlink",
                "sensor",
                "Downlink",
                vec![
                    ("state_topic", topic("downlink").into()),
                    ("value_template", "{{ value_json.last.state if value_json.last else 'none' }}".into()),
                    ("icon", "mdi:download-network".into()),
                    ("entity_category", "diagnostic".into()),
                ],
            ));
            entities.push(of_device(
                "downlink_push",
                "text",
                "Send downlink",
                vec![
                    ("command_topic", topic("downlink/push").into()),
                    ("command_template", r#"{"data":"{{ value }}"}"#.into()),
                    ("min", Setting::Number(16)),
                    ("max", Setting::Number(16)),
                    ("pattern", "^[0-9a-fA-F]{16}$".into()),
                    ("enabled_by_default", Setting::Flag(false)),
                ],
            ));
        }
        entities
    }

    fn field(&self, device: DeviceId, field: &FieldInfo) -> Entity {
        let settings = &field.settings;
        // As a literal of the template language, whatever the key holds.
        let key = json!(field.key).to_string();
        let value = match field.kind {
            // Longer states are refused by Home Assistant.
            FieldKind::Text => format!("{{{{ (value_json.fields.get({key}) | string)[:255] }}}}"),
            FieldKind::Number | FieldKind::Bool => format!("{{{{ value_json.fields.get({key}) }}}}"),
        };
        let mut said: Settings = vec![
            ("state_topic", self.topics.device(device, "state").into()),
            ("value_template", value.into()),
        ];
        let mut say = |key: &'static str, text: Option<&String>| {
            said.extend(text.map(|text| (key, text.clone().into())));
        };
        say("device_class", settings.device_class.as_ref());
        say("icon", settings.icon.as_ref());
        say("entity_category", settings.entity_category.as_ref());
        match field.kind {
            FieldKind::Bool => {
                said.extend([("payload_on", "True".into()), ("payload_off", "False".into())]);
            }
            FieldKind::Number => {
                say("unit_of_measurement", settings.unit.as_ref());
                say("state_class", settings.state_class.as_ref());
                said.extend(
                    settings.precision.map(|digits| ("suggested_display_precision", Setting::Number(digits))),
                );
            }
            FieldKind::Text => {}
        }
        // Keys differ by component: a field that becomes another kind is a new entity, and the old one is removed.
        let (component, kind) =
            if field.kind == FieldKind::Bool { ("binary_sensor", "flag") } else { ("sensor", "field") };
        let name = settings.name.clone().unwrap_or_else(|| readable(&field.key));
        self.entity(Some(device), &format!("{kind}_{}", slug(&field.key)), component, &name, said)
    }

    /// The entities of the gateway: its connection, its outbox, *sync now*, and how each source does.
    pub(super) fn own_entities(&self, sources: &[SourceName]) -> Vec<Entity> {
        let own =
            |key: &str, component, name: &str, settings| self.entity(None, key, component, name, settings);
        let mut entities = vec![
            own(
                "connectivity",
                "binary_sensor",
                "Connection",
                vec![
                    ("state_topic", self.topics.bridge("state").into()),
                    ("value_template", "{{ value_json.state }}".into()),
                    ("payload_on", "online".into()),
                    ("payload_off", "offline".into()),
                    ("device_class", "connectivity".into()),
                    ("entity_category", "diagnostic".into()),
                ],
            ),
            own(
                "outbox",
                "sensor",
                "Outbox",
                vec![
                    ("state_topic", self.topics.bridge("health").into()),
                    ("value_template", "{{ value_json.outbox.depth }}".into()),
                    ("state_class", "measurement".into()),
                    ("entity_category", "diagnostic".into()),
                ],
            ),
            own(
                "sync",
                "button",
                "Sync now",
                vec![
                    ("command_topic", self.topics.bridge("request/sync").into()),
                    ("payload_press", "{}".into()),
                ],
            ),
        ];
        entities.extend(sources.iter().map(|source| {
            own(
                &format!("source_{}", slug(source.as_str())),
                "binary_sensor",
                &format!("Source {source}"),
                vec![
                    ("state_topic", self.topics.source(source).into()),
                    (
                        "value_template",
                        "{{ 'OFF' if value_json.state in ['ok', 'starting'] else 'ON' }}".into(),
                    ),
                    ("device_class", "problem".into()),
                    ("entity_category", "diagnostic".into()),
                ],
            )
        }));
        entities
    }

    fn entity(
        &self,
        device: Option<DeviceId>,
        key: &str,
        component: &'static str,
        name: &str,
        settings: Settings,
    ) -> Entity {
        let unique = format!("{}_{key}", self.node(device));
        let entity_id = format!("{component}.{}", plain(&unique));
        let mut all: Settings = vec![
            ("name", name.to_owned().into()),
            ("unique_id", unique.into()),
            ("default_entity_id", entity_id.into()),
            ("qos", Setting::Number(1)),
        ];
        if key != "connectivity" {
            let own = device.map(|device| self.topics.device(device, "availability"));
            let topics = std::iter::once(self.topics.bridge("state")).chain(own);
            all.extend([("availability", Setting::online(topics)), ("availability_mode", "all".into())]);
        }
        all.extend(settings);
        Entity { key: key.to_owned(), component, settings: all }
    }
}

/// A key as a topic and an entity id may spell it; one that had to be changed ends in its CRC, so that two keys
/// stay two.
fn slug(key: &str) -> String {
    let plain = plain(key);
    if plain == key {
        plain
    } else {
        let crc = Crc::<u16>::new(&CRC_16_IBM_3740).checksum(key.as_bytes());
        format!("{plain}_{crc:04x}")
    }
}

fn plain(text: &str) -> String {
    let spelled = |character: char| match character.to_ascii_lowercase() {
        lower @ ('a'..='z' | '0'..='9' | '_') => lower,
        _ => '_',
    };
    text.chars().take(80).map(spelled).collect()
}

/// `battery_voltage` as a person writes it.
fn readable(key: &str) -> String {
    let words = key.replace('_', " ");
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).take(100).collect(),
        None => words,
    }
}

//! What Home Assistant is told of devices and of the gateway, so that entities appear by themselves. Pure.
//!
//! After Home Assistant's documentation of MQTT discovery; entity ids are suggested, unique ids never change.

#[cfg(test)]
mod tests;

use crc::{CRC_16_IBM_3740, Crc};
use serde_json::{Map, Value, json};

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
    settings: Map<String, Value>,
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
    pub(super) fn device(
        &self,
        device: &Described<'_>,
        entities: Vec<Entity>,
        removed: &[EntityId],
    ) -> Value {
        message(self.device_block(device), entities, removed)
    }

    /// The discovery message of one entity, for hosts that know no device discovery.
    pub(super) fn component(&self, device: &Described<'_>, entity: &Entity) -> Value {
        alone(self.device_block(device), entity)
    }

    /// The discovery message of the gateway itself.
    pub(super) fn itself(&self, entities: Vec<Entity>, removed: &[EntityId]) -> Value {
        message(self.own_block(), entities, removed)
    }

    /// The discovery message of one of the gateway's own entities.
    pub(super) fn own_component(&self, entity: &Entity) -> Value {
        alone(self.own_block(), entity)
    }

    fn own_block(&self) -> Value {
        json!({
            "ids": [self.node(None)],
            "name": format!("sigfox2mqtt {}", self.id),
            "mf": "sigfox2mqtt",
            "mdl": "Gateway",
            "sw": env!("CARGO_PKG_VERSION"),
        })
    }

    /// The name under which a device, or the gateway, is known to Home Assistant.
    pub(super) fn node(&self, device: Option<DeviceId>) -> String {
        match device {
            Some(device) => format!("sigfox2mqtt_{}_{device}", self.id),
            None => format!("sigfox2mqtt_{}", self.id),
        }
    }

    fn device_block(&self, device: &Described<'_>) -> Value {
        json!({
            "ids": [self.node(Some(device.id))],
            "name": device.name.chars().take(200).collect::<String>(),
            "mf": "Sigfox",
            "mdl": device.model,
            "sn": device.id,
            "via_device": self.node(None),
        })
    }

    /// The entities of a device: its fields, then what every device has.
    pub(super) fn entities(&self, device: &Described<'_>) -> Vec<Entity> {
        let topic = |name: &str| self.topics.device(device.id, name);
        let of_device = |key: &str, component: &'static str, name: &str, settings: Value| {
            self.entity(Some(device.id), key, component, name, settings)
        };
        let mut entities: Vec<Entity> =
            device.fields.iter().map(|field| self.field(device.id, field)).collect();
        entities.push(of_device(
            "last_seen",
            "sensor",
            "Last seen",
            json!({
                "state_topic": topic("availability"),
                "value_template": "{{ value_json.last_seen }}",
                "device_class": "timestamp",
                "entity_category": "diagnostic",
            }),
        ));
        entities.push(of_device(
            "link_quality",
            "sensor",
            "Link quality",
            json!({
                "state_topic": topic("state"),
                "value_template": "{{ value_json.lqi }}",
                "device_class": "enum",
                "options": ["limit", "average", "good", "excellent"],
                "entity_category": "diagnostic",
            }),
        ));
        entities.push(of_device(
            "rssi",
            "sensor",
            "RSSI",
            json!({
                "state_topic": topic("state"),
                "value_template": "{{ value_json.rssi }}",
                "device_class": "signal_strength",
                "state_class": "measurement",
                "unit_of_measurement": "dBm",
                "entity_category": "diagnostic",
            }),
        ));
        entities.push(of_device(
            "location",
            "device_tracker",
            "Location",
            json!({
                "json_attributes_topic": topic("location"),
                "source_type": "gps",
            }),
        ));
        if device.takes_downlinks {
            entities.push(of_device(
                "downlink",
                "sensor",
                "Downlink",
                json!({
                    "state_topic": topic("downlink"),
                    "value_template": "{{ value_json.last.state if value_json.last else 'none' }}",
                    "icon": "mdi:download-network",
                    "entity_category": "diagnostic",
                }),
            ));
            entities.push(of_device(
                "downlink_push",
                "text",
                "Send downlink",
                json!({
                    "command_topic": topic("downlink/push"),
                    "command_template": r#"{"data":"{{ value }}"}"#,
                    "min": 16,
                    "max": 16,
                    "pattern": "^[0-9a-fA-F]{16}$",
                    "enabled_by_default": false,
                }),
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
        let mut said = json!({ "state_topic": self.topics.device(device, "state"), "value_template": value });
        if let Some(said) = said.as_object_mut() {
            let texts = [
                ("device_class", &settings.device_class),
                ("icon", &settings.icon),
                ("entity_category", &settings.entity_category),
            ];
            said.extend(
                texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))),
            );
            match field.kind {
                FieldKind::Bool => said.extend([
                    ("payload_on".to_owned(), json!("True")),
                    ("payload_off".to_owned(), json!("False")),
                ]),
                FieldKind::Number => {
                    let numbers = [
                        ("unit_of_measurement", settings.unit.as_ref().map(|unit| json!(unit))),
                        ("state_class", settings.state_class.as_ref().map(|class| json!(class))),
                        ("suggested_display_precision", settings.precision.map(|digits| json!(digits))),
                    ];
                    said.extend(
                        numbers.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))),
                    );
                }
                FieldKind::Text => {}
            }
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
                json!({
                    "state_topic": self.topics.bridge("state"),
                    "value_template": "{{ value_json.state }}",
                    "payload_on": "online",
                    "payload_off": "offline",
                    "device_class": "connectivity",
                    "entity_category": "diagnostic",
                }),
            ),
            own(
                "outbox",
                "sensor",
                "Outbox",
                json!({
                    "state_topic": self.topics.bridge("health"),
                    "value_template": "{{ value_json.outbox.depth }}",
                    "state_class": "measurement",
                    "entity_category": "diagnostic",
                }),
            ),
            own(
                "sync",
                "button",
                "Sync now",
                json!({
                    "command_topic": self.topics.bridge("request/sync"),
                    "payload_press": "{}",
                }),
            ),
        ];
        entities.extend(sources.iter().map(|source| {
            own(
                &format!("source_{}", slug(source.as_str())),
                "binary_sensor",
                &format!("Source {source}"),
                json!({
                    "state_topic": self.topics.source(source),
                    "value_template": "{{ 'OFF' if value_json.state in ['ok', 'starting'] else 'ON' }}",
                    "device_class": "problem",
                    "entity_category": "diagnostic",
                }),
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
        settings: Value,
    ) -> Entity {
        let unique = format!("{}_{key}", self.node(device));
        let online = |topic: String| json!({ "topic": topic, "value_template": "{{ value_json.state }}" });
        let mut all = Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("unique_id".to_owned(), json!(unique)),
            ("default_entity_id".to_owned(), json!(format!("{component}.{}", plain(&unique)))),
            ("qos".to_owned(), json!(1)),
        ]);
        if key != "connectivity" {
            let mut topics = vec![online(self.topics.bridge("state"))];
            topics.extend(device.map(|device| online(self.topics.device(device, "availability"))));
            all.insert("availability".to_owned(), json!(topics));
            all.insert("availability_mode".to_owned(), json!("all"));
        }
        if let Value::Object(settings) = settings {
            all.extend(settings);
        }
        Entity { key: key.to_owned(), component, settings: all }
    }
}

/// A device with its entities. One that is named with its platform alone is removed.
fn message(device: Value, entities: Vec<Entity>, removed: &[EntityId]) -> Value {
    let present = entities.into_iter().map(|Entity { key, component, mut settings }| {
        settings.shift_insert(0, "p".to_owned(), json!(component));
        (key, Value::Object(settings))
    });
    let absent = removed.iter().map(|(component, key)| (key.clone(), json!({ "p": component })));
    let components: Map<String, Value> = absent.chain(present).collect();
    Value::Object(Map::from_iter([
        ("dev".to_owned(), device),
        ("o".to_owned(), origin()),
        ("cmps".to_owned(), Value::Object(components)),
    ]))
}

/// An entity's message where it comes alone.
fn alone(device: Value, entity: &Entity) -> Value {
    let mut message = entity.settings.clone();
    message.extend([("dev".to_owned(), device), ("o".to_owned(), origin())]);
    Value::Object(message)
}

fn origin() -> Value {
    json!({ "name": "sigfox2mqtt", "sw": env!("CARGO_PKG_VERSION") })
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

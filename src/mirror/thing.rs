//! A device's Thing as it is to be: its marker, its properties with types and units, its action and its event. Pure.

use serde_json::{Map, Value, json};

use crate::cloud::altair::Thing;
use crate::model::{DeviceId, Timestamp};

/// The `@type` of every Thing that we make.
pub(super) const TYPE: &str = "SigfoxDevice";
/// The property whose constant value is the device's id.
pub(super) const MARKER: &str = "sigfoxId";
/// The action by which a downlink is asked for.
pub(super) const DOWNLINK: &str = "downlink";
/// The event of a payload that cannot be read, or of a report of the network.
pub(super) const ERROR: &str = "error";

pub(super) const LAST_SEEN: &str = "last_seen";
pub(super) const AVAILABILITY: &str = "availability";
pub(super) const LOCATION: &str = "location";

/// Properties that every Thing has: name, title, type, unit.
const OWN: [(&str, &str, &str, Option<&str>); 7] = [
    (LAST_SEEN, "Last seen", "string", None),
    (AVAILABILITY, "Availability", "string", None),
    (LOCATION, "Location", "object", None),
    ("data", "Payload", "string", None),
    ("link_quality", "Link quality", "string", None),
    ("rssi", "Signal strength", "number", Some("dBm")),
    ("snr", "Signal to noise", "number", Some("dB")),
];

/// A Thing as far as we need to know it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) uid: String,
    /// What is said about each property.
    pub(super) properties: Map<String, Value>,
    /// Whether it has the action.
    pub(super) takes_downlinks: bool,
    /// Up to when its current values are.
    pub(super) newest: Option<Timestamp>,
    /// The availability that it shows.
    pub(super) availability: Option<String>,
}

impl Known {
    /// What matters of a Thing; none if it is nobody's.
    pub(super) fn of(thing: Thing) -> Option<(DeviceId, Self)> {
        let text = |name: &str| thing.status.get(name).and_then(Value::as_str);
        let constant = thing.properties.get(MARKER).and_then(|marker| marker.get("const"));
        let device = constant.and_then(Value::as_str).or_else(|| text(MARKER))?.parse().ok()?;
        let known = Self {
            newest: text(LAST_SEEN).and_then(|time| time.parse().ok()),
            availability: text(AVAILABILITY).map(ToOwned::to_owned),
            takes_downlinks: thing.actions.contains_key(DOWNLINK),
            uid: thing.uid,
            properties: thing.properties,
        };
        Some((device, known))
    }
}

/// The description of a device's Thing; `info` is the device's document of that name.
pub(super) fn description(device: DeviceId, info: &Value) -> Value {
    let title =
        info.get("name").and_then(Value::as_str).map_or_else(|| device.to_string(), ToOwned::to_owned);
    let mut properties = Map::from_iter([(
        MARKER.to_owned(),
        json!({ "title": "Sigfox ID", "type": "string", "const": device, "readOnly": true }),
    )]);
    properties.extend(wanted(info));
    let mut actions = Map::new();
    if takes_downlinks(info) {
        actions.insert(DOWNLINK.to_owned(), downlink_action());
    }
    json!({
        "title": title,
        "description": format!("Sigfox device {device}"),
        "@type": [TYPE],
        "properties": properties,
        "actions": actions,
        "events": { ERROR: { "title": "Error", "data": { "type": "string" } } },
    })
}

/// Whether a device can be sent a downlink, by its `info`.
pub(super) fn takes_downlinks(info: &Value) -> bool {
    info.pointer("/downlink/mode").and_then(Value::as_str).is_some_and(|mode| mode != "none")
}

fn downlink_action() -> Value {
    // The service knows no pattern of a text: what is wrong is refused when it comes.
    json!({
        "title": "Downlink",
        "description": "8 bytes as 16 hexadecimal digits, sent at the device's next opportunity",
        "input": { "type": "string" },
    })
}

/// The properties that a device's Thing is to have, but for the marker: those that every Thing has and the catalogue
/// of the device's decoder. None is read-only: what that would mean for the gateway's own writes is not documented.
pub(super) fn wanted(info: &Value) -> Map<String, Value> {
    let own =
        OWN.iter().map(|(name, title, kind, unit)| ((*name).to_owned(), definition(title, kind, *unit)));
    let mut properties: Map<String, Value> = own.collect();
    for field in info.get("fields").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| field.get(key).and_then(Value::as_str);
        let Some(key) = text("key") else { continue };
        let kind = match text("type") {
            Some("number") => "number",
            Some("boolean") => "boolean",
            _ => "string",
        };
        properties.insert(property_of(key), definition(text("name").unwrap_or(key), kind, text("unit")));
    }
    properties
}

fn definition(title: &str, kind: &str, unit: Option<&str>) -> Value {
    let mut definition = json!({ "title": title, "type": kind });
    if let (Some(unit), Some(definition)) = (unit, definition.as_object_mut()) {
        definition.insert("unit".to_owned(), Value::from(unit));
    }
    definition
}

/// The property of a field: its key, but for the names that every Thing has.
pub(super) fn property_of(field: &str) -> String {
    let taken = field == MARKER || OWN.iter().any(|(name, ..)| *name == field);
    if taken { format!("field_{field}") } else { field.to_owned() }
}

/// The definition of a property that only its value tells of; none of null.
pub(super) fn definition_of(name: &str, value: &Value) -> Option<Value> {
    Some(definition(name, type_of(value)?, None))
}

/// Whether a value may stand in a property with this definition.
pub(super) fn fits(definition: &Value, value: &Value) -> bool {
    match definition.get("type").and_then(Value::as_str) {
        Some("integer") => value.is_i64() || value.is_u64(),
        Some(kind) => type_of(value).is_none_or(|own| own == kind),
        None => true,
    }
}

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(_) => Some("number"),
        Value::String(_) => Some("string"),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
    }
}

/// The steps of a JSON Patch (RFC 6902) that give a Thing what it lacks; with `mend` also those that replace a
/// definition whose type is another.
pub(super) fn steps(known: &Known, wanted: &Map<String, Value>, action: bool, mend: bool) -> Vec<Value> {
    let pointer = |name: &str| format!("/properties/{}", name.replace('~', "~0").replace('/', "~1"));
    let mut steps = Vec::new();
    for (name, definition) in wanted {
        match known.properties.get(name) {
            None => steps.push(json!({ "op": "add", "path": pointer(name), "value": definition })),
            Some(old) if mend && old.get("type") != definition.get("type") => {
                steps.push(json!({ "op": "replace", "path": pointer(name), "value": definition }));
            }
            Some(_) => {}
        }
    }
    if action && !known.takes_downlinks {
        let path = format!("/actions/{DOWNLINK}");
        steps.push(json!({ "op": "add", "path": path, "value": downlink_action() }));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> Value {
        json!({
            "name": "Tank 3", "downlink": { "mode": "callback" },
            "fields": [
                { "key": "level", "name": "Level", "type": "number", "unit": "m" },
                { "key": "alarm", "name": null, "type": "boolean", "unit": null },
                { "key": "rssi", "name": null, "type": "number", "unit": null },
            ],
        })
    }

    fn known(properties: &Value) -> Known {
        let status = json!({ "sigfoxId": "1A2B3C", "last_seen": "2026-09-09T22:26:40.123Z" });
        let object = |value: &Value| value.as_object().unwrap().clone();
        let thing = Thing {
            uid: "TH1".to_owned(),
            title: String::new(),
            description: None,
            categories: Vec::new(),
            types: Vec::new(),
            status: object(&status),
            properties: object(properties),
            actions: Map::new(),
            events: Map::new(),
            created: None,
            modified: None,
        };
        Known::of(thing).unwrap().1
    }

    #[test]
    fn a_device_becomes_a_thing_with_its_marker_types_and_units() {
        let description = description("1A2B3C".parse().unwrap(), &info());
        for (pointer, expected) in [
            ("/title", json!("Tank 3")),
            ("/@type", json!(["SigfoxDevice"])),
            ("/properties/sigfoxId/const", json!("1A2B3C")),
            ("/properties/level", json!({ "title": "Level", "type": "number", "unit": "m" })),
            ("/properties/alarm", json!({ "title": "alarm", "type": "boolean" })),
            ("/properties/rssi/unit", json!("dBm")),
            ("/properties/field_rssi/type", json!("number")),
            ("/actions/downlink/input/type", json!("string")),
            ("/events/error/data/type", json!("string")),
        ] {
            assert_eq!(description.pointer(pointer), Some(&expected), "{pointer}");
        }
        let without = json!({ "name": "x", "downlink": { "mode": "none" } });
        let without = super::description("1".parse().unwrap(), &without);
        assert_eq!(without["actions"], json!({}));
    }

    #[test]
    fn a_thing_is_given_what_it_lacks_and_changed_only_to_mend_it() {
        let known = known(&json!({ "level": { "type": "string" }, "a/b~": { "type": "number" } }));
        assert_eq!(known.newest.map(|time| time.to_string()).as_deref(), Some("2026-09-09T22:26:40.123Z"));
        let wanted = json!({ "level": { "type": "number" }, "x/y~": { "type": "number" }, "a/b~": { "type": "number" } });
        let wanted = wanted.as_object().unwrap();
        let add = json!({ "op": "add", "path": "/properties/x~1y~0", "value": { "type": "number" } });
        let mend = json!({ "op": "replace", "path": "/properties/level", "value": { "type": "number" } });
        assert_eq!(steps(&known, wanted, false, false), std::slice::from_ref(&add));
        assert_eq!(steps(&known, wanted, false, true), [mend, add]);
        assert_eq!(steps(&known, &Map::new(), true, false)[0]["path"], json!("/actions/downlink"));
    }

    #[test]
    fn a_value_fits_its_own_type_alone() {
        for (kind, value, fit) in [
            ("number", json!(1.5), true),
            ("number", json!(1), true),
            ("integer", json!(1.5), false),
            ("integer", json!(1), true),
            ("string", json!(1), false),
            ("boolean", json!(null), true),
            ("object", json!({}), true),
            ("array", json!({}), false),
        ] {
            assert_eq!(fits(&json!({ "type": kind }), &value), fit, "{kind} {value}");
        }
        assert_eq!(definition_of("x", &Value::Null), None);
    }
}

use serde_json::Value;

use super::*;
use crate::config::FieldSettings;

fn described(fields: &[FieldInfo]) -> Described<'_> {
    let id = "1A2B3C".parse().unwrap();
    Described { id, name: "Tank 3", model: Some("Level"), fields, takes_downlinks: true }
}

fn read(message: &[u8]) -> Value {
    serde_json::from_slice(message).unwrap()
}

fn field(key: &str, kind: FieldKind) -> FieldInfo {
    let settings = FieldSettings {
        unit: Some("m".to_owned()),
        device_class: Some("distance".to_owned()),
        precision: Some(2),
        ..FieldSettings::default()
    };
    FieldInfo { key: key.to_owned(), kind, settings }
}

#[test]
fn a_device_is_described_with_all_of_its_entities() {
    let topics = Topics::new("sigfox2mqtt", "homeassistant");
    let gateway = Gateway { id: "gw1", topics: &topics };
    let fields = [field("level", FieldKind::Number), field("alarm on/off", FieldKind::Bool)];
    let described = described(&fields);
    insta::assert_json_snapshot!(read(&gateway.device(&described, &gateway.entities(&described), &[])));
}

#[test]
fn the_gateway_is_a_device_of_its_own() {
    let topics = Topics::new("sigfox2mqtt", "homeassistant");
    let gateway = Gateway { id: "gw1", topics: &topics };
    let entities = gateway.own_entities(&["factory".parse().unwrap()]);
    insta::assert_json_snapshot!(read(&gateway.itself(&entities, &[])));
}

#[test]
fn unique_ids_do_not_depend_on_names_and_are_unique() {
    let topics = Topics::new("b", "ha");
    let gateway = Gateway { id: "gw1", topics: &topics };
    let fields: Vec<_> = ["a b", "a.b", "a_b", "a", "A", "é", "rssi", "location"]
        .map(|key| field(key, FieldKind::Number))
        .into();
    let unique = |device: &Described<'_>| -> Vec<String> {
        let entities = gateway.entities(device);
        let settings = |entity: &Entity| read(&gateway.component(device, entity));
        entities.iter().map(|entity| settings(entity)["unique_id"].as_str().unwrap().to_owned()).collect()
    };
    let ids = unique(&described(&fields));
    assert_eq!(ids, unique(&Described { name: "Another", model: None, ..described(&fields) }));
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[test]
fn an_entity_that_is_no_more_is_named_with_its_platform_alone() {
    let topics = Topics::new("b", "ha");
    let gateway = Gateway { id: "gw1", topics: &topics };
    let fields = [field("level", FieldKind::Number)];
    let described = described(&fields);
    let removed: Vec<EntityId> = ["sensor field_old", "binary_sensor flag_level"]
        .iter()
        .filter_map(|text| parse_entity(text))
        .collect();
    let message = read(&gateway.device(&described, &gateway.entities(&described), &removed));
    assert_eq!(message["cmps"]["field_old"], json!({ "p": "sensor" }));
    assert_eq!(message["cmps"]["flag_level"], json!({ "p": "binary_sensor" }));
    assert_eq!(message["cmps"]["field_level"]["p"], "sensor");
    assert_eq!(parse_entity("climate x"), None);
}

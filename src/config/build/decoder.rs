//! Rules for `[devices]`, `[device_types]` and `[decoders]`; what a grammar means is judged by the decoders.

use std::collections::BTreeMap;

use super::super::path::KeyPath;
use super::super::reader::Reader;
use super::super::value::{Value, quote};
use super::super::{DecoderSettings, DeviceSettings, DeviceTypeSettings, Dialect, FieldSettings};
use crate::model::DeviceId;

/// A decoder has one of these.
const SOURCES: [&str; 3] = ["format", "builtin", "script"];

pub(super) fn devices(reader: &mut Reader<'_>) -> BTreeMap<DeviceId, DeviceSettings> {
    let all = KeyPath::of("devices");
    let mut devices = BTreeMap::new();
    for (name, place) in reader.settings.tables_in(&all) {
        let path = all.join(&name);
        let Ok(id) = name.parse::<DeviceId>() else {
            let message = format!("{} is no device id, expected 1 to 8 hex digits", quote(&name));
            reader.problems.add(place, path, message);
            continue;
        };
        let table = reader.table(path.clone());
        let settings = DeviceSettings {
            name: table.text("name"),
            decoder: table.text("decoder"),
            expected_interval: table.duration("expected_interval"),
        };
        if devices.insert(id, settings).is_some() {
            reader.problems.add(
                place,
                path,
                format!("is the same device as another table, expected {id} once"),
            );
        }
    }
    devices
}

pub(super) fn device_types(reader: &mut Reader<'_>) -> BTreeMap<String, DeviceTypeSettings> {
    let all = KeyPath::of("device_types");
    let mut types = BTreeMap::new();
    for (name, _) in reader.settings.tables_in(&all) {
        let table = reader.table(all.join(&name));
        let settings = DeviceTypeSettings {
            decoder: table.text("decoder"),
            expected_interval: table.duration("expected_interval"),
        };
        types.insert(name, settings);
    }
    types
}

pub(super) fn decoders(reader: &mut Reader<'_>) -> BTreeMap<String, DecoderSettings> {
    let all = KeyPath::of("decoders");
    let mut decoders = BTreeMap::new();
    for (name, place) in reader.settings.tables_in(&all) {
        let path = all.join(&name);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let message = format!("{} is no name, expected 1 to 64 of A-Z a-z 0-9 _ . -", quote(&name));
            reader.problems.add(place, &path, message);
        }
        decoders.insert(name, decoder(reader, &path));
    }
    decoders
}

fn decoder(reader: &mut Reader<'_>, path: &KeyPath) -> DecoderSettings {
    let computed = computed(reader, path);
    let fields = fields(reader, path);
    let mut table = reader.table(path.clone());
    let written: Vec<_> = SOURCES.into_iter().filter(|key| table.is_written(key)).collect();
    match written.as_slice() {
        [] if computed.is_empty() => table.missing("format", "one of `format`, `builtin` and `script`"),
        [] | [_] => {}
        [first, second, ..] => {
            table.problem(second, format!("is given together with `{first}`, expected one of them"));
        }
    }
    if table.is_written("dialect") && !table.is_written("format") {
        table.problem("dialect", "is given without `format`, expected both or neither");
    }
    if table.is_written("script") && !cfg!(feature = "javascript") {
        table.problem("script", "asks for JavaScript, which this program was built without");
    }
    let script = table.file("script");
    let soracom = table.text("dialect").as_deref() == Some("soracom");
    DecoderSettings {
        format: table.text("format"),
        dialect: if soracom { Dialect::Soracom } else { Dialect::Sigfox },
        builtin: table.text("builtin"),
        script,
        encode: table.text("encode"),
        computed,
        acknowledged_by: table.text("acknowledged_by"),
        fields,
    }
}

fn computed(reader: &Reader<'_>, path: &KeyPath) -> Vec<(String, String)> {
    let values = reader.settings.values_in(&path.join("computed"));
    let expressions = values.into_iter().filter_map(|(name, setting)| match &setting.value {
        Value::Text(expression) => Some((name, expression.clone())),
        _ => None,
    });
    expressions.collect()
}

fn fields(reader: &mut Reader<'_>, path: &KeyPath) -> BTreeMap<String, FieldSettings> {
    let all = path.join("fields");
    let mut fields = BTreeMap::new();
    for (name, _) in reader.settings.tables_in(&all) {
        let table = reader.table(all.join(&name));
        let settings = FieldSettings {
            name: table.text("name"),
            unit: table.text("unit"),
            device_class: table.text("device_class"),
            state_class: table.text("state_class"),
            precision: table.integer("precision"),
            icon: table.text("icon"),
            entity_category: table.text("entity_category"),
        };
        fields.insert(name, settings);
    }
    fields
}

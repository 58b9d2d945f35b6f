//! What the guides tell people to subscribe to, publish to and read exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sigfox2mqtt::mqtt::topic::Topics;

use crate::mqtt_reference::{spelled, table};

/// The texts of the guides by their names.
fn guides() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Every topic below the default base in a text; `<id>` and `+` stand for a device.
fn topics(text: &str) -> BTreeSet<String> {
    let is_part = |character: &char| character.is_ascii_alphanumeric() || "/_+<>#-".contains(*character);
    let below =
        text.split("sigfox2mqtt/").skip(1).map(|rest| rest.chars().take_while(is_part).collect::<String>());
    below
        .map(|rest| format!("sigfox2mqtt/{rest}").replace("<id>", "1A2B3C").replace("/+/", "/1A2B3C/"))
        .collect()
}

#[test]
fn topics_in_the_guides_exist() {
    let (rows, ours) = (table(), Topics::new("sigfox2mqtt", "homeassistant"));
    let mut found = 0;
    for (guide, text) in guides() {
        for topic in topics(&text) {
            let is_command = ours.parse(&topic).is_some();
            assert!(is_command || rows.contains_key(&spelled(&topic)), "{guide}: {topic}");
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}

#[test]
fn keys_in_the_guides_exist() {
    let schema = |name: &str| -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
        serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let schemas = ["device-uplink.json", "device-availability.json"].map(schema);
    let mut found = 0;
    for (guide, text) in guides() {
        let after = |mark: &'static str| text.split(mark).skip(1).collect::<Vec<_>>();
        let named = [after("JSONPATH:$."), after("  path = \""), after("_path = \""), after("msg.payload.")];
        for rest in named.concat() {
            let key: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            let is_known = schemas.iter().any(|schema| schema["properties"].get(&key).is_some());
            assert!(is_known, "{guide}: {key}");
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}

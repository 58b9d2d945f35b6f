//! The JSON Schemas of the documents (`docs/schema`), made from their types.
//!
//! Test code: the program itself needs none of it. How a value is spelled stands here, what it means at its type.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{
    BridgeEvent, BridgeInfo, BridgeState, DeviceIndex, DeviceInfo, DownlinkItem, DownlinkSummary, Hello,
    LocationDocument, Response, ServiceEvent, SourceDocument, UplinkDocument,
};
use crate::model::{DeviceId, DownlinkPayload, ItemId, Payload, SourceName, Timestamp};
use crate::publish::{Availability, Health};

/// Set to write the files instead of comparing them.
const WRITE: &str = "WRITE_SCHEMAS";

/// Every document by its file.
fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("bridge-devices", schema::<DeviceIndex>()),
        ("bridge-event", schema::<BridgeEvent<'_>>()),
        ("bridge-health", schema::<Health>()),
        ("bridge-hello", schema::<Hello>()),
        ("bridge-info", schema::<BridgeInfo<'_>>()),
        ("bridge-response", schema::<Response<'_>>()),
        ("bridge-source", schema::<SourceDocument<'_>>()),
        ("bridge-state", schema::<BridgeState>()),
        ("device-availability", schema::<Availability>()),
        ("device-downlink", schema::<DownlinkSummary<'_>>()),
        ("device-downlink-item", schema::<DownlinkItem<'_>>()),
        ("device-info", schema::<DeviceInfo<'_>>()),
        ("device-location", schema::<LocationDocument>()),
        ("device-service", schema::<ServiceEvent<'_>>()),
        ("device-uplink", schema::<UplinkDocument<'_>>()),
    ]
}

fn schema<Document: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema: Value = settings.into_generator().into_root_schema_for::<Document>().into();
    // What a document is called in the source means nothing to its reader.
    schema.as_object_mut().unwrap().shift_remove("title");
    schema["properties"]["v"] = json!({ "description": "Version of the document.", "const": super::VERSION });
    schema
}

/// A value that is written as text, of this shape.
macro_rules! spelled {
    ($type:ty, $name:literal, $shape:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($shape)
            }
        }
    };
}

spelled!(DeviceId, "device", { "type": "string", "pattern": "^[0-9A-F]{1,8}$" });
spelled!(DownlinkPayload, "downlink payload", { "type": "string", "pattern": "^[0-9a-f]{16}$" });
spelled!(ItemId, "downlink id", { "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$" });
spelled!(Payload, "payload", { "type": "string", "pattern": "^([0-9a-f]{2})*$" });
spelled!(SourceName, "source", { "type": "string", "pattern": "^[a-z0-9_-]{1,32}$" });
spelled!(Timestamp, "time", {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
});

#[test]
fn the_schemas_in_the_documentation_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let mut files = BTreeSet::new();
    for (name, schema) in schemas() {
        let file = folder.join(format!("{name}.json"));
        let printed = format!("{schema:#}\n");
        if std::env::var_os(WRITE).is_some() {
            fs::write(&file, &printed).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(kept, printed, "{name}: written anew by {WRITE}=1 cargo test --lib document::schema");
        files.insert(format!("{name}.json"));
    }
    let entries =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(entries.collect::<BTreeSet<_>>(), files, "docs/schema holds what nothing is published by");
}

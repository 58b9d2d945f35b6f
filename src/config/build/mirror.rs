//! Rules for what is told to others beside the broker's own clients: `[mirrors.NAME]` and `[sparkplug]`.

use super::super::path::KeyPath;
use super::super::problem::Place;
use super::super::reader::Reader;
use super::super::value::{Value, quote};
use super::super::{Mirror, Sparkplug};
use super::source::{warn_of_exposure, without_slash};

pub(super) fn mirrors(reader: &mut Reader<'_>) -> Vec<Mirror> {
    let all = KeyPath::of("mirrors");
    let mut mirrors = Vec::new();
    for (name, place) in reader.settings.tables_in(&all) {
        let path = all.join(&name);
        mirrors.extend(mirror(reader, &name, place, path));
    }
    mirrors
}

fn mirror(reader: &mut Reader<'_>, name: &str, place: Place, path: KeyPath) -> Option<Mirror> {
    let parsed = name.parse();
    if parsed.is_err() {
        let message = format!("{} is no name, expected 1 to 32 of a-z 0-9 _ -", quote(name));
        reader.problems.add(place, &path, message);
    }
    let mut table = reader.table(path);
    let space = table.required("space", "the space that the things live in");
    let client_id = table.required("client_id", "the client that logs in");
    let client_secret = table.required_secret("client_secret", "the client's secret");
    let devices = table.device_patterns("devices");
    let category = table.text("category");
    if category.as_deref().is_some_and(|name| !is_category(name)) {
        table.problem("category", "is no name of a category, expected 1 to 26 of A-Z a-z 0-9 _ : -");
    }
    let ca_file = table.file("ca_file");
    warn_of_exposure(&mut table);
    Some(Mirror {
        name: parsed.ok()?,
        url: without_slash(table.url("url")?),
        space: space?,
        client_id: client_id?,
        client_secret: client_secret?,
        category,
        insecure: table.boolean("insecure")?,
        ca_file,
        prefer: table.text("prefer"),
        devices: devices?,
        poll: table.schedule("poll")?,
        rate: table.rate("rate")?,
    })
}

/// What the studio takes as a name.
fn is_category(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    (1..=26).contains(&name.len()) && name.bytes().all(is_plain)
}

pub(super) fn sparkplug(reader: &mut Reader<'_>) -> Option<Sparkplug> {
    let path = KeyPath::of("sparkplug");
    reader.settings.table(&path)?;
    let id = reader.table(KeyPath::of("gateway")).text("id");
    let mut table = reader.table(path);
    if let Some(id) = id {
        table.default("edge_node", Value::Text(id));
    }
    for key in ["group", "edge_node", "namespace", "primary_host"] {
        if table.text(key).is_some_and(|level| level.contains('/')) {
            table.problem(key, "holds several levels of a topic, expected one");
        }
    }
    Some(Sparkplug {
        group: table.text("group")?,
        edge_node: table.text("edge_node")?,
        namespace: table.text("namespace")?,
        primary_host: table.text("primary_host"),
    })
}

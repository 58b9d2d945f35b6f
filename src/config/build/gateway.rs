//! Rules for the gateway itself: `[gateway]`, `[downlink]`, `[store]` and `[http]`.

use std::path::PathBuf;

use super::super::environment::Environment;
use super::super::path::KeyPath;
use super::super::reader::Reader;
use super::super::value::Value;
use super::super::{BackupSettings, DownlinkSettings, Gateway, Http, StoreSettings};

/// The one of the shipped unit, where also those find it who are not started by the service manager.
const RUNTIME_DIR: &str = "/run/sigfox2mqtt";

pub(super) fn gateway(reader: &mut Reader<'_>, environment: &Environment) -> Option<Gateway> {
    let folders = reader.folders;
    let mut table = reader.table(KeyPath::of("gateway"));
    table.default("id", Value::Text(environment.gateway_id()));
    let state = environment.folder("STATE_DIRECTORY").unwrap_or_else(|| "/var/lib/sigfox2mqtt".into());
    table.default("data_dir", Value::Text(state.to_string_lossy().into_owned()));
    let data_dir = folders.beside(&table.text("data_dir")?);
    if data_dir.exists() && !data_dir.is_dir() {
        table.problem("data_dir", format!("{} is no folder, expected one", data_dir.display()));
    }
    let shipped = PathBuf::from(RUNTIME_DIR);
    let mut runtime_dirs: Vec<PathBuf> = environment.folder("RUNTIME_DIRECTORY").into_iter().collect();
    if shipped.is_dir() && !runtime_dirs.contains(&shipped) {
        runtime_dirs.push(shipped);
    }
    Some(Gateway { id: table.text("id")?, data_dir, runtime_dirs })
}

pub(super) fn downlink(reader: &mut Reader<'_>) -> Option<DownlinkSettings> {
    let table = reader.table(KeyPath::of("downlink"));
    Some(DownlinkSettings {
        expires_after: table.duration("expires_after")?,
        daily_limit: table.integer("daily_limit")?,
    })
}

pub(super) fn store(reader: &mut Reader<'_>) -> Option<StoreSettings> {
    let folders = reader.folders;
    let mut table = reader.table(KeyPath::of("store"));
    let backup = table.text("backup").and_then(|folder| {
        let folder = folders.beside(&folder);
        if folder.exists() && !folder.is_dir() {
            table.problem("backup", format!("{} is no folder, expected one", folder.display()));
        }
        Some(BackupSettings {
            folder,
            keep: table.integer("backup_keep")?,
            hour: table.integer("backup_hour")?,
        })
    });
    Some(StoreSettings {
        backup,
        keep: table.duration("keep")?,
        max_size: table.size("max_size")?,
        flush: table.duration("flush")?,
        cache: table.size("cache")?,
    })
}

pub(super) fn http(reader: &mut Reader<'_>) -> Option<Http> {
    let path = KeyPath::of("http");
    reader.settings.table(&path)?;
    let mut table = reader.table(path);
    let token = table.secret("token");
    let read_token = table.secret("read_token");
    let tls = table.file_pair("tls_cert_file", "tls_key_file");
    let listen = table.address("listen")?;
    if !listen.ip().is_loopback() && !table.is_written("token") {
        let expected = format!(
            "a token, because {listen} can be reached from outside (or a loopback address in `listen`)"
        );
        table.missing("token", &expected);
    }
    if table.is_written("read_token") && !table.is_written("token") {
        table.missing("token", "a token for whoever changes something, beside `read_token`");
    }
    let tiles = table.text("tiles");
    if let Some(fault) = tiles.as_deref().and_then(tiles_fault) {
        table.problem("tiles", fault);
    }
    Some(Http { listen, token, read_token, tls, metrics: table.boolean("metrics")?, tiles })
}

/// What keeps a text from being the address of map tiles.
fn tiles_fault(tiles: &str) -> Option<String> {
    let is_web =
        url::Url::parse(tiles).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    let has_all = ["{z}", "{x}", "{y}"].iter().all(|part| tiles.contains(part));
    (!is_web || !has_all).then(|| {
        format!(
            "`{tiles}` is no address of tiles, expected such as https://tiles.example/{{z}}/{{x}}/{{y}}.png"
        )
    })
}

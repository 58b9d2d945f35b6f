//! The table of keys as the page `docs/configuration.md`.

use super::keys::{Absent, FILE, Key, SECTIONS, Section};
use super::value::{Kind, one_of};

const INTRODUCTION: &str = "\
# Configuration

This page is made from the program's own table of keys: `sigfox2mqtt config schema --markdown` prints it.

One TOML file, first found: `--config FILE`, `$SIGFOX2MQTT_CONFIG`, `/etc/sigfox2mqtt/config.toml`.
Only `version` and one source are required. `sigfox2mqtt check` prints every problem of a file as
`FILE:LINE:COLUMN: KEY: what is wrong, what would be right`; `sigfox2mqtt config` prints what is in effect.

- **Durations** are `\"500ms\" \"30s\" \"15m\" \"1h30m\" \"3d\" \"2w\"`, **sizes** `\"64KiB\" \"64MiB\" \"1GiB\"`.
- **Schedules** are a duration, or a cron expression with seconds, in UTC: `\"*/30 * * * * *\"`.
- **Secrets**: every secret key `x` may be given as `x_file`, the path of a file that holds it. Relative paths are
  looked up in `$CREDENTIALS_DIRECTORY`, then beside the configuration; a newline at the end is left out.
  A configuration that others may read and that holds a secret is refused by `run`.
- **Environment**: any key can be set by a variable, which wins over the file: `SIGFOX2MQTT__MQTT__URL` is
  `mqtt.url`. Case does not matter, `_` may stand for `-`, lists are separated by commas.
- Relative paths of files and folders are looked up beside the configuration.
";

/// The page.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS.iter().filter(|section| !section.keys.is_empty()) {
        page.push_str(&format!("\n## {}\n\n{}\n\n", title(section), section.doc));
        page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let (name, value, absent) = (name(key), accepted(key), absent(key));
            page.push_str(&format!("| {name} | {value} | {absent} | {} |\n", key.doc.replace('|', "\\|")));
        }
    }
    page
}

fn title(section: &Section) -> String {
    if section.path.is_empty() {
        return "Top of the file".to_owned();
    }
    let mut stars = ["NAME", "FIELD"].into_iter();
    let segments = section.path.split('.').map(|segment| match segment {
        "*" => stars.next().unwrap_or("NAME"),
        segment => segment,
    });
    format!("`[{}]`", segments.collect::<Vec<_>>().join("."))
}

fn name(key: &Key) -> String {
    match (key.name, key.kind) {
        ("*", _) => "any name".to_owned(),
        (name, Kind::Secret) => format!("`{name}` or `{name}{FILE}`"),
        (name, _) => format!("`{name}`"),
    }
}

fn accepted(key: &Key) -> String {
    match key.kind {
        Kind::Choice(choices) => {
            choices.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" ")
        }
        Kind::Duration(_) => "duration".to_owned(),
        Kind::Size(_) => "size".to_owned(),
        Kind::Schedule => "schedule".to_owned(),
        Kind::Rate => "rate".to_owned(),
        Kind::Url(schemes) => format!("URL ({})", one_of(schemes)),
        Kind::Address => "address and port".to_owned(),
        Kind::Topic => "levels of a topic".to_owned(),
        Kind::File => "path".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Text | Kind::Name | Kind::Boolean | Kind::Integer(..) => key.kind.expected(),
    }
}

fn absent(key: &Key) -> String {
    match key.absent {
        Absent::Default(text) => {
            let value = key.kind.parse(text).map(|value| value.to_json().to_string());
            format!("`{}`", value.unwrap_or_default())
        }
        Absent::Derived(words) => words.to_owned(),
        Absent::Nothing => "none".to_owned(),
        Absent::Required => "required".to_owned(),
    }
}

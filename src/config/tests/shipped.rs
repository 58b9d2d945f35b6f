//! The files under `config/` and the reference page say what the table of keys says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::environment;
use crate::config::keys::{Absent, SECTIONS};
use crate::config::path::KeyPath;
use crate::config::problem::Place;
use crate::config::value::Kind;
use crate::config::{Config, Loaded, Problems, reference};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a text in a folder where every file that it names is there.
fn parse_with_files(text: &str) -> Result<Loaded, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let named = text.lines().filter_map(|line| line.trim_start_matches('#').split_once(" = "));
    for (_, value) in named.filter(|(key, _)| key.ends_with("_file") || *key == "script") {
        let file = folder.path().join(value.trim_matches('"'));
        fs::write(&file, "function decodeUplink(input) { return {} }\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    Config::parse(text, "c.toml", folder.path(), &environment(&[]))
}

fn shipped() -> String {
    fs::read_to_string(repository().join("config/sigfox2mqtt.toml")).unwrap()
}

/// The shipped file with everything that is commented out written out, but for the script: whether one can be run
/// depends on how the program was built.
fn written_out() -> String {
    let is_key = |inner: &&str| inner.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
    let line = |line: &str| line.strip_prefix('#').filter(is_key).unwrap_or(line).to_owned() + "\n";
    shipped().replace("#[decoders.vendor]\n#script = ", "# ").lines().map(line).collect()
}

#[test]
fn the_shipped_configuration_lacks_nothing_but_a_source() {
    let problems = parse_with_files(&shipped()).unwrap_err();
    let keys: Vec<_> = problems.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["sources"]);
}

#[test]
fn the_shipped_configuration_has_every_key_and_the_defaults_are_the_programs() {
    let loaded = parse_with_files(&written_out()).unwrap_or_else(|problems| panic!("{problems}"));
    for section in SECTIONS {
        for key in section.keys.iter().filter(|key| key.name != "*") {
            let said: Vec<_> = loaded
                .settings
                .tables_of(section)
                .iter()
                .flat_map(|table| [table.join(key.name), table.join(&format!("{}_file", key.name))])
                .filter_map(|path| loaded.settings.value(&path))
                .filter(|setting| setting.place != Place::Default)
                .collect();
            let written = !said.is_empty() || shipped().contains(&format!("\n#{} = ", key.name));
            assert!(written, "{}.{} is not in the shipped file", section.path, key.name);
            if let Absent::Default(text) = key.absent {
                let default = key.kind.parse(text).unwrap().to_json();
                assert!(
                    said.iter().all(|setting| setting.value.to_json() == default),
                    "{}.{}",
                    section.path,
                    key.name
                );
            }
        }
    }
}

#[test]
fn every_uncommented_value_of_the_shipped_configuration_is_the_default() {
    let text = format!("{}\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n", shipped());
    let plain = "version = 1\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n";
    assert_eq!(parse_with_files(&text).unwrap().to_json(), parse_with_files(plain).unwrap().to_json());
}

#[test]
fn the_examples_are_good_without_a_warning() {
    let mut examples = 0;
    for entry in fs::read_dir(repository().join("config/examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let loaded =
            parse_with_files(&text).unwrap_or_else(|problems| panic!("{}\n{problems}", path.display()));
        assert!(loaded.warnings.is_empty(), "{}\n{}", path.display(), loaded.warnings);
        examples += 1;
    }
    assert!(examples >= 3);
}

#[test]
fn the_reference_page_is_made_from_the_table_of_keys() {
    let page = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    assert!(
        page == reference(),
        "write it again: sigfox2mqtt config schema --markdown > docs/configuration.md"
    );
}

#[test]
fn every_secret_is_a_key_that_files_may_hold() {
    for section in SECTIONS {
        for key in section.keys.iter().filter(|key| key.kind == Kind::Secret) {
            let path = KeyPath::of(section.path).join(&format!("{}_file", key.name));
            assert!(crate::config::keys::find(&path).is_some(), "{path}");
        }
    }
}

//! Fills answers into the shipped configuration, whose comments stay.

use std::collections::BTreeMap;

use serde_json::json;

use super::answers::{Answers, Kind, Secret};

/// The file that explains every key.
pub(super) const SHIPPED: &str = include_str!("../../../config/sigfox2mqtt.toml");

/// Lines to be written, by the table and key of the line in the shipped file that each takes the place of.
type Lines = BTreeMap<(&'static str, &'static str), String>;

/// The shipped configuration with the answers in their places.
pub(super) fn fill_in(answers: &Answers) -> String {
    let (table, lines) = match answers.kind {
        Some(Kind::Soracom) => ("sources.japan", soracom(answers)),
        _ => ("sources.factory", sigfox(answers)),
    };
    let name = answers.source.clone().unwrap_or_else(|| {
        let usual = if table == "sources.japan" { "soracom" } else { "sigfox" };
        usual.to_owned()
    });
    let mut text = String::new();
    let mut current = "";
    for line in SHIPPED.lines() {
        let inner = line.strip_prefix('#').unwrap_or(line);
        let written = if let Some(head) = inner.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = head;
            match head {
                "http" if answers.listen.is_some() => Some("[http]".to_owned()),
                _ => (head == table).then(|| format!("[sources.{name}]")),
            }
        } else {
            let key = inner.split_once(" = ").map(|(key, _)| key);
            key.and_then(|key| lines.iter().find(|((table, name), _)| *table == current && *name == key))
                .map(|(_, line)| line.clone())
        };
        text.push_str(written.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

fn sigfox(answers: &Answers) -> Lines {
    let mut lines = common(answers);
    let table = "sources.factory";
    lines.insert((table, "kind"), pair("kind", "sigfox"));
    put(&mut lines, table, "api", answers.api.as_deref());
    put(&mut lines, table, "url", answers.url.as_deref());
    put(&mut lines, table, "login", answers.login.as_deref());
    put_secret(&mut lines, table, "password_file", answers.secret.as_ref());
    put_secret(&mut lines, table, "callback_token_file", answers.callback_token.as_ref());
    put_list(&mut lines, table, "device_types", &answers.device_types);
    put_list(&mut lines, table, "devices", &answers.devices);
    lines
}

fn soracom(answers: &Answers) -> Lines {
    let mut lines = common(answers);
    let table = "sources.japan";
    let mut kind = pair("kind", "soracom");
    if let Some(url) = &answers.url {
        kind = format!("{kind}\n{}", pair("url", url));
    }
    if !answers.devices.is_empty() {
        kind = format!("{kind}\ndevices = {}", json!(answers.devices));
    }
    lines.insert((table, "kind"), kind);
    put(&mut lines, table, "coverage", answers.coverage.as_deref());
    put(&mut lines, table, "auth_key_id", answers.login.as_deref());
    put_secret(&mut lines, table, "auth_key_file", answers.secret.as_ref());
    lines
}

fn common(answers: &Answers) -> Lines {
    let mut lines = Lines::new();
    put(&mut lines, "gateway", "id", answers.gateway_id.as_deref());
    put(&mut lines, "mqtt", "url", answers.mqtt_url.as_deref());
    put(&mut lines, "mqtt", "username", answers.mqtt_username.as_deref());
    put_secret(&mut lines, "mqtt", "password_file", answers.mqtt_password.as_ref());
    put(&mut lines, "http", "listen", answers.listen.as_deref());
    put_secret(&mut lines, "http", "token_file", answers.web_token.as_ref());
    lines
}

fn put(lines: &mut Lines, table: &'static str, key: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        lines.insert((table, key), pair(key, value));
    }
}

fn put_list(lines: &mut Lines, table: &'static str, key: &'static str, values: &[String]) {
    if !values.is_empty() {
        lines.insert((table, key), format!("{key} = {}", json!(values)));
    }
}

/// The shipped file shows the form with a file; a typed secret takes its line.
fn put_secret(lines: &mut Lines, table: &'static str, file_key: &'static str, secret: Option<&Secret>) {
    let line = match secret {
        Some(Secret::File(path)) => pair(file_key, path),
        Some(Secret::Typed(text)) => pair(file_key.trim_end_matches("_file"), text),
        None => return,
    };
    lines.insert((table, file_key), line);
}

/// JSON's way of writing text is also TOML's.
fn pair(key: &str, value: &str) -> String {
    format!("{key} = {}", json!(value))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{Config, Environment, SourceKind};

    fn answers(kind: Kind) -> Answers {
        Answers {
            kind: Some(kind),
            login: Some("me".to_owned()),
            secret: Some(Secret::Typed("a \"b\" \\ ü".to_owned())),
            ..Answers::default()
        }
    }

    fn load(answers: &Answers) -> Config {
        let text = fill_in(answers);
        let loaded = Config::parse(&text, "c.toml", Path::new("/nowhere"), &Environment::default());
        loaded.unwrap_or_else(|problems| panic!("{problems}\n{text}")).config
    }

    #[test]
    fn what_was_answered_is_what_is_read_back() {
        let config = load(&Answers {
            source: Some("plant-1".to_owned()),
            api: Some("v1".to_owned()),
            device_types: vec!["a".to_owned(), "b c".to_owned()],
            mqtt_url: Some("mqtts://broker:8883".to_owned()),
            mqtt_username: Some("u".to_owned()),
            mqtt_password: Some(Secret::Typed("p".to_owned())),
            gateway_id: Some("gw9".to_owned()),
            devices: vec!["2C".to_owned()],
            listen: Some("0.0.0.0:8443".to_owned()),
            callback_token: Some(Secret::Typed("t".to_owned())),
            web_token: Some(Secret::Typed("w".to_owned())),
            ..answers(Kind::Sigfox)
        });
        let [source] = config.sources.as_slice() else { panic!("one source") };
        assert_eq!(source.name.as_str(), "plant-1");
        assert_eq!(source.url.as_str(), "https://backend.sigfox.com/api");
        assert_eq!(source.filter.device_types, ["a", "b c"]);
        let SourceKind::Sigfox { password, .. } = &source.kind else { panic!("not Sigfox") };
        assert_eq!(password.expose_secret(), "a \"b\" \\ ü");
        assert_eq!(source.filter.devices, ["2C"]);
        assert_eq!(source.callback_token.as_ref().map(ExposeSecret::expose_secret), Some("t"));
        let http = config.http.as_ref().unwrap();
        assert_eq!((http.listen.to_string().as_str(), http.token.is_some()), ("0.0.0.0:8443", true));
        assert_eq!((config.mqtt.url.as_str(), config.gateway.id.as_str()), ("mqtts://broker:8883", "gw9"));
    }

    #[test]
    fn soracom_takes_its_own_table() {
        let config = load(&Answers {
            coverage: Some("global".to_owned()),
            url: Some("https://example.org/v1".to_owned()),
            devices: vec!["2C".to_owned(), "3D".to_owned()],
            ..answers(Kind::Soracom)
        });
        let [source] = config.sources.as_slice() else { panic!("one source") };
        assert_eq!((source.name.as_str(), source.url.as_str()), ("soracom", "https://example.org/v1"));
        assert_eq!(source.filter.devices, ["2C", "3D"]);
    }

    #[test]
    fn the_comments_stay() {
        let comments = |text: &str| text.lines().filter(|line| line.starts_with("# ")).count();
        assert_eq!(comments(&fill_in(&answers(Kind::Sigfox))), comments(SHIPPED));
    }
}

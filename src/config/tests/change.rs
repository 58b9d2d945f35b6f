//! What a configuration that is read again changes at once, and what waits for a restart.

use std::fs;

use super::super::{Config, Loaded};
use super::{HEAD, environment, parse};

const ALL: &str = "[gateway]\nid = \"a\"\n[mqtt]\nbase = \"a\"\nusername = \"u\"\npassword = \"a\"\n\
    [mqtt.discovery]\nmode = \"device\"\n[store]\nkeep = \"9d\"\ncache = \"1MiB\"\n[http]\nlisten = \"127.0.0.1:1\"\n\
    token = \"a\"\n[devices.2C]\nname = \"a\"\n[sparkplug]\ngroup = \"a\"\nedge_node = \"e\"\n";

fn loaded(text: &str) -> Loaded {
    parse(&format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

#[test]
fn what_is_fixed_waits_for_a_restart_and_keeps_its_value_until_then() {
    for (before, after, waiting) in [
        ("id = \"a\"", "id = \"b\"", "gateway.id"),
        ("base = \"a\"", "base = \"b\"", "mqtt.base"),
        ("password = \"a\"", "password = \"b\"", "mqtt.password"),
        ("mode = \"device\"", "mode = \"device\"\nprefix = \"b\"", "mqtt.discovery.prefix"),
        ("cache = \"1MiB\"", "cache = \"2MiB\"", "store.cache"),
        ("listen = \"127.0.0.1:1\"", "listen = \"127.0.0.1:2\"", "http.listen"),
        ("group = \"a\"", "group = \"b\"", "sparkplug.group"),
    ] {
        let (running, newer) = (loaded(ALL), loaded(&ALL.replacen(before, after, 1)));
        let (was, is) = (running.fingerprint(), newer.fingerprint());
        assert_eq!(was.changes_at_restart(&is), [waiting], "{after}");
        assert!(!was.changes_now(&is), "{after}");
        let in_effect = newer.config.onto(&running.config);
        assert_eq!(format!("{in_effect:?}"), format!("{:?}", running.config), "{after}");
    }
}

#[test]
fn everything_else_is_taken_over_at_once() {
    for (before, after) in [
        ("name = \"a\"", "name = \"b\""),
        ("token = \"a\"", "token = \"b\""),
        ("keep = \"9d\"", "keep = \"8d\""),
        ("mode = \"device\"", "mode = \"off\""),
        ("base = \"a\"", "base = \"a\"\nrequests = [\"health\"]"),
        ("base = \"a\"", "base = \"a\"\nattributes = true"),
        ("[devices.2C]\nname = \"a\"\n", ""),
        ("[devices.2C]", "[sources.b]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n[devices.2C]"),
    ] {
        let (running, newer) = (loaded(ALL), loaded(&ALL.replacen(before, after, 1)));
        let (was, is) = (running.fingerprint(), newer.fingerprint());
        assert!(was.changes_now(&is), "{after}");
        assert_eq!(was.changes_at_restart(&is), [""; 0], "{after}");
        let in_effect = newer.config.clone().onto(&running.config);
        assert_eq!(format!("{in_effect:?}"), format!("{:?}", newer.config), "{after}");
    }
    assert_eq!(loaded(ALL).fingerprint(), loaded(ALL).fingerprint());
}

#[test]
fn a_listener_that_comes_or_goes_waits_for_a_restart() {
    let (without, with) = (loaded(""), loaded("[http]\n"));
    for (running, newer) in [(&without, &with), (&with, &without)] {
        let waiting = running.fingerprint().changes_at_restart(&newer.fingerprint());
        assert_eq!(waiting, ["http.listen"]);
        let in_effect = newer.config.clone().onto(&running.config);
        assert_eq!(in_effect.http.is_some(), running.config.http.is_some());
    }
}

#[test]
fn the_content_of_a_file_counts_not_its_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let text = format!(
            "version = 1\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword_file = \"p\"\n{text}"
        );
        Config::parse(&text, "c.toml", folder.path(), &environment(&[])).unwrap().fingerprint()
    };
    let ca = "ca_file = \"ca.pem\"\n";
    fs::write(folder.path().join("p"), "one").unwrap();
    fs::write(folder.path().join("ca.pem"), "one").unwrap();
    let before = read(ca);
    assert_eq!(before, read(ca));
    for file in ["p", "ca.pem"] {
        fs::write(folder.path().join(file), "two").unwrap();
        assert!(before.changes_now(&read(ca)), "{file}");
        fs::write(folder.path().join(file), "one").unwrap();
    }
}

//! What is accepted, and the values that come out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{HEAD, environment, good, parse, parse_with};
use crate::config::{Config, DiscoveryMode, DownlinkVia, Protocol, Schedule, SourceKind};

#[test]
fn version_and_one_source_are_enough() {
    let config = good(HEAD);
    assert_eq!(config.gateway.id, "pi-4-local");
    assert_eq!(config.gateway.data_dir.to_str(), Some("/var/lib/sigfox2mqtt"));
    assert_eq!(config.mqtt.url.as_str(), "mqtt://127.0.0.1:1883");
    assert_eq!(config.mqtt.protocol, Protocol::V5);
    assert_eq!(config.mqtt.base, "sigfox2mqtt");
    assert_eq!(config.mqtt.max_inflight, 100);
    assert_eq!(config.mqtt.requests, None);
    assert_eq!(config.mqtt.discovery.mode, DiscoveryMode::Device);
    assert_eq!(config.mqtt.discovery.prefix, "homeassistant");
    assert_eq!(config.downlink.expires_after, Duration::from_secs(2 * 86_400));
    assert_eq!(config.downlink.daily_limit, 4);
    assert_eq!(config.store.max_size, 1 << 30);
    assert_eq!(config.store.cache, 8 << 20);
    assert!(config.http.is_none() && config.sparkplug.is_none() && config.mirrors.is_empty());
    let source = &config.sources[0];
    assert_eq!(source.url.as_str(), "https://api.sigfox.com/v2");
    assert_eq!(source.poll, Schedule::Every(Duration::from_secs(30)));
    assert_eq!(source.resync, Schedule::Every(Duration::from_secs(86_400)));
    assert_eq!(source.backfill, Duration::from_secs(3 * 86_400));
    assert_eq!(source.rate, (50, Duration::from_secs(10)));
    assert_eq!(source.filter.device_types, ["*"]);
    assert_eq!(source.downlink, DownlinkVia::None);
}

#[test]
fn addresses_and_downlinks_follow_from_the_kind_of_cloud() {
    let sigfox = "kind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n";
    let soracom = "kind = \"soracom\"\nauth_key_id = \"i\"\nauth_key = \"k\"\n";
    for (kind, more, url, downlink) in [
        (sigfox, "", "https://api.sigfox.com/v2", DownlinkVia::None),
        (sigfox, "api = \"v1\"", "https://backend.sigfox.com/api", DownlinkVia::None),
        (sigfox, "callback_token = \"t\"", "https://api.sigfox.com/v2", DownlinkVia::Callback),
        (sigfox, "downlink = \"direct\"", "https://api.sigfox.com/v2", DownlinkVia::Direct),
        (sigfox, "url = \"http://127.0.0.1:9/v2/\"", "http://127.0.0.1:9/v2", DownlinkVia::None),
        (soracom, "", "https://api.soracom.io/v1", DownlinkVia::Soracom),
        (soracom, "coverage = \"global\"", "https://g.api.soracom.io/v1", DownlinkVia::Soracom),
        (soracom, "downlink = \"none\"", "https://api.soracom.io/v1", DownlinkVia::None),
    ] {
        let config = good(&format!("version = 1\n[sources.x]\n{kind}{more}"));
        assert_eq!(config.sources[0].url.as_str(), url, "{more}");
        assert_eq!(config.sources[0].downlink, downlink, "{more}");
    }
}

#[test]
fn a_secret_may_be_in_a_file_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let text = "version = 1\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword_file = \"secret\"\n";
    let loaded = Config::parse(text, "c.toml", folder.path(), &environment(&[])).unwrap();
    let SourceKind::Sigfox { password, .. } = &loaded.config.sources[0].kind else { panic!("not Sigfox") };
    assert_eq!(password.expose_secret(), "hunter2");
    assert!(loaded.exposed.is_empty());
}

#[test]
fn variables_of_the_environment_win_over_the_file() {
    let text = format!(
        "{HEAD}[mqtt]\nurl = \"mqtt://other\"\nusername = \"u\"\npassword_file = \"missing\"\n[sources.my-plant]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n"
    );
    let loaded = parse_with(
        &text,
        &[
            ("SIGFOX2MQTT__MQTT__URL", "mqtts://broker"),
            ("SIGFOX2MQTT__MQTT__PASSWORD", "from-variable"),
            ("SIGFOX2MQTT__MQTT__MAX_INFLIGHT", "7"),
            ("SIGFOX2MQTT__MQTT__ATTRIBUTES", "true"),
            ("SIGFOX2MQTT__sources__A__Device_Types", "x, y*"),
            ("SIGFOX2MQTT__SOURCES__MY_PLANT__POLL", "1m"),
            ("SIGFOX2MQTT__SOURCES__NEW__KIND", "soracom"),
            ("SIGFOX2MQTT__SOURCES__NEW__AUTH_KEY_ID", "i"),
            ("SIGFOX2MQTT__SOURCES__NEW__AUTH_KEY", "k"),
            ("SIGFOX2MQTT__HTTP__LISTEN", "127.0.0.1:0"),
            ("SIGFOX2MQTT_CONFIG", "ignored"),
            ("STATE_DIRECTORY", "/state"),
        ],
    );
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let config = loaded.config;
    assert_eq!(config.mqtt.url.as_str(), "mqtts://broker");
    assert_eq!(config.mqtt.password.as_ref().map(|password| password.expose_secret()), Some("from-variable"));
    assert_eq!(config.mqtt.max_inflight, 7);
    assert!(config.mqtt.attributes);
    let names: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["a", "my-plant", "new"]);
    assert_eq!(config.sources[0].filter.device_types, ["x", "y*"]);
    assert_eq!(config.sources[1].poll, Schedule::Every(Duration::from_secs(60)));
    assert!(config.http.is_some());
    assert_eq!(config.gateway.data_dir.to_str(), Some("/state"));
}

#[test]
fn computed_fields_keep_the_order_of_the_file() {
    let text = format!(
        "{HEAD}[decoders.d]\nformat = \"t::uint:8\"\n[decoders.d.computed]\nz = \"t\"\na = \"z\"\nm = \"t\"\n"
    );
    let names: Vec<_> = good(&text).decoders["d"].computed.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn what_is_printed_shows_no_secret_and_reads_as_toml() {
    let text =
        format!("{HEAD}[mqtt]\nusername = \"u\"\npassword = \"hunter2\"\n[http]\ntoken = \"hunter3\"\n");
    let loaded = parse(&text).unwrap();
    let (toml, json) = (loaded.to_toml(), loaded.to_json().to_string());
    for printed in [&toml, &json, &format!("{loaded:?}")] {
        assert!(!printed.contains("hunter"), "{printed}");
    }
    let read: toml::Table = toml.parse().unwrap();
    assert_eq!(read["mqtt"]["password"].as_str(), Some("***"));
    assert_eq!(read["mqtt"]["discovery"]["mode"].as_str(), Some("device"));
    assert_eq!(read["sources"]["a"]["poll"].as_str(), Some("30s"));
    assert_eq!(loaded.to_json()["gateway"]["id"], "pi-4-local");
}

#[test]
fn a_file_with_a_secret_is_exposed_only_where_others_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    fs::write(&file, HEAD).unwrap();
    for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = Config::load(&file, &environment(&[])).unwrap();
        assert_eq!(loaded.exposed.problems.len(), usize::from(exposed), "mode {mode:o}");
        assert_eq!(loaded.refuse_exposed().is_err(), exposed, "mode {mode:o}");
    }
}

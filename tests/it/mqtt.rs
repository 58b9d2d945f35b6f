//! What a subscriber of a real broker sees of the store, and what becomes of what it sends.

use serde_json::{Value, json};
use sigfox2mqtt::model::{Event, Location, LocationSource, Timestamp};
use sigfox2mqtt::mqtt::watch::watch;
use sigfox2mqtt::store::UplinkQuery;

use crate::publisher_rig::{Site, config, uplink};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::subscriber::{Received, Subscriber};

const T0: i64 = 1_789_000_000;

fn lines(broker: &Mosquitto, protocol: u8) -> String {
    format!("url = \"{}\"\nprotocol = {protocol}", broker.url())
}

fn ids(messages: &[Received]) -> Vec<Value> {
    messages.iter().map(|message| message.json()["id"].clone()).collect()
}

#[tokio::test]
async fn what_the_store_has_reaches_a_subscriber_over_both_versions_of_the_protocol() {
    for protocol in [4, 5] {
        let broker = Mosquitto::start().await;
        let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
        let site = Site::new(&lines(&broker, protocol));
        let uplinks: Vec<_> = (0..250)
            .map(|n| uplink(["1A2B3C", "2C", "0042"][n % 3], T0 + i64::try_from(n).unwrap(), "012c80"))
            .collect();
        site.store.record_sweep(&uplinks, None).unwrap();
        let publishing = site.publish();
        let events = subscriber.until("/event/up", 250).await;
        let expected: Vec<_> = uplinks.iter().map(|uplink| json!(uplink.id().to_string())).collect();
        assert_eq!(ids(&events), expected, "MQTT {protocol}: once each, in order of time");
        site.drained().await;
        let last = subscriber.until("device/1A2B3C/event/up", 84).await.pop().unwrap().json();
        assert_eq!(last["fields"], json!({"level": 300, "alarm": false}));
        assert_eq!((&last["name"], &last["decoder"]), (&json!("Tank 3"), &json!("level")));
        let newest = || subscriber.on("device/1A2B3C/state").pop().map(|state| state.json()["id"].clone());
        eventually("the newest state", || newest() == Some(last["id"].clone())).await;
        publishing.stop().await;
        let states = subscriber.until("bridge/state", 2).await;
        assert_eq!(states[0].json(), json!({"v": 1, "state": "online"}));
        assert_eq!(states[1].json(), json!({"v": 1, "state": "offline"}));
        // Who comes later sees what is retained, and only that.
        let late = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
        late.caught_up().await;
        assert!(late.last("/device/2C/state").is_some() && late.last("/bridge/devices").is_some());
        assert!(late.all().iter().all(|message| message.retain && !message.topic.contains("/event/")));
        assert_eq!(late.on("/device/0042/info")[0].json()["downlink"]["mode"], json!("callback"));
        assert_eq!(late.on("/bridge/info")[0].json()["gateway"], json!("gw"));
        assert_eq!(late.on("/bridge/sources/factory")[0].json()["state"], json!("starting"));
    }
}

#[tokio::test]
async fn a_backlog_is_not_held_up_by_states_that_the_next_event_makes_out_of_date() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
    let site = Site::new(&lines(&broker, 5));
    let device = |n: i64| format!("{:X}", 0xA0 + n % 50);
    let uplinks: Vec<_> = (0..2_000).map(|n| uplink(&device(n), T0 + n, "012c80")).collect();
    site.store.record_sweep(&uplinks, None).unwrap();
    let publishing = site.publish();
    subscriber.until("/event/up", 2_000).await;
    for uplink in &uplinks[1_950..] {
        let topic = format!("/{}/state", uplink.device);
        let newest = || subscriber.last(&topic).map(|state| state.json()["id"].clone());
        eventually("the newest state", || newest() == Some(json!(uplink.id().to_string()))).await;
    }
    publishing.stop().await;
    let states = subscriber.on("/state").len();
    assert!(states < 400, "{states} states of 2,000 uplinks of 50 devices");
}

#[tokio::test]
async fn a_late_uplink_is_published_and_leaves_the_state_alone() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
    let site = Site::new(&lines(&broker, 5));
    let publishing = site.publish();
    for seconds in [T0 + 100, T0, T0 + 50] {
        site.store.record_uplink(&uplink("1A2B3C", seconds, "000180")).await.unwrap();
        site.drained().await;
    }
    assert_eq!(subscriber.until("/event/up", 3).await.len(), 3);
    publishing.stop().await;
    let states = subscriber.on("/state");
    let newest = uplink("1A2B3C", T0 + 100, "").id().to_string();
    assert!(!states.is_empty());
    assert!(states.iter().all(|state| state.json()["id"] == json!(newest)));
}

#[tokio::test]
async fn a_restart_publishes_only_what_is_new() {
    let broker = Mosquitto::start().await;
    let site = Site::new(&lines(&broker, 5));
    let publishing = site.publish();
    site.store.record_sweep(&[uplink("1A2B3C", T0, "000180"), uplink("2C", T0, "00")], None).unwrap();
    let before = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
    before.until("/state", 2).await;
    site.drained().await;
    publishing.stop().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
    subscriber.until("/state", 2).await;
    let publishing = site.publish();
    site.store.record_uplink(&uplink("2C", T0 + 1, "01")).await.unwrap();
    subscriber.until("/device/2C/state", 2).await;
    publishing.stop().await;
    assert_eq!(ids(&subscriber.on("/event/up")), [json!(uplink("2C", T0 + 1, "01").id().to_string())]);
    assert_eq!(subscriber.on("/device/1A2B3C/state").len(), 1, "nothing happened to that one");
}

#[tokio::test]
async fn a_broker_that_forgot_everything_gets_everything_again() {
    let mut broker = Mosquitto::start().await;
    let door = Proxy::start(broker.port());
    let site = Site::new(&format!("url = \"{}\"", door.url()));
    let publishing = site.publish();
    site.store.record_sweep(&[uplink("1A2B3C", T0, "000180")], None).unwrap();
    site.drained().await;
    door.shut(true);
    broker.kill();
    site.store.record_sweep(&[uplink("1A2B3C", T0 + 1, "000280")], None).unwrap();
    broker.begin().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    door.shut(false);
    subscriber.until("/event/up", 1).await;
    site.drained().await;
    for topic in ["bridge/state", "bridge/info", "bridge/devices", "/1A2B3C/info", "/1A2B3C/downlink"] {
        subscriber.until(topic, 1).await;
    }
    let newest = json!(uplink("1A2B3C", T0 + 1, "").id().to_string());
    let state = || subscriber.on("/1A2B3C/state").pop().map(|state| state.json()["id"].clone());
    eventually("the state after the uplink", || state() == Some(newest.clone())).await;
    publishing.stop().await;
}

#[tokio::test]
async fn a_crash_makes_the_gateway_known_as_offline_and_repeats_what_was_not_acknowledged() {
    let broker = Mosquitto::start().await;
    let site = Site::new(&lines(&broker, 5));
    let publishing = site.publish();
    site.store.record_sweep(&[uplink("1A2B3C", T0, "000180")], None).unwrap();
    site.drained().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    // It comes after its uplink.
    subscriber.until("device/1A2B3C/state", 1).await;
    publishing.crash().await;
    subscriber.until("bridge/state", 2).await;
    assert_eq!(subscriber.on("bridge/state")[1].json()["state"], json!("offline"), "the testament");
    let publishing = site.publish();
    subscriber.until("device/1A2B3C/state", 2).await;
    publishing.stop().await;
}

#[tokio::test]
async fn locations_have_an_event_and_the_newest_is_kept() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/#").await;
    let site = Site::new(&lines(&broker, 5));
    let at = |seconds: i64, latitude| Location {
        latitude,
        longitude: 2.5,
        accuracy_m: Some(900.0),
        source: LocationSource::Network,
        time: Timestamp::from_cloud(seconds).unwrap(),
    };
    let mut located = uplink("1A2B3C", T0, "000180");
    located.location = Some(at(T0, 48.0));
    site.store.record_uplink(&located).await.unwrap();
    let publishing = site.publish();
    let first = subscriber.until("/event/location", 1).await.pop().unwrap().json();
    assert_eq!(first["uplink"], json!(located.id().to_string()));
    let device = located.device;
    for (seconds, latitude) in [(T0 + 60, 49.0), (T0 + 30, 50.0)] {
        let event = Event::Location { device, location: at(seconds, latitude), uplink: None };
        site.store.tell(&event).unwrap();
        site.drained().await;
    }
    subscriber.until("/event/location", 3).await;
    publishing.stop().await;
    subscriber.caught_up().await;
    let kept =
        subscriber.on("/1A2B3C/location").into_iter().filter(|message| !message.topic.contains("event"));
    let latitudes: Vec<_> = kept.map(|message| message.json()["latitude"].clone()).collect();
    assert_eq!(latitudes.last(), Some(&json!(49.0)), "{latitudes:?}");
}

#[tokio::test]
async fn a_command_that_was_not_acknowledged_comes_again() {
    for protocol in [4, 5] {
        let broker = Mosquitto::start().await;
        let site = Site::new(&lines(&broker, protocol));
        let publishing = site.publish();
        let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/bridge/state").await;
        subscriber.until("bridge/state", 1).await;
        subscriber.publish("sigfox2mqtt/device/1A2B3C/downlink/push", "first");
        subscriber.publish("sigfox2mqtt/bridge/request/device/list", "second");
        let mut publishing = publishing;
        let first = publishing.next_command().await;
        assert_eq!((&first.payload[..], first.retain), (&b"first"[..], false), "MQTT {protocol}");
        let second = publishing.next_command().await;
        assert_eq!(second.topic, "sigfox2mqtt/bridge/request/device/list");
        second.ack();
        drop(first);
        publishing.stop().await;
        let mut publishing = site.publish();
        let again = publishing.next_command().await;
        assert_eq!((&again.payload[..], again.dup), (&b"first"[..], true), "MQTT {protocol}");
        again.ack();
        publishing.stop().await;
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let nobody = "allow_anonymous false\npassword_file {folder}/users\n";
    let broker = Mosquitto::with_files(nobody, &[("users", "")]).await;
    for protocol in [4, 5] {
        let config =
            config(&format!("{}\nusername = \"gw\"\npassword = \"wrong\"", lines(&broker, protocol)));
        let refused = watch(&config.mqtt, &["#"]).await.err().unwrap();
        let words = format!("{refused:#}");
        assert!(words.contains("not authorised") || words.contains("user name or password"), "{words}");
        assert!(!words.contains("wrong"), "{words}");
    }
}

#[tokio::test]
async fn a_refused_message_is_told_and_the_rest_flows() {
    let acl = "allow_anonymous true\nacl_file {folder}/acl\n";
    let broker = Mosquitto::with_files(
        acl,
        &[(
            "acl",
            concat!(
                "topic readwrite sigfox2mqtt/bridge/#\n",
                "topic readwrite sigfox2mqtt/device/2C/#\n",
                "topic read homeassistant/status\n",
            ),
        )],
    )
    .await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let site = Site::new(&lines(&broker, 5));
    site.store.record_sweep(&[uplink("1A2B3C", T0, "000180"), uplink("2C", T0 + 1, "00")], None).unwrap();
    let publishing = site.publish();
    subscriber.until("device/2C/event/up", 1).await;
    let failed = || {
        let events = subscriber.on("bridge/event");
        events.into_iter().map(|event| event.json()).find(|event| event["event"] == json!("publish_failed"))
    };
    eventually("the report", || failed().is_some()).await;
    assert_eq!(failed().unwrap()["topic"], json!("sigfox2mqtt/device/1A2B3C/event/up"));
    site.drained().await;
    publishing.stop().await;
    assert_eq!(site.store.uplinks(&UplinkQuery::default()).unwrap().len(), 2, "it stays in the history");
    assert_eq!(site.store.parked().unwrap().len(), 1, "and can be tried again");
}

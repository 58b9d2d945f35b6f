//! What Home Assistant and other watchers are told: availability, discovery, health, attributes.

use std::sync::Arc;

use serde_json::{Value, json};
use sigfox2mqtt::clock;
use sigfox2mqtt::ingest::SourceState;

use crate::publisher_rig::{Site, factory, uplink};
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

fn now() -> i64 {
    clock::now().as_seconds()
}

fn lines(broker: &Mosquitto, more: &str) -> String {
    format!("url = \"{}\"\n{more}", broker.url())
}

#[tokio::test]
async fn nobody_is_missing_before_the_first_answer_of_the_cloud() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/device/+/availability").await;
    let site = Site::new(&lines(&broker, ""));
    site.store
        .record_sweep(&[uplink("1A2B3C", now() - 60, "012c80"), uplink("2C", now() - 900_000, "00")], None)
        .unwrap();
    let publishing = site.publish();
    let heard = subscriber.until("1A2B3C/availability", 1).await[0].json();
    assert_eq!((&heard["state"], &heard["reason"]), (&json!("online"), &json!("on_schedule")));
    assert_eq!((&heard["basis"], &heard["expected_interval_s"]), (&json!("default"), &json!(90_000)));
    site.drained().await;
    assert!(subscriber.on("2C/availability").is_empty(), "the cloud was not asked yet");
    publishing.board.update(&factory(), |status| {
        status.state = SourceState::Ok;
        status.last_success = Some(clock::now());
    });
    let missing = subscriber.until("2C/availability", 1).await[0].json();
    assert_eq!((&missing["state"], &missing["reason"]), (&json!("offline"), &json!("missed")));
    publishing.stop().await;
}

#[tokio::test]
async fn devices_and_gateway_are_discovered_and_forgotten_with_the_mode() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "homeassistant/#").await;
    let mut site = Site::new(&lines(&broker, ""));
    site.store.record_sweep(&[uplink("1A2B3C", now() - 60, "012c80")], None).unwrap();
    let publishing = site.publish();
    let message = subscriber.until("homeassistant/device/sigfox2mqtt_gw_1A2B3C/config", 1).await[0].json();
    assert_eq!(message["dev"]["name"], json!("Tank 3"));
    assert_eq!(message["cmps"]["field_level"]["unit_of_measurement"], json!("mm"));
    assert_eq!(message["cmps"]["flag_alarm"]["p"], json!("binary_sensor"));
    assert_eq!(message["cmps"]["downlink_push"]["enabled_by_default"], json!(false));
    subscriber.until("homeassistant/device/sigfox2mqtt_gw/config", 1).await;
    publishing.stop().await;
    site.reconfigure(&lines(&broker, "[mqtt.discovery]\nmode = \"component\""));
    let publishing = site.publish();
    let sensor = "homeassistant/sensor/sigfox2mqtt_gw_1A2B3C/field_level/config";
    assert_eq!(subscriber.until(sensor, 1).await[0].json()["dev"]["name"], json!("Tank 3"));
    let device = subscriber.until("homeassistant/device/sigfox2mqtt_gw_1A2B3C/config", 3).await;
    assert_eq!(device[1].json(), json!({ "migrate_discovery": true }));
    assert!(device[2].payload.is_empty(), "the other mode's message is cleared");
    subscriber.until("homeassistant/button/sigfox2mqtt_gw/sync/config", 1).await;
    // Home Assistant keeps the entities' history only if the old topic announces the change before the new ones come.
    let order: Vec<_> = subscriber.all().iter().map(|message| message.topic.clone()).collect();
    let nth =
        |topic: &str, n: usize| order.iter().enumerate().filter(|(_, seen)| *seen == topic).nth(n).unwrap().0;
    let device_topic = "homeassistant/device/sigfox2mqtt_gw_1A2B3C/config";
    assert!(nth(device_topic, 1) < nth(sensor, 0));
    // A state comes after its uplink, and a run that ends before that leaves it to the next.
    let state = "sigfox2mqtt/device/1A2B3C/state";
    Subscriber::start(broker.port(), state).await.until("/state", 1).await;
    publishing.stop().await;
    site.reconfigure(&lines(&broker, "base = \"other\"\n[mqtt.discovery]\nmode = \"off\""));
    let old = Subscriber::start(broker.port(), state).await;
    old.until("/state", 1).await;
    let publishing = site.publish();
    assert!(subscriber.until(sensor, 2).await[1].payload.is_empty());
    assert!(old.until("/state", 2).await[1].payload.is_empty(), "nothing is left below the old base");
    let new = Subscriber::start(broker.port(), "other/#").await;
    let state = new.until("other/device/1A2B3C/state", 1).await;
    assert!(!state[0].payload.is_empty(), "below the new one all is told, in the session of before too");
    publishing.stop().await;
}

#[tokio::test]
async fn a_device_that_is_filtered_out_is_cleared_and_told_again_when_it_is_taken_again() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "#").await;
    let mut site = Site::new(&lines(&broker, ""));
    let devices = ["1A2B3C", "3068E"].map(|device| uplink(device, now() - 60, "012c80"));
    site.store.record_sweep(&devices, None).unwrap();
    for (taken, times) in [(true, 1), (false, 2), (true, 3)] {
        let filter = &mut Arc::make_mut(&mut site.config).sources[0].filter;
        filter.except_devices = if taken { Vec::new() } else { vec!["1A2B3C".to_owned()] };
        let publishing = site.publish();
        site.drained().await;
        for topic in ["device/1A2B3C/state", "device/1A2B3C/info", "sigfox2mqtt_gw_1A2B3C/config"] {
            let told = subscriber.until(topic, times).await;
            assert_eq!(told[times - 1].payload.is_empty(), !taken, "{topic}");
        }
        publishing.stop().await;
    }
    assert!(subscriber.on("device/3068E/state").iter().all(|message| !message.payload.is_empty()));
}

#[tokio::test]
async fn home_assistant_gets_everything_again_when_it_is_born() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "#").await;
    let site = Site::new(&lines(&broker, ""));
    site.store.record_sweep(&[uplink("1A2B3C", now() - 60, "012c80")], None).unwrap();
    let publishing = site.publish();
    site.drained().await;
    subscriber.until("1A2B3C/state", 1).await;
    let before = subscriber.on("sigfox2mqtt_gw_1A2B3C/config").len();
    for _ in 0..5 {
        publishing.replies.birth().await;
    }
    subscriber.until("sigfox2mqtt_gw_1A2B3C/config", before + 1).await;
    subscriber.until("1A2B3C/state", 2).await;
    publishing.stop().await;
    assert_eq!(subscriber.on("sigfox2mqtt_gw_1A2B3C/config").len(), before + 1, "once for all births");
}

#[tokio::test]
async fn fields_have_topics_of_their_own_where_wanted_and_the_gateway_tells_its_health() {
    let broker = Mosquitto::start().await;
    let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
    let site = Site::new(&lines(&broker, "attributes = true"));
    site.store.record_sweep(&[uplink("1A2B3C", now() - 60, "012c80")], None).unwrap();
    let publishing = site.publish();
    let level = subscriber.until("device/1A2B3C/attr/level", 1).await;
    assert_eq!((&level[0].payload[..], level[0].topic.contains("event")), (&b"300"[..], false));
    assert_eq!(subscriber.until("device/1A2B3C/attr/alarm", 1).await[0].payload, b"false");
    let health: Value = subscriber.until("bridge/health", 1).await[0].json();
    assert_eq!(health["v"], json!(1));
    for key in ["uptime_s", "memory_bytes", "store_bytes", "messages_in", "messages_out"] {
        assert!(health[key].is_u64(), "{key} of {health}");
    }
    assert!(health["outbox"]["depth"].is_u64());
    publishing.stop().await;
}

#[tokio::test]
async fn a_field_that_is_no_more_is_taken_back_in_both_modes() {
    for mode in ["device", "component"] {
        let broker = Mosquitto::start().await;
        let subscriber = Subscriber::start(broker.port(), "homeassistant/#").await;
        let mut site = Site::new(&lines(&broker, &format!("[mqtt.discovery]\nmode = \"{mode}\"")));
        site.store.record_sweep(&[uplink("1A2B3C", now() - 60, "012c80")], None).unwrap();
        let publishing = site.publish();
        subscriber.until("sigfox2mqtt_gw/config", usize::from(mode == "device")).await;
        let whole = "homeassistant/device/sigfox2mqtt_gw_1A2B3C/config";
        let sensor = "homeassistant/sensor/sigfox2mqtt_gw_1A2B3C/field_level/config";
        let topic = if mode == "device" { whole } else { sensor };
        subscriber.until(topic, 1).await;
        site.drained().await;
        publishing.stop().await;
        // The device's decoder is another one from now on.
        let other =
            format!("[mqtt.discovery]\nmode = \"{mode}\"\n[decoders.other]\nformat = \"depth::uint:16\"\n");
        site.reconfigure_decoder("1A2B3C", "other", &lines(&broker, &other));
        let publishing = site.publish();
        let last = subscriber.until(topic, 2).await.pop().unwrap();
        if mode == "device" {
            let entities = &last.json()["cmps"];
            assert_eq!(entities["field_level"], json!({ "p": "sensor" }));
            assert_eq!(entities["flag_alarm"], json!({ "p": "binary_sensor" }));
            assert_eq!(entities["field_depth"]["p"], json!("sensor"));
        } else {
            assert!(last.payload.is_empty());
            subscriber.until("field_depth/config", 1).await;
        }
        publishing.stop().await;
        // Taken back once: the next start knows nothing of them any more.
        let publishing = site.publish();
        publishing.replies.birth().await;
        let again = if mode == "device" { whole } else { "field_depth/config" };
        let before = subscriber.on(again).len();
        let last = subscriber.until(again, before + 1).await.pop().unwrap();
        assert_eq!(last.json()["cmps"].get("field_level"), None);
        publishing.stop().await;
    }
}

//! Brokers that take no large packets, and say so or just close the connection.

use serde_json::json;
use sigfox2mqtt::store::UplinkQuery;

use crate::publisher_rig::{Site, uplink};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

const T0: i64 = 1_789_000_000;

#[tokio::test]
async fn what_is_too_large_for_the_broker_is_told_and_the_rest_flows() {
    for protocol in [4, 5] {
        let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 2000\n").await;
        let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/#").await;
        let name = "n".repeat(3_000);
        let url = broker.url();
        let site =
            Site::new(&format!("url = \"{url}\"\nprotocol = {protocol}\n[devices.2C]\nname = \"{name}\""));
        let mut uplinks: Vec<_> = (0..150).map(|n| uplink("1A2B3C", T0 + n, "012c80")).collect();
        uplinks.insert(60, uplink("2C", T0 + 60, "00"));
        site.store.record_sweep(&uplinks, None).unwrap();
        let publishing = site.publish();
        site.drained().await;
        subscriber.until("1A2B3C/event/up", 150).await;
        let failed = || {
            let events = subscriber.on("bridge/event").into_iter().map(|event| event.json());
            events.filter(|event| event["event"] == json!("publish_failed")).collect::<Vec<_>>()
        };
        eventually("the report", || !failed().is_empty()).await;
        // What came while the connection was closed again may come twice; nothing is missing, nothing too large there.
        let reported = failed();
        assert_eq!(reported.len(), 1, "MQTT {protocol}: {reported:?}");
        assert_eq!(reported[0]["topic"], json!("sigfox2mqtt/device/2C/event/up"));
        assert!(subscriber.on("2C/event/up").is_empty());
        site.store.record_uplink(&uplink("1A2B3C", T0 + 1_000, "012c80")).await.unwrap();
        site.drained().await;
        publishing.stop().await;
        let kept = site.store.uplinks(&UplinkQuery::default()).unwrap().len();
        assert_eq!(kept, 152, "it stays in the history");
    }
}

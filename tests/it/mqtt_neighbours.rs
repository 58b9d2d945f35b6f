//! Two gateways at one broker that should not be: below one base, or with one client id.

use serde_json::json;

use crate::support::daemon::{Gateway, command};
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;

/// A gateway with a source that never answers.
fn gateway(id: &str, broker: &Mosquitto, protocol: u8) -> Gateway {
    Gateway::new(&format!(
        "version = 1\n[gateway]\nid = \"{id}\"\ndata_dir = \"{{data}}\"\n\
         [mqtt]\nurl = \"{}\"\nprotocol = {protocol}\n\
         [sources.factory]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"a\"\npassword = \"b\"\n",
        broker.url()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_below_one_base_say_so_and_the_doctor_does() {
    for protocol in [4, 5] {
        let broker = Mosquitto::start().await;
        let subscriber = Subscriber::start(broker.port(), "sigfox2mqtt/bridge/#").await;
        let (north, south) = (gateway("north", &broker, protocol), gateway("south", &broker, protocol));
        let first = north.start();
        subscriber.until("bridge/info", 1).await;
        first.logged("connected to the broker").await;
        let doctor = command(&south.configuration()).arg("doctor").output().unwrap();
        let said = String::from_utf8(doctor.stdout).unwrap();
        assert!(said.contains("gateway `north` publishes below `sigfox2mqtt` as well"), "{said}");

        let second = south.start();
        let told = |other: &str| {
            let events = subscriber.on("bridge/event").into_iter().map(|event| event.json());
            let mut shared = events.filter(|event| event["event"] == json!("base_shared"));
            shared.any(|event| event["gateway"] == json!(other))
        };
        eventually("both to be told", || told("north") && told("south")).await;
        for daemon in [&first, &second] {
            daemon.logged("another gateway publishes below the same mqtt.base").await;
        }
        // One hello each, and one answer: nobody goes on about it.
        assert_eq!(subscriber.on("request/hello").len(), 3);
        assert!(subscriber.on("response/hello").is_empty());
        assert_eq!(first.terminate().await.code(), Some(0));
        assert_eq!(second.terminate().await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_with_one_id_throw_each_other_out_and_say_why() {
    for protocol in [4, 5] {
        let broker = Mosquitto::start().await;
        let (north, south) = (gateway("gw", &broker, protocol), gateway("gw", &broker, protocol));
        let first = north.start();
        first.logged("connected to the broker").await;
        let second = south.start();
        eventually("the reason in one of the logs", || {
            [&first, &second].iter().any(|daemon| daemon.log().contains("two gateways with one gateway.id"))
        })
        .await;
        assert_eq!(first.terminate().await.code(), Some(0));
        assert_eq!(second.terminate().await.code(), Some(0));
    }
}

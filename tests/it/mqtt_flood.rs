//! More commands at once than a queue holds, from a broker that brings them as fast as it can.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::support::daemon::Gateway;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;
use crate::support::within;

const PUSHES: usize = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_pushes_at_once_is_answered_over_one_connection() {
    for protocol in [5, 4] {
        let broker = Mosquitto::start().await;
        let gateway = Gateway::new(&format!(
            "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"{{data}}\"\n\
             [mqtt]\nurl = \"{}\"\nprotocol = {protocol}\n\
             [sources.factory]\nkind = \"sigfox\"\nurl = \"http://127.0.0.1:9\"\nlogin = \"a\"\n\
             password = \"b\"\n[devices.2C]\nname = \"a\"\n",
            broker.url()
        ));
        let watch = Subscriber::start(broker.port(), "sigfox2mqtt/device/2C/event/downlink").await;
        let daemon = gateway.start();
        daemon.logged("gateway ready").await;
        // It says so when it has subscribed.
        Subscriber::start(broker.port(), "sigfox2mqtt/bridge/state").await.until("bridge/state", 1).await;
        for n in 0..PUSHES {
            let push = json!({ "id": format!("p{n}"), "data": format!("{n:016x}") }).to_string();
            watch.publish("sigfox2mqtt/device/2C/downlink/push", push);
        }
        within(Duration::from_secs(100), "every answer", || watch.count() >= PUSHES).await;
        let mut answers: BTreeMap<String, usize> = BTreeMap::new();
        for event in watch.all().iter().map(|event| event.json()) {
            *answers.entry(format!("{} {}", event["state"], event["reason"])).or_default() += 1;
        }
        let expected = [("\"queued\" null", 16), ("\"rejected\" \"queue_full\"", PUSHES - 16)];
        let expected = expected.map(|(answer, count)| (answer.to_owned(), count));
        assert_eq!(answers, BTreeMap::from(expected));
        assert_eq!(daemon.log().matches("connected to the broker").count(), 1, "protocol {protocol}");
        assert_eq!(daemon.terminate().await.code(), Some(0));
    }
}

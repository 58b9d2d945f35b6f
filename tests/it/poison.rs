//! Uplinks that a real broker will not take, because of its limits: parked with a reason, told, listed, and the rest flows.

use serde_json::{Value, json};

use crate::main_job::{Site, world};
use crate::reading::run;
use crate::support::eventually;
use crate::support::mosquitto::Mosquitto;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_does_not_take_is_parked_told_and_listed_and_the_rest_flows() {
    // One says so when it lets us in, the other answers such a publish with a reason that MQTT 5 does not have.
    for (limit, said) in [
        ("max_packet_size 2000", "are more than the 2000 that the broker takes"),
        ("message_size_limit 2000", "that the broker takes"),
    ] {
        let broker = Mosquitto::with(&format!("allow_anonymous true\n{limit}\n")).await;
        let name = "n".repeat(3_000);
        let site = Site::with(world(30), broker, &format!("[devices.1A2B3C]\nname = \"{name}\"")).await;
        let watch = site.watch().await;
        let daemon = site.gateway.start();
        watch.until("3068E/event/up", 10).await;
        watch.until("002C/event/up", 10).await;
        let told = || {
            let events = watch.on("bridge/event").into_iter().map(|event| event.json());
            events.filter(|event| event["event"] == json!("publish_failed")).collect::<Vec<_>>()
        };
        eventually(&format!("ten reports; {limit}"), || told().len() == 10).await;
        let report = told().remove(0);
        let topic = "sigfox2mqtt/device/1A2B3C/event/up";
        assert_eq!(report["topic"], json!(topic));
        assert!(report["reason"].as_str().unwrap().ends_with(said), "{report}");

        let list = |arguments: &[&str]| -> Vec<Value> {
            let (code, out, err) = run(&site.gateway, arguments);
            assert_eq!((code, err.as_str()), (Some(0), ""));
            serde_json::from_str(&out).unwrap()
        };
        let mut parked = list(&["outbox", "list", "--json"]);
        // The reports themselves may still wait.
        parked.retain(|row| row["state"] == json!("parked"));
        assert_eq!(parked.len(), 10, "{parked:#?}");
        for row in &parked {
            assert_eq!(row["topic"], json!(topic), "{row}");
            assert!(row["reason"].as_str().unwrap().ends_with(said), "{row}");
        }
        assert_eq!(list(&["messages", "--json"]).len(), 30, "all of it stays in the history");
        assert!(watch.on("1A2B3C/event/up").is_empty());
        println!("{limit}: 30 uplinks, 20 published, 10 parked, lost: 0");
        assert_eq!(daemon.terminate().await.code(), Some(0));
    }
}

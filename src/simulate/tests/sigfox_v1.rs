//! What the API v1 answers.

use serde_json::{Value, json};

use super::*;

async fn running(world: World) -> (Running, Client) {
    let options = Options { rate_limits: false, ..Options::default() };
    let running = Simulator::start(world, options).await.unwrap();
    let client = Client::of(&running);
    (running, client)
}

#[tokio::test]
async fn pages_are_cut_by_seconds_and_paging_is_missing_at_the_end() {
    let (running, client) = running(world_of(250)).await;
    let (mut seqs, mut pages) = (Vec::new(), 0);
    let mut next = Some(format!("/api/devicetypes/{TYPE}/messages?limit=100"));
    while let Some(path) = next {
        let (_, page) = client.get(&path).await;
        seqs.extend(page["data"].as_array().unwrap().iter().map(|row| row["seqNumber"].as_u64().unwrap()));
        next = page.get("paging").map(|paging| paging["next"].as_str().unwrap().to_owned());
        pages += 1;
    }
    assert_eq!((seqs, pages), ((0..250).rev().collect(), 3));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_whole_page_of_one_second_does_not_lead_to_itself() {
    let (running, client) = running(world_of(0)).await;
    for seq in 0..5 {
        running.record(uplink("1A2B3C", 1_789_000_000, seq));
    }
    let (mut seen, mut next) = (Vec::new(), Some("/api/devices/1A2B3C/messages?limit=2".to_owned()));
    while let Some(path) = next.filter(|_| seen.len() < 20) {
        let (_, page) = client.get(&path).await;
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["seqNumber"].as_u64().unwrap()));
        next = page["paging"]["next"].as_str().map(ToOwned::to_owned);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn since_and_before_are_whole_seconds() {
    let (running, client) = running(world_of(10)).await;
    let (_, page) =
        client.get(&format!("/api/devicetypes/{TYPE}/messages?since=1789000003&before=1789000005")).await;
    let times: Vec<i64> =
        page["data"].as_array().unwrap().iter().map(|row| row["time"].as_i64().unwrap()).collect();
    assert_eq!(times, [1_789_000_005, 1_789_000_004, 1_789_000_003]);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_device_type_is_edited_by_the_id_in_the_body() {
    let (running, client) = running(world_of(0)).await;
    let edit = json!({ "id": TYPE, "downlinkMode": 0, "downlinkDataString": "3c06000000000000" });
    assert_eq!(client.ask("POST", "/api/devicetypes/edit").json(&edit).send().await.unwrap().status(), 200);
    let (_, kind) = client.get(&format!("/api/devicetypes/{TYPE}")).await;
    assert_eq!(
        (&kind["payloadType"], &kind["downlinkDataString"]),
        (&json!("Custom"), &json!("3c06000000000000"))
    );
    let lost =
        client.ask("POST", "/api/devicetypes/edit").json(&json!({ "name": "x" })).send().await.unwrap();
    assert_eq!(lost.status(), 400);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn callbacks_are_made_as_a_list_and_shown_by_their_service() {
    let (running, client) = running(world_of(0)).await;
    let path = format!("/api/devicetypes/{TYPE}/callbacks");
    let one = |kind: u8, subtype: u8| {
        json!({
            "channel": "URL", "callbackType": kind, "callbackSubtype": subtype, "enabled": true,
            "url": "http://127.0.0.1:9/", "httpMethod": "GET",
        })
    };
    let made =
        client.ask("POST", &format!("{path}/new")).json(&json!([one(0, 3), one(1, 4)])).send().await.unwrap();
    let ids: Vec<String> = made.json().await.unwrap();
    let (_, listed) = client.get(&path).await;
    assert_eq!((&listed["data"][0]["id"], &listed["service"][0]["id"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(listed["data"][0]["urlPattern"], json!("http://127.0.0.1:9/"));
    for verb in ["enable?enabled=false", "downlink", "delete"] {
        let done = client.ask("POST", &format!("{path}/{}/{verb}", ids[0])).send().await.unwrap();
        assert_eq!(done.status(), 200, "{verb}");
    }
    assert_eq!(client.get(&path).await.1["data"], json!([]));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn what_the_network_complains_about_is_listed_by_its_severity() {
    let (running, client) = running(world_of(0)).await;
    for (severity, info) in [("ERROR", "No message received for 3600s"), ("WARN", "a station is down")] {
        let complaint = json!({ "severity": severity, "info": info });
        let told = client.ask("POST", "/sim/devices/1A2B3C/trouble").json(&complaint).send().await.unwrap();
        assert_eq!(told.status(), 204);
    }
    for (list, severity) in [("error", "ERROR"), ("warn", "WARN")] {
        for of in ["devices/1A2B3C".to_owned(), format!("devicetypes/{TYPE}")] {
            let (_, rows) = client.get(&format!("/api/{of}/status/{list}")).await;
            let rows = rows["data"].as_array().unwrap();
            assert_eq!(
                rows.iter().map(|row| &row["severity"]).collect::<Vec<_>>(),
                [&json!(severity)],
                "{of}"
            );
        }
    }
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn every_other_path_of_the_document_answers() {
    let (running, client) = running(world_of(3)).await;
    for path in [
        "/api/groups",
        "/api/groups/5f00000000000000000000a1",
        "/api/users?groupId=5f00000000000000000000a1",
        "/api/devicetypes",
        "/api/devicetypes/geolocs-config",
        "/api/devices/1A2B3C",
        "/api/devices/1A2B3C/token-state",
        "/api/devices/1A2B3C/networkstate",
        "/api/devices/1A2B3C/messages/metric",
        "/api/devices/1A2B3C/locations",
        "/api/devices/1A2B3C/consumptions/2026",
        "/api/device/1A2B3C/consumptions/2026",
        "/api/callbacks/messages/error?hexId=1A2B3C",
        "/api/coverages/redundancy?lat=48&lng=2&mode=INDOOR",
        "/api/coverages/global/predictions?lat=48&lng=2",
    ] {
        let (status, body) = client.get(path).await;
        assert!(status == 200 && body != Value::Null, "{path}: {status} {body}");
    }
    let (status, _) = client.get(&format!("/api/devicetypes/{TYPE}/devices?snr=1")).await;
    assert_eq!(status, 200);
    running.shut_down().await.unwrap();
}

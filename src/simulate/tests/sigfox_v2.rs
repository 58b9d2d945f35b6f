//! What the API v2 answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

async fn running(messages: u16, cursor: Cursor) -> (Running, Client) {
    let options = Options { cursor, rate_limits: false, ..Options::default() };
    let running = Simulator::start(world_of(messages), options).await.unwrap();
    let client = Client::of(&running);
    (running, client)
}

/// Every sequence number of a chain of pages, and how many pages there were.
async fn walk(client: &Client, first: &str) -> (Vec<u64>, usize) {
    let (mut seqs, mut pages, mut next) = (Vec::new(), 0, Some(first.to_owned()));
    while let Some(path) = next.filter(|_| pages < 50) {
        let (status, page) = client.get(&path).await;
        assert_eq!(status, 200, "{page}");
        seqs.extend(page["data"].as_array().unwrap().iter().map(|row| row["seqNumber"].as_u64().unwrap()));
        pages += 1;
        next = page["paging"]["next"].as_str().map(ToOwned::to_owned);
    }
    (seqs, pages)
}

#[tokio::test]
async fn a_chain_of_pages_brings_every_message_newest_first_whichever_way_the_next_is_named() {
    for cursor in [Cursor::Included, Cursor::Excluded, Cursor::Offset] {
        let (running, client) = running(250, cursor).await;
        let (seqs, pages) = walk(&client, &format!("/v2/device-types/{TYPE}/messages?limit=100")).await;
        let newest_first: Vec<u64> = (0..250).rev().collect();
        assert_eq!((seqs, pages), (newest_first, 3), "{cursor:?}");
        let (seqs, _) = walk(&client, "/v2/devices/1A2B3C/messages/?limit=50").await;
        assert_eq!(seqs.len(), 84, "{cursor:?}");
        running.shut_down().await.unwrap();
    }
}

#[tokio::test]
async fn messages_of_one_instant_across_a_border_of_pages_are_kept_only_by_a_cursor_that_includes_them() {
    for (cursor, seen) in [(Cursor::Included, 5), (Cursor::Excluded, 2), (Cursor::Offset, 5)] {
        let (running, client) = running(0, cursor).await;
        for seq in 0..5 {
            running.record(uplink("1A2B3C", 1_789_000_000, seq));
        }
        let (seqs, _) = walk(&client, &format!("/v2/device-types/{TYPE}/messages?limit=2")).await;
        assert_eq!(seqs.iter().collect::<BTreeSet<_>>().len(), seen, "{cursor:?}");
        running.shut_down().await.unwrap();
    }
}

#[tokio::test]
async fn since_and_before_are_milliseconds_and_both_ends_are_included() {
    let (running, client) = running(10, Cursor::Included).await;
    let (_, page) = client
        .get(&format!("/v2/device-types/{TYPE}/messages?since=1789000003000&before=1789000005000"))
        .await;
    let times: Vec<i64> =
        page["data"].as_array().unwrap().iter().map(|row| row["time"].as_i64().unwrap()).collect();
    assert_eq!(times, [1_789_000_005_000, 1_789_000_004_000, 1_789_000_003_000]);
    assert_eq!(page["paging"], json!({}));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn nobody_gets_in_without_the_login() {
    let (running, _client) = running(0, Cursor::Included).await;
    let response = reqwest::Client::new()
        .get(running.sigfox_v2_url() + "/devices")
        .basic_auth("x", Some("y"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "message": "Unauthorized" }));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn wrong_questions_get_the_cloud_s_own_refusals() {
    let (running, client) = running(1, Cursor::Included).await;
    for (path, status, field) in [
        ("/v2/devices/FFFF/messages", 404, None),
        ("/v2/devices/hello", 404, None),
        ("/v2/device-types/none", 404, None),
        ("/v2/nothing", 404, None),
        ("/v2/devices/3068E/messages?since=soon", 400, Some("since")),
        ("/v2/devices/3068E/messages?limit=101", 400, Some("limit")),
        ("/v2/devices/3068E/messages?limit=0", 400, Some("limit")),
        ("/v2/devices/3068E/messages?offset=5001", 400, Some("offset")),
        ("/v2/coverages/operators/redundancy?lat=91&lng=0", 400, Some("lat")),
    ] {
        let (found, body) = client.get(path).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(body["errors"][0]["field"].as_str(), field, "{path}: {body}");
    }
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_message_has_the_keys_and_types_of_the_live_service() {
    let (running, client) = running(1, Cursor::Included).await;
    let (_, plain) = client.get("/v2/devices/1A2B3C/messages").await;
    let plain = &plain["data"][0];
    assert_eq!(plain["device"], json!({ "id": "1A2B3C" }));
    assert_eq!((&plain["data"], &plain["time"]), (&json!("0000"), &json!(1_789_000_000_000_i64)));
    assert!(plain["rinfos"][0]["rssi"].is_string() && plain["rinfos"][0]["lat"].is_string());
    assert!(plain["lqi"].is_number() && plain.get("ackRequired").is_none());
    let fields = "fields=device(name),rinfos(cbStatus,rep,repetitions),ackRequired";
    let (_, full) = client.get(&format!("/v2/devices/1A2B3C/messages?{fields}")).await;
    let full = &full["data"][0];
    assert_eq!(full["device"]["name"], "tank 1A2B3C");
    assert_eq!((&full["ackRequired"], &full["rinfos"][0]["cbStatus"]), (&json!(false), &json!([])));
    assert_eq!(full["rinfos"][0]["repetitions"].as_array().unwrap().len(), 3);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_position_shows_up_only_when_the_network_has_computed_it() {
    let (running, client) = running(0, Cursor::Included).await;
    let hour = Duration::from_secs(3600);
    let now = crate::clock::now();
    let late = uplink("1A2B3C", now.as_seconds(), 2).located(48.1, 2.5, 900, hour);
    let known = uplink("1A2B3C", now.minus(hour).as_seconds(), 1).located(48.2, 2.6, 400, Duration::ZERO);
    running.record(late);
    running.record(known);
    let (_, messages) = client.get("/v2/devices/1A2B3C/messages").await;
    let positions: Vec<&Value> =
        messages["data"].as_array().unwrap().iter().map(|row| &row["computedLocation"]).collect();
    let place = json!([{ "lat": 48.2, "lng": 2.6, "radius": 400, "source": 2, "placeIds": [] }]);
    assert_eq!(positions, [&json!([]), &place]);
    let (_, locations) = client.get("/v2/devices/1A2B3C/locations").await;
    let valid: Vec<&Value> = locations["data"].as_array().unwrap().iter().map(|row| &row["valid"]).collect();
    assert_eq!(valid, [&json!(false), &json!(true)]);
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn inventories_come_by_pages_that_name_the_next_by_an_opaque_id() {
    let (running, client) = running(3, Cursor::Included).await;
    running.world(|world| world.add_device(Device::new(id("FFFFFF"), TYPE)));
    let (mut names, mut next) = (Vec::new(), Some(format!("/v2/devices/?deviceTypeId={TYPE}&limit=3")));
    while let Some(path) = next {
        let (_, page) = client.get(&path).await;
        names.extend(
            page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        next = page["paging"]["next"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(names, ["002C", "3068E", "1A2B3C", "FFFFFF"]);
    let (_, silent) = client.get("/v2/devices/FFFFFF").await;
    assert!(silent.get("lastCom").is_none() && silent.get("sequenceNumber").is_none());
    let (_, kind) = client.get(&format!("/v2/device-types/{TYPE}")).await;
    assert_eq!((&kind["payloadType"], &kind["payloadConfig"]), (&json!(3), &json!("level::uint:16")));
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_device_type_is_edited_key_by_key() {
    let (running, client) = running(0, Cursor::Included).await;
    let path = format!("/v2/device-types/{TYPE}");
    let edit = |body: Value| client.ask("PUT", &path).json(&body).send();
    let edited = edit(json!({ "downlinkMode": 0, "downlinkDataString": "3c06000000000000" })).await.unwrap();
    assert_eq!(edited.status(), 204);
    assert_eq!(edit(json!({ "downlinkDataString": "00", "name": "lost" })).await.unwrap().status(), 400);
    let (_, kind) = client.get(&path).await;
    assert_eq!(
        (&kind["downlinkDataString"], &kind["name"]),
        (&json!("3c06000000000000"), &json!("tank level"))
    );
    assert_eq!(edit(json!({ "downlinkDataString": null })).await.unwrap().status(), 204);
    let (_, kind) = client.get(&path).await;
    assert!(kind.get("downlinkDataString").is_none());
    running.shut_down().await.unwrap();
}

#[tokio::test]
async fn the_second_request_in_a_second_for_a_device_s_messages_is_one_too_many() {
    let running = Simulator::start(world_of(1), Options::default()).await.unwrap();
    let client = Client::of(&running);
    let path = "/v2/devices/1A2B3C/messages";
    assert_eq!(client.get(path).await.0, 200);
    let mut asked = 1;
    while client.get(path).await.0 != 429 {
        asked += 1;
        assert!(asked < 20, "each of {asked} requests in turn was more than a second after the one before");
    }
    assert_eq!(client.get("/v2/devices/3068E/messages").await.0, 200);
    assert_eq!(running.requests_with("/messages"), asked + 2);
    running.shut_down().await.unwrap();
}

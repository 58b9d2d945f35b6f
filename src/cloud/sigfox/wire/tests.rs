//! The shapes that clouds really send, by the fixtures.

use serde_json::json;

use super::*;

fn rows(fixture: &str) -> Vec<Json<'_>> {
    let page: Json<'_> = serde_json::from_str(fixture).unwrap();
    page.as_object().and_then(|page| page.get("data")?.as_array()).unwrap().to_vec()
}

fn messages(fixture: &str) -> Vec<Message> {
    rows(fixture).iter().map(|row| message(row).unwrap()).collect()
}

#[test]
fn a_minimal_message_says_little_and_that_is_enough() {
    let read = messages(include_str!("../../../../tests/fixtures/sigfox-v2/messages-first-page.json"));
    let [only] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(only.device.to_string(), "3068E");
    assert_eq!(only.time.to_string(), "2021-10-21T04:38:58.000Z");
    assert_eq!((only.payload.to_string().as_str(), only.seq), ("17", Some(241)));
    assert_eq!(only.link_quality, Some(LinkQuality::Excellent));
    assert_eq!((only.receptions.len(), only.location, only.ack_required), (0, None, None));
}

#[test]
fn radio_metrics_that_are_text_are_numbers() {
    let read = messages(include_str!("../../../../tests/fixtures/sigfox-v2/messages-with-receptions.json"));
    let [only] = read.as_slice() else { panic!("{read:?}") };
    let station = Some("5859".to_owned());
    assert_eq!(only.receptions, [Reception { station, rssi: Some(-133.0), snr: Some(12.48) }]);
    assert_eq!(only.payload.to_string(), "0123456789abcdef");
    assert_eq!(only.ack_required, Some(false));
    let place = only.location.unwrap();
    assert_eq!((place.latitude, place.longitude, place.accuracy_m), (35.1, 135.2, Some(10742.0)));
    assert_eq!((place.source, place.time), (LocationSource::Network, only.time));
}

#[test]
fn a_message_without_a_sequence_number_and_with_an_answer() {
    let read = messages(include_str!("../../../../tests/fixtures/sigfox-v2/messages-downlink-answer.json"));
    let [only] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((only.seq, only.link_quality, only.ack_required), (None, None, Some(true)));
    assert_eq!(only.downlink.as_ref().map(ToString::to_string).as_deref(), Some("0001020304050607"));
    assert!(only.payload.as_bytes().is_empty());
}

#[test]
fn messages_of_v1_are_the_same_thing_in_seconds() {
    let read = messages(include_str!("../../../../tests/fixtures/sigfox-v1/messages.json"));
    let [only] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(only.time.to_string(), "2018-01-13T23:20:42.000Z");
    assert_eq!((only.seq, only.link_quality), (Some(2347), Some(LinkQuality::Good)));
    assert_eq!((only.receptions.len(), only.receptions[0].snr), (4, Some(52.72)));

    let read = messages(include_str!("../../../../tests/fixtures/sigfox-v1/messages-object-location.json"));
    assert_eq!(read[0].location.map(|place| place.accuracy_m), Some(Some(1200.0)));
    assert_eq!(read[0].device.to_string(), "002C");
    assert_eq!(read[1].payload.to_string(), "");
}

#[test]
fn a_message_is_the_same_in_every_shape_that_was_seen() {
    let place = json!({ "lat": 48.5, "lng": 2.25, "radius": 400, "source": 2, "placeIds": [] });
    let usual = json!({
        "device": { "id": "1A2B3C" }, "time": 1_789_000_000_000_i64, "data": "0a41ff00", "seqNumber": 251,
        "rinfos": [{ "baseStation": { "id": "5859" }, "rssi": "-133.00", "snr": "12.48", "rep": 3 }],
        "lqi": 2, "computedLocation": [place], "ackRequired": true,
    });
    let expected = message(&Json::from(&usual)).unwrap();
    assert!(expected.location.is_some() && expected.ack_required == Some(true), "{expected:?}");
    for change in [
        json!({ "time": 1_789_000_000 }),
        json!({ "time": "1789000000000" }),
        json!({ "time": "2026-09-10T00:26:40Z" }),
        json!({ "time": 1_789_000_000_000.0 }),
        json!({ "device": "1A2B3C" }),
        json!({ "device": "1a2b3c" }),
        json!({ "device": { "id": "1A2B3C", "name": null, "extra": {} } }),
        json!({ "data": "0A41FF00" }),
        json!({ "seqNumber": "251" }),
        json!({ "seqNumber": 251.0 }),
        json!({ "lqi": "2" }),
        json!({ "lqi": "GOOD" }),
        json!({ "lqi": "null", "linkQuality": "Good" }),
        json!({ "computedLocation": place }),
        json!({ "computedLocation": { "lat": "48.5", "lng": "2.25", "radius": "400", "source": "2" } }),
        json!({ "rinfos": { "tap": "5859", "rssi": -133, "snr": 12.48, "cbStatus": { "status": 200 } } }),
        json!({ "rinfos": [{ "baseStation": "5859", "rssi": -133.0, "freq": null }], "snr": "12.48" }),
        json!({ "ackRequired": "true" }),
        json!({ "ackRequired": 1 }),
        json!({ "ackRequired": null, "downlinkAnswerStatus": {} }),
        json!({ "rolloverCounter": "x", "satInfos": 17, "nbFrames": null, "of-tomorrow": [{}] }),
    ] {
        let mut row = usual.clone();
        row.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(message(&Json::from(&row)), Ok(expected.clone()), "{change}");
    }
}

#[test]
fn a_message_that_cannot_be_kept_says_why() {
    for (row, why) in [
        (json!([]), "it is no object"),
        (json!({ "time": 1, "data": "" }), "it names no device"),
        (json!({ "device": { "id": "XYZ" }, "time": 1 }), "`XYZ` is not a Sigfox device id"),
        (json!({ "device": "1A", "data": "00" }), "it has no readable time"),
        (json!({ "device": "1A", "time": -5, "data": "00" }), "it has no readable time"),
        (json!({ "device": "1A", "time": 1, "data": "hello" }), "its data: `hello` is not hexadecimal"),
    ] {
        let found = message(&Json::from(&row)).unwrap_err();
        assert!(found.starts_with(why), "{row}: {found}");
    }
}

#[test]
fn what_cannot_be_a_sequence_number_is_none() {
    for (seq, expected) in
        [(json!("1492"), Some(1492)), (json!("007c"), None), (json!(-1), None), (json!(70_000), None)]
    {
        let row = json!({ "device": "1A", "time": 1, "data": "00", "seqNumber": seq });
        assert_eq!(message(&Json::from(&row)).unwrap().seq, expected, "{row}");
    }
}

#[test]
fn a_position_that_is_not_valid_is_nowhere() {
    let read: Vec<Position> = rows(include_str!("../../../../tests/fixtures/sigfox-v2/locations.json"))
        .iter()
        .map(|row| position(row).unwrap())
        .collect();
    let sources: Vec<_> = read.iter().map(|position| position.location.map(|place| place.source)).collect();
    assert_eq!(sources, [Some(LocationSource::Network), None, Some(LocationSource::Gps)]);

    // v1 has no code; its radius of 0 is a fix.
    let v1 = rows(include_str!("../../../../tests/fixtures/sigfox-v1/locations.json"));
    assert_eq!(position(&v1[0]).unwrap().location.map(|place| place.source), Some(LocationSource::Gps));
}

#[test]
fn devices_of_both_versions() {
    let v2: Vec<Device> = rows(include_str!("../../../../tests/fixtures/sigfox-v2/devices.json"))
        .iter()
        .map(|row| device(row).unwrap())
        .collect();
    assert_eq!((v2[0].state, v2[1].state), (Some(CloudState::Ok), Some(CloudState::Unknown)));
    assert_eq!((v2[0].last_seen.is_some(), v2[1].last_seen), (true, None));
    assert_eq!(v2[0].device_type.as_deref(), Some("5f0000000000000000000001"));
    assert_eq!(v2[0].location.map(|place| place.source), Some(LocationSource::Network));

    let v1 = serde_json::from_str(include_str!("../../../../tests/fixtures/sigfox-v1/device.json")).unwrap();
    let v1 = device(&v1).unwrap();
    assert_eq!((v1.last_seen, v1.device_type.as_deref()), (None, Some("5f0000000000000000000003")));
}

#[test]
fn device_types_bring_their_grammar() {
    let read: Vec<DeviceType> = rows(include_str!("../../../../tests/fixtures/sigfox-v2/device-types.json"))
        .iter()
        .map(|row| device_type(row).unwrap())
        .collect();
    let grammar = "Battery::uint:8 D8::bool:7 D1::bool:0".to_owned();
    assert_eq!(read[0].payload, PayloadKind::Grammar(grammar));
    assert_eq!((read[0].keep_alive_s, read[1].keep_alive_s), (Some(3600), None));
    assert_eq!(
        (read[0].downlink, read[1].downlink),
        (Some(DownlinkMode::Callback), Some(DownlinkMode::Direct))
    );
    assert_eq!(read[1].payload, PayloadKind::SensitV2);
}
